"""Specs of attention: projections, and the parts that all kinds of projections share.

Attention projects tokens to queries, keys and values, gives each pair of a query and a key a score,
limits the pairs by a pattern, normalizes the scores of each query, and averages the values by them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Part, Sizes


@dataclass(frozen=True, kw_only=True)
class Causal(Part):
    """Each token attends to itself and to all tokens before it."""

    causal: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Window(Part):
    """Each token attends to the latest tokens only (Beltagy 2020, Longformer, arXiv:2004.05150)."""

    causal: ClassVar[bool] = True
    size: int
    """Number of tokens, the token itself included."""
    long_every: int | None = None
    """Every n-th layer, and the last, attends to the full context (as in Gemma 2,
    arXiv:2408.00118). [default: no layer]"""

    def __post_init__(self) -> None:
        above_zero(size=self.size, long_every=self.long_every)

    def in_layer(self, layer: int, layers: int) -> int | None:
        """Return the window of *layer* (from 0) of *layers*; None for the full context."""
        every = self.long_every
        if every is not None and ((layer + 1) % every == 0 or layer + 1 == layers):
            return None
        return self.size


@dataclass(frozen=True, kw_only=True)
class Full(Part):
    """Each token attends to all tokens, later ones included (Devlin 2018, BERT, arXiv:1810.04805).

    Such a model cannot predict the next token, which it sees.
    """

    causal: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class ScaledDot(Part):
    """Score q · k / √head_width (Vaswani 2017, arXiv:1706.03762)."""


@dataclass(frozen=True, kw_only=True)
class Softmax(Part):
    """Normalize by the softmax of all scores of a query."""


@dataclass(frozen=True, kw_only=True)
class Attention(Part):
    """The parts of attention besides its projections."""

    pattern: Causal | Window | Full = field(default_factory=Causal)
    """Which tokens a token attends to."""
    score: ScaledDot = field(default_factory=ScaledDot)
    """Score of a query and a key."""
    normalizer: Softmax = field(default_factory=Softmax)
    """From scores to weights of the values."""


@dataclass(frozen=True, kw_only=True)
class GroupedQuery(Attention):
    """Attention in which query heads share key and value heads (Ainslie 2023, arXiv:2305.13245).

    ``kv_heads == heads`` is multi-head attention, ``kv_heads == 1`` multi-query attention.
    """

    heads: int
    """Number of query heads."""
    kv_heads: int
    """Number of key and value heads; must divide heads."""
    head_width: int | None = None
    """Width of one head. [default: width / heads]"""
    qk_norm: bool = False
    """RMS-normalize queries and keys, each with its own scale, before positions are applied
    (Dehghani 2023, arXiv:2302.05442; in the order and form of Qwen3)."""

    def __post_init__(self) -> None:
        above_zero(heads=self.heads, kv_heads=self.kv_heads, head_width=self.head_width)
        if self.heads % self.kv_heads:
            divisors = [n for n in range(1, min(self.heads, 1024) + 1) if self.heads % n == 0]
            raise ConfigError(
                f"{self.heads} heads cannot share {self.kv_heads} kv_heads; "
                f"set kv_heads to one of {divisors}"
            )

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if the width does not divide into heads."""
        if self.head_width is None and sizes.width % self.heads:
            raise ConfigError(
                f"width {sizes.width} does not divide into {self.heads} heads; "
                f"set attention.head_width, or width to a multiple of {self.heads}"
            )

    def width_of_head(self, width: int) -> int:
        """Return the width of one head in a model of *width*."""
        return self.head_width or width // self.heads

    def value_width(self, width: int) -> int:
        """Return the width of the values of a token in a model of *width*, all heads together."""
        return self.kv_heads * self.width_of_head(width)
