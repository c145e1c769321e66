"""Specs of short convolutions over the tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Part, Sizes

Point: TypeAlias = Literal["A", "B", "C", "D"]
"""Where in a block a convolution is."""


@dataclass(frozen=True, kw_only=True)
class Canon(Part):
    """Add to each token a learned mix of the last few, feature by feature (Allen-Zhu 2025, Canon).

    Physics of Language Models, Part 4.1. Neighboring tokens then exchange information without
    attention.
    """

    kernel: int = 4
    """Number of tokens that are mixed, the token itself included."""
    points: tuple[Point, ...] = ("A", "B", "C", "D")
    """Where in each block: A, the input of attention; B, its queries, keys and values; C, the input
    of the MLP; D, its hidden layer before the activation."""

    def __post_init__(self) -> None:
        above_zero(kernel=self.kernel)
        if not self.points or len(set(self.points)) < len(self.points):
            raise ConfigError(f"points must be some of A, B, C, D, each once; got {self.points}")

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if attention or the MLP has nothing to convolve at a point."""
        for layer in range(sizes.layers if "B" in self.points else 0):
            if not sizes.attention_in(layer).convolves:
                raise ConfigError(
                    f"convolution.points has B, but the attention of layer {layer} has no queries, "
                    "keys and values to convolve; remove B, or set attention to GroupedQuery"
                )
        if "D" in self.points and not getattr(sizes.mlp, "convolves", False):
            raise ConfigError(
                f"convolution.points has D, but {type(sizes.mlp).__name__} has no hidden layer of "
                "all tokens in order; remove D, or set mlp to MLP"
            )
