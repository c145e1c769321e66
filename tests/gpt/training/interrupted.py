"""Runs that are stopped or killed at a given step, and their history."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from gpt.report.events import NullReporter
from gpt.runs.metrics import Row, read_metrics
from gpt.runs.reading import Checkpoint
from gpt.spec.recipe import Recipe
from gpt.training.clock import MACHINE, Clock
from gpt.training.loop import train
from gpt.training.outcome import Outcome


class StopAfter(NullReporter):
    """A reporter that is also a ``stop`` function: it stops the run after *step*."""

    def __init__(self, step: int) -> None:
        self.step, self.steps_made = step, 0

    def row(self, row: Row, steps: int) -> None:
        """Record that a step was made."""
        self.steps_made = row.step

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.steps_made >= self.step


class StopDuringEvaluation(StopAfter):
    """Stops the run during the evaluation of *step*."""

    calls = 0

    def __call__(self) -> bool:
        """Return whether to stop."""
        self.calls = self.calls + 1 if self.steps_made == self.step - 1 else 0
        return self.calls > 2  # the first call is before the step, the second before a batch


class Killed(Exception):
    """Stands for a kill of the process."""


class KillAt(NullReporter):
    """A reporter that raises Killed when it receives the row of *step*."""

    def __init__(self, step: int) -> None:
        self.step = step

    def row(self, row: Row, steps: int) -> None:
        """Raise Killed after the step."""
        if row.step == self.step:
            raise Killed


class Notices(NullReporter):
    """A reporter that keeps the notices of a run."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def notice(self, text: str) -> None:
        """Keep *text*."""
        self.lines.append(text)

    def __contains__(self, words: str) -> bool:
        return any(words in line for line in self.lines)


def train_until(recipe: Recipe, step: int, clock: Clock = MACHINE) -> Outcome:
    """Train and stop after *step*."""
    stop = StopAfter(step)
    return train(recipe, reporter=stop, stop=stop, clock=clock)


def history(run: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl, without their times."""
    rows = [dataclasses.asdict(row) for row in read_metrics(run / "metrics.jsonl")]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def renamed(recipe: Recipe, name: str, **changes: Any) -> Recipe:
    """*recipe* in another folder beside its own, with *changes*."""
    return dataclasses.replace(recipe, out=recipe.out.with_name(name), **changes)


def tensors(checkpoint: Checkpoint) -> dict[str, Any]:
    """The weights and the optimizer state of *checkpoint*, by name."""
    return {**checkpoint.weights, **checkpoint.optimizer_state}
