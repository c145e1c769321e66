"""What all kinds of attention have in common, for a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, TypeVar, get_args

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Part, Sizes

Pool: TypeAlias = Literal["mean", "first", "random"]
"""What a key and value head is made of that replaces several: their mean, the first of them, or new
weights (Ainslie 2023, arXiv:2305.13245)."""
POOLS: tuple[Pool, ...] = get_args(Pool)


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

    def bidirectional(self) -> Attention:
        """Return the same for an encoder, in which tokens attend to later ones, too.

        Raises ConfigError if no token can.
        """
        raise ConfigError(
            f"attention {type(self).__name__} cannot attend to later tokens, as an encoder does"
        )

    def to_memory(self, width: int) -> Attention:
        """Return the grouped-query attention to an encoder that a decoder of *width* has beside it.

        Raises ConfigError if there is none.
        """
        raise ConfigError(f"{type(self).__name__} attention cannot be that of a decoder")

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


def check_shared(heads: int, kv_heads: int) -> None:
    """Raise ConfigError if *heads* cannot share *kv_heads*."""
    above_zero(kv_heads=kv_heads)
    if heads % kv_heads:
        divisors = [n for n in range(1, min(heads, 1024) + 1) if heads % n == 0]
        raise ConfigError(
            f"{heads} heads cannot share {kv_heads} kv_heads; set kv_heads to one of {divisors}"
        )


def check_divides(heads: int, head_width: int | None, sizes: Sizes) -> None:
    """Raise ConfigError if *head_width* is to follow from a width that *heads* do not divide."""
    if head_width is None and sizes.width % heads:
        raise ConfigError(
            f"width {sizes.width} does not divide into {heads} heads; "
            f"set attention.head_width, or width to a multiple of {heads}"
        )
