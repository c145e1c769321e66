"""Specs of objectives: what training minimizes."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.checks import below_one


@dataclass(frozen=True, kw_only=True)
class CrossEntropy:
    """The negative log-probability of each next token."""

    label_smoothing: float = 0.0
    """Probability that is divided among all tokens instead of the target (Szegedy 2015,
    arXiv:1512.00567). Evaluations do not have it."""

    def __post_init__(self) -> None:
        below_one(label_smoothing=self.label_smoothing)
