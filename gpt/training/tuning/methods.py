"""Kinds of tuning, by the name that `gpt tune --objective` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpt.spec.objective import DPO, KTO, ORPO, AnyObjective, CrossEntropy
from gpt.spec.score import AnyScore
from gpt.spec.task import AnyTuning, Preferences, Tuning


@dataclass(frozen=True, kw_only=True)
class Method:
    """A kind of tuning: its task, its objective, and what a plan needs to know of it."""

    task: Callable[..., AnyTuning]
    """The spec of its task, with a base and an adapter."""
    objective: Callable[[], AnyObjective]
    """The spec of its objective."""
    text: bool = False
    """Whether its data can be plain text, of which token shards are made first."""
    rate: float = 1.0
    """Learning rate as a multiple of that of supervised fine-tuning."""
    rows: int = 1
    """Fewest rows of a step that is planned."""

    def score(self) -> AnyScore:
        """Return the spec of the score, the first of the objective that the task measures."""
        task: Any = self.task
        measured = (each for each in self.objective().SCORES if each in task.SCORES)
        score: AnyScore = next(measured)()
        return score


METHODS: Mapping[str, Method] = {
    "sft": Method(task=Tuning, objective=CrossEntropy, text=True),
    "dpo": Method(task=Preferences, objective=DPO),
    "orpo": Method(task=Preferences, objective=ORPO),
    "kto": Method(task=Preferences, objective=KTO, rows=4),
}
