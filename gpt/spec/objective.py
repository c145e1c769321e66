"""Specs of objectives: what training minimizes."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.errors import ConfigError
from gpt.spec.architecture import Architecture
from gpt.spec.checks import below_one


@dataclass(frozen=True, kw_only=True)
class CrossEntropy:
    """The negative log-probability of each next token."""

    label_smoothing: float = 0.0
    """Probability that is divided among all tokens instead of the target (Szegedy 2015,
    arXiv:1512.00567). Evaluations do not have it."""

    def __post_init__(self) -> None:
        below_one(label_smoothing=self.label_smoothing)

    def check(self, model: Architecture) -> None:
        """Raise ConfigError if *model* sees the tokens that it is to predict."""
        if not model.attention.causal:
            raise ConfigError(
                "model.attention sees the next token, which CrossEntropy predicts; choose a causal "
                "pattern, or another objective"
            )
