"""Kinds of tuning, by the name that `gpt tune --objective` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gpt.spec.objective import DPO, GRPO, KTO, ORPO, AnyObjective, CrossEntropy, Distillation
from gpt.spec.score import AnyScore
from gpt.spec.task import AnyTuning, Preferences, Reinforcement, Tuning


@dataclass(frozen=True, kw_only=True)
class Method:
    """A kind of tuning: its task, its objective, and what a plan needs to know of it."""

    task: Callable[..., AnyTuning]
    """The spec of its task, with a base and an adapter."""
    objective: Callable[[], AnyObjective]
    """The spec of its objective."""
    generates: bool = False
    """Whether it has no data besides the base, or prompts."""
    text: bool = False
    """Whether its data can be plain text, of which token shards are made first."""
    rate: float = 1.0
    """Learning rate as a multiple of that of supervised fine-tuning."""
    dropout: float = 0.1
    """Dropout where all weights are trained."""
    epochs: float | None = None
    """Epochs that are planned; by default more on small data."""
    rows: int = 1
    """Fewest rows of a step that is planned."""
    evaluations: int | None = None
    """Evaluations of a plan. [default: two an epoch]"""
    patience: int = 3
    """Patience of a plan."""

    def score(self) -> AnyScore:
        """Return the spec of the score, the first of the objective that the task measures."""
        task: Any = self.task
        measured = (each for each in self.objective().SCORES if each in task.SCORES)
        score: AnyScore = next(measured)()
        return score


PREFERENCE_RATE = 1 / 80
"""Learning rate of preferences, as a multiple of that of supervised fine-tuning. Where a model of
width 128 was to write short replies, 0.0001 with LoRA won (docs/tuning.md), and with four times as
much it moved two hundred nats away from its base. For all weights of a model of width 2048 it is
1.6e-6, and 1.2e-5 for adapters: about what is usual there (TRL: 1e-6, and 1e-5)."""
_preferences = partial(Method, task=Preferences, rate=PREFERENCE_RATE, epochs=3, dropout=0)

METHODS: Mapping[str, Method] = {
    "sft": Method(task=Tuning, objective=CrossEntropy, text=True),
    "dpo": _preferences(objective=DPO),
    "orpo": _preferences(objective=ORPO),
    "kto": _preferences(objective=KTO, rows=4),
    "grpo": Method(
        task=Reinforcement,
        objective=GRPO,
        generates=True,
        rate=0.1,
        epochs=1,
        evaluations=10,
        patience=5,
        dropout=0,
    ),
    "distillation": Method(task=Tuning, objective=Distillation, text=True),
}
