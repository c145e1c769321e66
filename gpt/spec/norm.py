"""Norms: what keeps each branch's input in scale."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.checks import above_zero


@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """Subtract the mean, divide by the standard deviation, scale (Ba 2016, arXiv:1607.06450)."""

    eps: float = 1e-5
    """Added to the variance."""
    bias: bool = True
    """TrainOn a shift beside the scale."""

    def __post_init__(self) -> None:
        above_zero(eps=self.eps)


@dataclass(frozen=True, kw_only=True)
class RMSNorm:
    """Divide by the root mean square (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    eps: float = 1e-6
    """Added to the mean square."""
    weight: bool = True
    """TrainOn a scale."""

    def __post_init__(self) -> None:
        above_zero(eps=self.eps)
