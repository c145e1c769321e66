"""The seam between the loop and all that shows, keeps or draws a run: `Reporter`.

The loop tells one reporter what happens; `Reporters` makes one of several. What they do is no part
of the training time, draws nothing from the loop's random state, and changes no weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.runs.metrics import Row
from gpt.spec.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Start:
    """A run when it begins or goes on."""

    recipe: Recipe
    """What decides it; what was left open is settled."""
    runtime: Runtime
    processes: int = 1
    """How many make it, each on a device like this."""
    step: int
    """Updates made before."""
    borrow_model: Callable[[], AbstractContextManager[GPT]] | None
    """Lends the model as it is measured at the time: in evaluation mode, and with the averages of
    its weights where the recipe keeps any. None where no process has all of it."""


class Reporter(Protocol):
    """Who is told of a run as it goes."""

    def notice(self, text: str) -> None:
        """Something worth a line, such as that a run is resumed."""

    def began(self, start: Start) -> None:
        """Hear that the steps begin."""

    def row(self, row: Row, steps: int) -> None:
        """Hear that a step of *steps* was made.

        Once more, with the evaluation, where that was cut off and is made when the run goes on.
        """

    def ended(self) -> None:
        """Hear that all steps are made, or no more are asked for; the checkpoint is written."""


class NullReporter:
    """A reporter that tells nobody; others take from it what they have nothing to say to."""

    def notice(self, text: str) -> None:
        """Say nothing."""

    def began(self, start: Start) -> None:
        """Say nothing."""

    def row(self, row: Row, steps: int) -> None:
        """Say nothing."""

    def ended(self) -> None:
        """Say nothing."""


class Reporters:
    """Several reporters as one, told in the order given."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = reporters

    def notice(self, text: str) -> None:
        """Tell all."""
        for reporter in self._reporters:
            reporter.notice(text)

    def began(self, start: Start) -> None:
        """Tell all."""
        for reporter in self._reporters:
            reporter.began(start)

    def row(self, row: Row, steps: int) -> None:
        """Tell all."""
        for reporter in self._reporters:
            reporter.row(row, steps)

    def ended(self) -> None:
        """Tell all."""
        for reporter in self._reporters:
            reporter.ended()
