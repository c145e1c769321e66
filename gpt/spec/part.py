"""`Part`, the base of the specs of mechanisms, and `Sizes`, by which they are checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Sizes(Protocol):
    """Sizes of a model; `gpt.spec.architecture.Architecture` has them."""

    @property
    def context(self) -> int:
        """Context length."""

    @property
    def layers(self) -> int:
        """Number of blocks."""

    @property
    def width(self) -> int:
        """Width of the residual stream."""

    @property
    def rotated_widths(self) -> Sequence[int]:
        """Widths of the queries and keys that positions rotate, each once, in any layer."""

    @property
    def biases_scores(self) -> bool:
        """Whether the position encoding changes the scores of pairs of tokens, or their outputs."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A mechanism's fields. Sizes that follow from them are methods of the spec."""

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if this mechanism cannot be part of a model of *sizes*."""
