"""`Reporter`: what the training loop calls, and all that displays or records a run implements.

The loop has one reporter; `Reporters` combines several. Their work is outside the training time,
uses none of the loop's random state, and changes no weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gpt.model.model import Model
from gpt.parallel.runtime import Runtime
from gpt.runs.metrics import Row
from gpt.spec.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Start:
    """A run that starts or resumes."""

    recipe: Recipe
    """The recipe, with everything that it left open filled in."""
    folder: Path | None = None
    """Folder of the run, to write files to; None for a run in memory."""
    runtime: Runtime
    """Device and dtype."""
    processes: int = 1
    """Number of processes, each on such a device."""
    step: int
    """Number of steps made before."""
    step_seconds: float | None = None
    """Seconds that a step takes, about, if steps were timed before the first one."""
    borrow_model: Callable[[], AbstractContextManager[Model]] | None
    """Context manager that lends the model as it is evaluated: in evaluation mode, with averaged
    weights if the recipe keeps such. None if no process has the whole model."""


class Reporter(Protocol):
    """Receives the events of a run."""

    def notice(self, text: str) -> None:
        """Show *text*, one line, such as that a run is resumed."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Show that *done* of *total* is done of *stage*, some work between steps."""

    def began(self, start: Start) -> None:
        """Called before the first step."""

    def row(self, row: Row, steps: int) -> None:
        """Called after each step with its figures and the total number of *steps*.

        Called again for a step whose evaluation was interrupted and is made on resuming.
        """

    def ended(self) -> None:
        """Called at the end of the run, or when it is stopped, after the checkpoint is written."""


class NullReporter:
    """A reporter that does nothing; a base class for those that need only some events."""

    def notice(self, text: str) -> None:
        """Do nothing."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Do nothing."""

    def began(self, start: Start) -> None:
        """Do nothing."""

    def row(self, row: Row, steps: int) -> None:
        """Do nothing."""

    def ended(self) -> None:
        """Do nothing."""


class Reporters:
    """Several reporters as one, called in the given order."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = reporters

    def notice(self, text: str) -> None:
        """Pass *text* to all."""
        for reporter in self._reporters:
            reporter.notice(text)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Call all."""
        for reporter in self._reporters:
            reporter.progress(stage, done, total)

    def began(self, start: Start) -> None:
        """Call all."""
        for reporter in self._reporters:
            reporter.began(start)

    def row(self, row: Row, steps: int) -> None:
        """Call all."""
        for reporter in self._reporters:
            reporter.row(row, steps)

    def ended(self) -> None:
        """Call all."""
        for reporter in self._reporters:
            reporter.ended()
