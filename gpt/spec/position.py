"""Specs of position encodings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Part, Sizes


@dataclass(frozen=True, kw_only=True)
class Position(Part):
    """A position encoding."""

    biases_scores: ClassVar[bool] = False
    """Whether it changes the scores of pairs of tokens, or their outputs."""


@dataclass(frozen=True, kw_only=True)
class Learned(Position):
    """A learned vector for each position, added to the token embedding (Radford 2018, GPT)."""


@dataclass(frozen=True, kw_only=True)
class Sinusoidal(Position):
    """Sines and cosines of each position, added to the token embedding (arXiv:1706.03762)."""

    theta: float = 10_000.0
    """Base of the wavelengths, which run from 2 pi to about 2 pi theta tokens."""
    scale_embedding: bool = True
    """Multiply the token embedding by √width first (section 3.4 of the paper)."""

    def __post_init__(self) -> None:
        above_zero(theta=self.theta)

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if the width is odd."""
        if sizes.width % 2:
            raise ConfigError(
                f"width {sizes.width} is odd, and a sine and a cosine need two features each; set "
                "an even width"
            )


@dataclass(frozen=True, kw_only=True)
class Rope(Position):
    """Rotary position embedding of queries and keys (Su 2021, RoFormer, arXiv:2104.09864)."""

    theta: float = 10_000.0
    """Base of the wavelengths, which run from 2 pi to about 2 pi theta tokens."""
    fraction: float = 1.0
    """Fraction of each head that is rotated; the rest carries no position."""

    def __post_init__(self) -> None:
        above_zero(theta=self.theta)
        if not 0 < self.fraction <= 1:
            raise ConfigError(f"fraction must be above 0 and at most 1; got {self.fraction}")

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if the features to rotate are not pairs."""
        for width in sizes.rotated_widths:
            rotary_width = self.rotary_width(width)
            if rotary_width < 2 or rotary_width % 2:
                raise ConfigError(
                    f"position.fraction {self.fraction} of head_width {width} is {rotary_width}, "
                    "and rotation needs pairs of features; choose another fraction or head width"
                )

    def rotary_width(self, head_width: int) -> int:
        """Return the number of leading features of a head that are rotated."""
        return round(head_width * self.fraction)


@dataclass(frozen=True, kw_only=True)
class ALiBi(Position):
    """Subtract from each score the distance times a slope of the head (Press 2021).

    Attention with Linear Biases, arXiv:2108.12409.
    """

    biases_scores = True
