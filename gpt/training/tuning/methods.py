"""Kinds of tuning, by the name that `gpt tune --objective` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpt.spec.objective import GRPO, AnyObjective, CrossEntropy
from gpt.spec.score import AnyScore
from gpt.spec.task import AnyTuning, Reinforcement, Tuning


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
    epochs: float | None = None
    """Epochs of a plan. [default: by the size of the data]"""
    evaluations: int | None = None
    """Evaluations of a plan. [default: two an epoch]"""
    patience: int = 3
    """Patience of a plan."""
    dropout: bool = True
    """Whether dropout is planned if all weights are trained."""

    def score(self) -> AnyScore:
        """Return the spec of the score, the first of the objective that the task measures."""
        task: Any = self.task
        measured = (each for each in self.objective().SCORES if each in task.SCORES)
        score: AnyScore = next(measured)()
        return score


METHODS: Mapping[str, Method] = {
    "sft": Method(task=Tuning, objective=CrossEntropy, text=True),
    "grpo": Method(
        task=Reinforcement,
        objective=GRPO,
        generates=True,
        rate=0.1,
        epochs=1,
        evaluations=10,
        patience=5,
        dropout=False,
    ),
}
