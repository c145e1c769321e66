"""Spec of linear attention, which has no scores of pairs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

from gpt.errors import ConfigError
from gpt.spec.attention_base import Attention, check_divides, check_shared
from gpt.spec.checks import above_zero, at_least_zero
from gpt.spec.part import Sizes


@dataclass(frozen=True, kw_only=True)
class LinearAttention(Attention):
    """Attention without a softmax, whose state while decoding has a constant size.

    Its time is linear in the tokens (Katharopoulos 2020, arXiv:2006.16236).
    """

    compares: ClassVar[bool] = False

    kv_heads: int | None = None
    """Number of key and value heads; must divide heads. [default: heads]"""
    head_width: int | None = None
    """Width of one head. [default: width / heads]"""
    feature: Literal["elu1", "relu", "relu2", "exp", "softmax", "identity"] = "elu1"
    """Function of queries and keys: elu(x) + 1, relu(x), relu(x)², exp(x), softmax(x) over the
    features of a head, or x."""
    normalize: bool = True
    """Divide by the sum of the weights, as the softmax does."""
    eps: float = 1e-6
    """Added to that sum."""
    scale: float | None = None
    """Factor of the dot products. [default: 1, or 1 / √head_width without normalize]"""
    chunk: int = 64
    """Number of tokens that are compared pair by pair; earlier ones are summed up."""

    def __post_init__(self) -> None:
        above_zero(
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_width=self.head_width,
            scale=self.scale,
            chunk=self.chunk,
        )
        at_least_zero(eps=self.eps)
        check_shared(self.heads, self.kv_heads or self.heads)
        if self.feature == "identity" and self.normalize:
            raise ConfigError(
                "weights of the feature identity can be negative, so their sum cannot normalize; "
                "set normalize to false, or choose another feature"
            )

    @property
    def causal(self) -> bool:
        """Whether no token attends to a later one."""
        return True

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if the width does not divide into heads."""
        check_divides(self.heads, self.head_width, sizes)

    def resolved(self, width: int) -> LinearAttention:
        """Return the spec with all sizes."""
        head_width, scale = self.query_width(width), self.scale
        if scale is None:
            scale = 1.0 if self.normalize else head_width**-0.5
        kv_heads = self.kv_heads or self.heads
        return dataclasses.replace(self, kv_heads=kv_heads, head_width=head_width, scale=scale)

    def query_width(self, width: int) -> int:
        """Return the width of one head in a model of *width*."""
        return self.head_width or width // self.heads

    def output_width(self, width: int) -> int:
        """Return the width of one head in a model of *width*."""
        return self.query_width(width)

    def value_width(self, width: int) -> int:
        """Return the width of the values of a token, all heads together."""
        return (self.kv_heads or self.heads) * self.query_width(width)

    def with_kv_heads(self, kv_heads: int) -> LinearAttention:
        """Return the spec with *kv_heads* key and value heads, each instead of several."""
        check_shared(self.kv_heads or self.heads, kv_heads)
        return dataclasses.replace(self, kv_heads=kv_heads)
