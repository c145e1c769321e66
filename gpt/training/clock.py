"""The clock of a run: which fraction of the run is over after each step, and when the run ends.

A run ends by its steps, by its time, or by whichever is nearer. Under a time budget the fraction of
a step is (training time used + expected duration of the step) / budget, so the learning rate
reaches its floor at the last step although the speed of the machine changes on the way. The step
is the last one if the one after it would end more than half a step beyond the budget.

What the clock decided is in the row of each step, `Row.fraction`, which is written before anything
that depends on it is saved. Steps that a kill has lost are made again with what was decided, so the
run is the same as before, bit for bit; so is one that replays the record of another.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from gpt.runs.metrics import Row, read_metrics
from gpt.spec.recipe import Recipe

WINDOW = 5
"""Steps whose median is the expected duration of the next: a single disturbance counts little, and
a lasting change counts after three steps."""


@dataclass(frozen=True)
class Clock:
    """Where a run reads the time, and the decisions that it repeats."""

    now: Callable[[], float] = time.perf_counter
    """Seconds since any moment."""
    record: Sequence[Row] = ()
    """Rows whose fractions and seconds the steps of the run repeat; it continues by its limits."""


MACHINE = Clock()
"""The clock of this machine."""


def replay(run: Path) -> Clock:
    """Return a clock that repeats what was decided in the run folder *run*."""
    return Clock(record=read_metrics(run / "metrics.jsonl"))


@dataclass(frozen=True)
class Limits:
    """Where a run ends: whichever is nearer."""

    steps: int | None = None
    """Optimizer steps."""
    seconds: float | None = None
    """Training time."""

    @classmethod
    def of(cls, recipe: Recipe) -> Limits:
        """Return the limits of *recipe*."""
        return cls(recipe.steps, recipe.budget)

    def __str__(self) -> str:
        return " or ".join(f"{v:g} {k}" for k, v in vars(self).items() if v is not None)

    def fraction(self, steps: int, seconds: float) -> float:
        """Return the fraction of the run that is over after *steps* and *seconds*."""
        by_steps = steps / self.steps if self.steps is not None else 0.0
        by_time = seconds / self.seconds if self.seconds is not None else 0.0
        return min(1.0, max(by_steps, by_time))


class Pace:
    """The decisions of a run in progress. Steps count from 0."""

    def __init__(
        self,
        limits: Limits,
        *,
        fraction: float = 0.0,
        expected: float | None = None,
        made: Sequence[Row] = (),
        recorded: Iterable[Row] = (),
    ) -> None:
        """Continue after the rows *made*, repeating what was *recorded* of later steps.

        *fraction* is the part of the run that is over. *expected* is the duration of a step in
        seconds, if it is known before the first one.
        """
        self.limits = limits
        self._recorded = {row.step: row for row in recorded if row.fraction is not None}
        self._last = fraction
        durations = [after.seconds - before.seconds for before, after in pairwise(made)]
        if expected is not None:
            durations.append(expected)
        self._durations = deque(durations, maxlen=WINDOW)
        self._is_first = True

    def fraction(self, step: int, seconds: float) -> float:
        """Decide which fraction of the run is over after *step*; the step with 1 is the last.

        *seconds* is the training time used before it. The fraction never falls.
        """
        by_steps = self.limits.fraction(step + 1, 0.0)
        row = self._recorded.get(step + 1)
        if self.limits.seconds is None:
            self._last = by_steps
        elif row is not None and row.fraction is not None:
            self._last = row.fraction
        else:
            self._last = max(self._last, self._by_time(seconds, self.limits.seconds), by_steps)
        return self._last

    def seconds_after(self, step: int, before: float, duration: float) -> float:
        """Return the training time after *step*, which began at *before* and took *duration*.

        A repeated step counts as long as it took the first time.
        """
        row = self._recorded.get(step + 1)
        if row is not None:
            duration = row.seconds - before
        elif self._is_first:  # torch.compile, or a process that warms up
            self._is_first = False
            return before + duration
        self._durations.append(duration)
        return row.seconds if row is not None else before + duration

    def steps_expected(self, step: int, seconds: float) -> int:
        """Return the number of steps that the run will have, after *step* of them, about."""
        if self._last >= 1:
            return step
        counts = [] if self.limits.steps is None else [self.limits.steps]
        if self.limits.seconds is not None and self._durations:
            left = (self.limits.seconds - seconds) / max(median(self._durations), 1e-9)
            counts.append(step + max(1, round(left)))
        return min(counts, default=step + 1)

    def _by_time(self, seconds: float, budget: float) -> float:
        duration = median(self._durations) if self._durations else 0.0
        end = seconds + duration
        return 1.0 if end + duration / 2 >= budget else math.nextafter(end / budget, 0.0)
