"""Scores: the figures of an evaluation by which the models of a run are compared.

The table `SCORES` has, for each spec in `gpt.spec.score`, the figure's name among the figures of an
evaluation, whether more of it is better, and how it is printed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gpt.errors import ConfigError
from gpt.spec.score import (
    BitsPerByte,
    ClassAccuracy,
    ClassLoss,
    ExactMatch,
    MaskedLoss,
    PreferenceAccuracy,
    PreferenceLoss,
    TokenAccuracy,
)

Figures: TypeAlias = dict[str, float]
"""What an evaluation has measured, by name; `gpt.runs.metrics.Row.val` records all of it."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A figure by which models are compared."""

    name: str
    """Its name among the `Figures`."""
    higher_is_better: bool
    unit: str
    """What is printed after a value."""
    short: str
    """The same where lines are short."""

    def value(self, figures: Mapping[str, float]) -> float:
        """Return the score among *figures*; raises ConfigError if it was not measured."""
        if self.name not in figures:
            raise ConfigError(
                f"this task does not measure {self.name}; choose a score among {', '.join(figures)}"
            )
        return figures[self.name]

    def is_better(self, value: float, best: float | None) -> bool:
        """Return whether *value* is finite and better than *best*, None for the first one."""
        if not math.isfinite(value):
            return False
        return best is None or (value > best if self.higher_is_better else value < best)

    def text(self, value: float) -> str:
        """Return *value* with its unit."""
        return f"{value:.4f} {self.unit}"


SCORES: Mapping[type, Score] = {
    BitsPerByte: Score(
        name="bits_per_byte", higher_is_better=False, unit="bits per byte", short="bits/byte"
    ),
    TokenAccuracy: Score(
        name="token_accuracy", higher_is_better=True, unit="token accuracy", short="token accuracy"
    ),
    MaskedLoss: Score(
        name="loss",
        higher_is_better=False,
        unit="nats per masked token",
        short="nats/masked token",
    ),
    ClassLoss: Score(name="loss", higher_is_better=False, unit="nats per text", short="nats/text"),
    ClassAccuracy: Score(name="accuracy", higher_is_better=True, unit="accuracy", short="accuracy"),
    ExactMatch: Score(
        name="exact_match", higher_is_better=True, unit="exact match", short="exact match"
    ),
    PreferenceLoss: Score(
        name="loss", higher_is_better=False, unit="nats per preference", short="nats/preference"
    ),
    PreferenceAccuracy: Score(
        name="preference_accuracy",
        higher_is_better=True,
        unit="preference accuracy",
        short="preference accuracy",
    ),
}
"""For each spec of a score, what it is."""


def score_of(spec: Any) -> Score:
    """Return the score of *spec*, `Recipe.score`."""
    return SCORES[type(spec)]
