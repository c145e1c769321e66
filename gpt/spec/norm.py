"""Specs of normalization layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero, fraction
from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Part):
    """Subtract the mean, divide by the standard deviation, scale (Ba 2016, arXiv:1607.06450)."""

    eps: float = 1e-5
    """Added to the variance."""
    weight: bool = True
    """Multiply by a learned scale."""
    bias: bool = True
    """Add a learned bias after the scale."""

    def __post_init__(self) -> None:
        above_zero(eps=self.eps)


@dataclass(frozen=True, kw_only=True)
class RMSNorm(Part):
    """Divide by the root mean square (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    eps: float = 1e-6
    """Added to the mean square."""
    weight: bool = True
    """Multiply by a learned scale."""
    fraction: float = 1.0
    """Fraction of the features, from the first, whose root mean square divides all of them: partial
    RMSNorm (pRMSNorm) if below 1; the paper has 0.0625."""
    cast: Literal["torch", "llama"] = "torch"
    """Where bfloat16 is rounded: torch.nn.RMSNorm multiplies by the scale in float32 and rounds the
    product, llama rounds first and multiplies in bfloat16 (Touvron 2023, arXiv:2302.13971)."""

    def __post_init__(self) -> None:
        above_zero(eps=self.eps)
        if not 0 < self.fraction <= 1:
            raise ConfigError(f"fraction must be above 0 and at most 1; got {self.fraction}")

    def partial_width(self, width: int) -> int:
        """Return the number of features of *width* whose mean square is taken."""
        return max(1, int(width * self.fraction))


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Part):
    """Normalize each feature over all tokens of a batch (Ioffe and Szegedy 2015, arXiv:1502.03167).

    Statistics are those of one forward pass of one process, so accumulation and more processes
    change the result. Evaluation and sampling use their moving averages.
    """

    eps: float = 1e-5
    """Added to the variance."""
    momentum: float = 0.1
    """Weight of a batch in the moving averages of mean and variance."""
    leaks: bool = False
    """Must be true: while training, the statistics of a token include the tokens after it, so the
    training loss is of a model that sees the future."""

    def __post_init__(self) -> None:
        above_zero(eps=self.eps)
        fraction(momentum=self.momentum)
        if not self.leaks:
            raise ConfigError(
                "BatchNorm normalizes over later tokens, too, so training sees what it predicts; "
                "set leaks to true to accept that, or choose LayerNorm or RMSNorm"
            )
