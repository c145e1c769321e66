"""Specs of normalization layers."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.checks import above_zero


@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """Subtract the mean, divide by the standard deviation, scale (Ba 2016, arXiv:1607.06450)."""

    eps: float = 1e-5
    """Added to the variance."""
    bias: bool = True
    """Add a learned bias after the scale."""

    def __post_init__(self) -> None:
        above_zero(eps=self.eps)


@dataclass(frozen=True, kw_only=True)
class RMSNorm:
    """Divide by the root mean square (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    eps: float = 1e-6
    """Added to the mean square."""
    weight: bool = True
    """Multiply by a learned scale."""

    def __post_init__(self) -> None:
        above_zero(eps=self.eps)
