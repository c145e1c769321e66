"""Specs of quantized weights: which levels a weight is rounded to, and how many share a scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gpt.spec.checks import above_zero

ABSMAX_BLOCK = 256
"""Values of absmax per scale in double quantization, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class FourBit:
    """Weights of 4 bits: one of 16 levels, times the absmax of a block of weights."""

    block: int = 64
    """Weights per absmax, row by row; a block can cross the end of a row."""
    double: bool = True
    """Quantize the absmax values, too: to 8 bits, 256 with one scale (double quantization)."""

    def __post_init__(self) -> None:
        above_zero(block=self.block)

    def bits(self, inputs: int) -> float:
        """Return the bits per weight of a large matrix; *inputs* does not matter.

        >>> f"{NF4().bits(64):.3f} {NF4(double=False).bits(64)}"
        '4.127 4.5'
        """
        return 4 + (8 + 32 / ABSMAX_BLOCK if self.double else 32) / self.block


@dataclass(frozen=True, kw_only=True)
class NF4(FourBit):
    """NormalFloat: the levels are quantiles of the normal distribution (Dettmers 2023, QLoRA).

    arXiv:2305.14314.
    """


@dataclass(frozen=True, kw_only=True)
class FP4(FourBit):
    """Floating point with 2 bits of exponent and 1 of mantissa, the subnormal being 1/192."""


@dataclass(frozen=True, kw_only=True)
class Int4(FourBit):
    """Integers from -7 to 7."""


@dataclass(frozen=True, kw_only=True)
class Int8:
    """Integers from -127 to 127 with a scale for each output (Dettmers 2022, LLM.int8()).

    arXiv:2208.07339.
    """

    def bits(self, inputs: int) -> float:
        """Return the bits per weight of a matrix with *inputs* columns."""
        return 8 + 32 / inputs


Quantization: TypeAlias = NF4 | FP4 | Int4 | Int8
