"""Bases of the specs of attention: what a model needs to know, and what most kinds share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from gpt.errors import ConfigError
from gpt.spec.part import Part, Sizes
from gpt.spec.pattern import BigBird, Causal, Full, Window
from gpt.spec.scoring import (
    Additive,
    Dot,
    General,
    LocalP,
    Location,
    ScaledDot,
    Softmax,
)

AnyKind = TypeVar("AnyKind", bound="Attention")


@dataclass(frozen=True, kw_only=True)
class Attention(Part):
    """What a model needs to know of any attention."""

    convolves: ClassVar[bool] = False
    """Whether it has queries, keys and values that a convolution can mix."""
    compares: ClassVar[bool] = True
    """Whether it has a score for each pair of a query and a key, which positions can change."""
    keeps_values: ClassVar[bool] = True
    """Whether decoding keeps values, or sums of them, so that others can be added to them."""

    heads: int
    """Number of query heads."""

    @property
    def causal(self) -> bool:
        """Whether no token attends to a later one."""
        raise NotImplementedError

    @property
    def rotatable(self) -> bool:
        """Whether rotating queries and keys changes weights by the distances of tokens only."""
        return True

    def dot_factor(self, width: int) -> float | None:
        """Return the factor of q · k in its scores; None if they are not dot products."""
        return None

    def in_layer(self, layer: int) -> Attention:
        """Return the attention of *layer*, from 0."""
        return self

    def with_kv_heads(self: AnyKind, kv_heads: int) -> AnyKind:
        """Return the spec with *kv_heads* key and value heads, each instead of several.

        Raises ConfigError if there are none, or their number is no multiple.
        """
        raise ConfigError(f"{type(self).__name__} attention has no kv_heads to share")

    def resolved(self, width: int) -> Attention:
        """Return the spec with the sizes filled in that follow from *width*."""
        return self

    def query_width(self, width: int) -> int:
        """Return the width of the queries and keys of a head in a model of *width*."""
        raise NotImplementedError

    def rotated_width(self, width: int) -> int:
        """Return the width of that part of them which positions rotate."""
        return self.query_width(width)

    def output_width(self, width: int) -> int:
        """Return the width of the outputs of a head, which is that of its values."""
        raise NotImplementedError

    def value_width(self, width: int) -> int:
        """Return the width of the values of a token, all heads of values together."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Pairwise(Attention):
    """The parts of attention besides its projections."""

    pattern: Causal | Window | BigBird | Full = field(default_factory=Causal)
    """Which tokens a token attends to."""
    score: ScaledDot | Dot | General | Additive | Location = field(default_factory=ScaledDot)
    """Score of a query and a key."""
    normalizer: Softmax | LocalP = field(default_factory=Softmax)
    """From scores to weights of the values."""

    @property
    def causal(self) -> bool:
        """Whether no token attends to a later one."""
        return self.pattern.causal

    @property
    def rotatable(self) -> bool:
        """Whether rotating queries and keys changes weights by the distances of tokens only."""
        return self.score.factor(1) is not None and not self.normalizer.reads_queries

    def dot_factor(self, width: int) -> float | None:
        """Return the factor of q · k in its scores; None if they are not dot products."""
        return self.score.factor(self.query_width(width))

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if a part does not fit a model of *sizes*."""
        for part in (self.pattern, self.score, self.normalizer):
            part.check(sizes)
