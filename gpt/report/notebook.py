"""Progress of a run in a notebook: a bar, the figures of the last step, and the loss so far."""

from __future__ import annotations

import html
import time

from gpt.evaluation.score import SCORES, score_of
from gpt.report.curves import smoothed
from gpt.report.events import NullReporter, Reporter, Start
from gpt.runs.metrics import Row
from gpt.spec.objective import NATS_PER_TOKEN
from gpt.spec.score import BitsPerByte
from pytok import notebook

PAUSE = 0.5
"""Seconds between two drawings."""
WIDTH, HEIGHT = 360, 72
"""Size of the curve in pixels."""


def default_reporter() -> Reporter:
    """Return what shows a run in a notebook, and nothing elsewhere."""
    return NotebookReporter() if notebook.is_running() else NullReporter()


class NotebookReporter(NullReporter):
    """Shows a run in the output of the cell that trains."""

    def __init__(self) -> None:
        self._notices: list[str] = []
        self._losses: list[float] = []
        self._score, self._unit = SCORES[BitsPerByte], NATS_PER_TOKEN
        self._display: notebook.Display | None = None
        self._next, self._last = 0.0, ""

    def notice(self, text: str) -> None:
        """Show *text* above the bar."""
        self._notices.append(text)
        self._draw()

    def began(self, start: Start) -> None:
        """Know the score of the run, and the unit of its loss."""
        self._score, self._unit = score_of(start.recipe.score), start.recipe.objective.UNIT

    def row(self, row: Row, steps: int) -> None:
        """Show *row*; the score of an evaluation stays until the next one."""
        self._losses.append(row.loss)
        if row.val is not None:
            self._last = f"validation {self._score.value(row.val):.4f} {self._score.short}"
        now = time.monotonic()
        if row.val is None and row.step < steps and now < self._next:
            return
        self._next = now + PAUSE
        fraction = row.step / steps if row.fraction is None else row.fraction
        parts = [
            f"step {row.step:,}/{steps:,}",
            f"loss {row.loss:.3f} {self._unit}".rstrip(),
            self._last,
        ]
        text = " · ".join(filter(None, parts))
        self._draw(notebook.bar_html(fraction, text) + curve_svg(smoothed(self._losses)))

    def _draw(self, below: str = "") -> None:
        lines = "".join(f"<div>{html.escape(text)}</div>" for text in self._notices)
        content = f'<div style="font-family:monospace">{lines}{below}</div>'
        if self._display is None:
            self._display = notebook.show_html(content)
        else:
            notebook.update_html(self._display, content)


def curve_svg(values: list[float]) -> str:
    """Return *values* as a curve, legible on light and dark pages; empty if there are too few."""
    if len(values) < 2:
        return ""
    every = max(1, len(values) // WIDTH)
    drawn = [*values[::every][:-1], values[-1]]
    low, high = min(drawn), max(drawn)
    span = (high - low) or 1.0
    points = " ".join(
        f"{number / (len(drawn) - 1) * WIDTH:.1f},{(high - value) / span * (HEIGHT - 4) + 2:.1f}"
        for number, value in enumerate(drawn)
    )
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="training loss">'
        f'<polyline points="{points}" fill="none" stroke="#0072B2" stroke-width="2"/></svg>'
    )
