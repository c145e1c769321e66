"""Specs of training objectives."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.checks import below_one


@dataclass(frozen=True, kw_only=True)
class CrossEntropy:
    """Cross-entropy of the next token."""

    label_smoothing: float = 0.0
    """Probability that the target distribution spreads evenly over the vocabulary (Szegedy 2016,
    arXiv:1512.00567)."""

    def __post_init__(self) -> None:
        below_one(label_smoothing=self.label_smoothing)
