"""`StageReporter`: what the stages of a clone print, for readers who do not train models."""

from __future__ import annotations

import math

from gpt.report.events import NullReporter, Reporter, Start
from gpt.runs.metrics import Row
from gpt.training.clock import Limits
from pytok.counted import counted, duration
from pytok.terminal import escaped

ENOUGH_STEPS = 100
"""Optimizer steps below which a new model writes noise. Of the example of 5,000 messages it had
1.6 bits per byte of held-out text after 47 steps, and 0.9 after 94."""
INDENT = "    "


class StageReporter(NullReporter):
    """Passes the events of a stage to *reporter*; figures for experts only if *verbose*.

    It is also the reporter of the runs, whose notices are such figures.
    """

    def __init__(self, reporter: Reporter, *, verbose: bool) -> None:
        self._reporter, self._verbose = reporter, verbose
        self.warnings: list[str] = []
        """What `warn` received."""
        self.too_short = ""
        """The consequence of a run with too few steps, which `began` warns of; empty if none."""
        self.seconds_per_limit = 1.0
        """Seconds of ``--seconds`` for each second of the run."""

    def say(self, text: str) -> None:
        """Print *text*, one line, under the title of the stage; names in it are not trusted."""
        self._reporter.notice(INDENT + escaped(text))

    def warn(self, text: str) -> None:
        """Print the warning *text*, and keep it."""
        self.warnings.append(text)
        self.say(f"warning: {text}")

    def notice(self, text: str) -> None:
        """Print *text* if verbose."""
        if self._verbose:
            self.say(text)

    def began(self, start: Start) -> None:
        """Warn if the time of the run suffices for too few steps."""
        limits = Limits.of(start.recipe)
        if limits.seconds and start.step_seconds:
            self._check_steps(limits.seconds / start.step_seconds, limits, start.step_seconds)
        self._reporter.began(start)

    def row(self, row: Row, steps: int) -> None:
        """Pass *row* on."""
        self._reporter.row(row, steps)

    def ended(self) -> None:
        """Pass the event on."""
        self._reporter.ended()

    def _check_steps(self, steps: float, limits: Limits, step_seconds: float) -> None:
        """Warn if *steps*, of *step_seconds* each, are too few and time is what limits them."""
        of_data = math.inf if limits.steps is None else limits.steps
        if not self.too_short or steps >= min(ENOUGH_STEPS, of_data / 2):
            return
        enough = min(2 * ENOUGH_STEPS, of_data) * step_seconds * self.seconds_per_limit
        asked = max(600, 100 * math.ceil(enough / 100))
        self.warn(
            f"only {counted(max(1, round(steps)), 'training step')} "
            f"{'fits' if round(steps) <= 1 else 'fit'} into {duration(limits.seconds or 0)}: there "
            "is too little time, or this machine is slow or busy, and "
            f"{self.too_short}; give it more time, such as --seconds {asked}, in another --out"
        )
