"""Specs of short convolutions over the tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Part, Sizes

Point: TypeAlias = Literal["A", "C", "D"]
"""Where in a block a convolution is."""


@dataclass(frozen=True, kw_only=True)
class Canon(Part):
    """Add to each token a learned mix of the last few, feature by feature (Allen-Zhu 2025, Canon).

    Physics of Language Models, Part 4.1. Neighboring tokens then exchange information without
    attention.
    """

    kernel: int = 4
    """Number of tokens that are mixed, the token itself included."""
    points: tuple[Point, ...] = ("A", "C", "D")
    """Where in each block: A, the input of attention; C, the input of the MLP; D, its hidden layer
    before the activation."""

    def __post_init__(self) -> None:
        above_zero(kernel=self.kernel)
        if not self.points or len(set(self.points)) < len(self.points):
            raise ConfigError(f"points must be some of A, C, D, each once; got {self.points}")

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if the MLP has no hidden layer for all tokens."""
        if "D" in self.points and not getattr(sizes.mlp, "convolves", False):
            raise ConfigError(
                f"convolution.points has D, but {type(sizes.mlp).__name__} has no hidden layer of "
                "all tokens in order; remove D, or set mlp to MLP"
            )
