"""Progress on stderr: one live line on a terminal, a line from time to time elsewhere."""

from __future__ import annotations

import textwrap
import time
from collections import deque
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from gpt.evaluation.score import SCORES, score_of
from gpt.model.flops import training_flops
from gpt.report.events import NullReporter, Start
from gpt.report.peak_flops import peak_flops
from gpt.runs.metrics import Row
from gpt.spec.objective import NATS_PER_TOKEN
from gpt.spec.score import BitsPerByte
from pytok.live import SEPARATOR, LiveLines, bar, clock, joined

PLAIN_EVERY = 30.0
"""Seconds between lines without a terminal; evaluations and the last step print one, too."""
SPEED_WINDOW = 10.0
"""Seconds of training over which the speed is averaged."""
NARROW = 60
"""Columns of a terminal below which the live line has no bar."""
BAR = 24
"""Columns of the bar at most; in a narrow terminal it has an eighth of them."""


class ConsoleReporter(NullReporter):
    """Prints the progress of a run. A context manager."""

    def __init__(self, console: Console | None = None, *, brief: bool = False) -> None:
        """Print to *console*, by default stderr; *brief* shows no more than how far a run is."""
        self._brief = brief
        self._console = console or Console(stderr=True)
        self._live = LiveLines(self._console)
        self._last_printed = time.monotonic()
        self._speed = _Speed()
        self._score, self._unit = SCORES[BitsPerByte], NATS_PER_TOKEN
        self._flops_per_token: float | None = None
        """FLOPs of training on a token; None if the device's peak is unknown."""
        self._peak = 0.0
        """The best FLOP/s seen: of the device's products, or of the run itself."""

    def __enter__(self) -> ConsoleReporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def notice(self, text: str) -> None:
        """Print *text*, one or more lines, above the live line.

        A brief reporter wraps a line at words on a terminal, and indents what follows.
        """
        if self._brief and self._console.is_terminal:
            indent = " " * (len(text) - len(text.lstrip()) + 2)
            text = textwrap.fill(
                text,
                self._console.width,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        self._console.print(escape(text), highlight=False, soft_wrap=True)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Show a bar of *stage* instead of the line of the last step."""
        if self._console.is_terminal:
            columns = self._console.width - 1
            shown = bar(done / total, min(BAR, columns // 8), self._console)
            self._live.update(joined([shown, stage, f"{done:,}/{total:,}"], columns))

    def began(self, start: Start) -> None:
        """Reset the speed, and determine the peak of the device."""
        self._speed, self._flops_per_token = _Speed(), None
        self._score, self._unit = score_of(start.recipe.score), start.recipe.objective.UNIT
        peak = peak_flops(start.runtime)
        if peak is not None and start.borrow_model is not None:
            self._peak = peak * start.processes
            with start.borrow_model() as model:
                self._flops_per_token = training_flops(model)

    def row(self, row: Row, steps: int) -> None:
        """Show *row*; its line stays if it has an evaluation or is the last, unless it is brief."""
        now = time.monotonic()
        self._speed.add(row, now)
        parts = self._brief_parts(row, steps) if self._brief else self._parts(row, steps)
        stays = (row.val is not None or row.step == steps) and not self._brief
        if self._console.is_terminal:
            if stays:
                self.notice(SEPARATOR.join(parts))
            self._live.update(self._line(row, steps, parts))
        elif stays or now - self._last_printed >= PLAIN_EVERY:
            self.notice(SEPARATOR.join(parts))
            self._last_printed = now

    def ended(self) -> None:
        """Remove the live line."""
        self._live.stop()

    def _line(self, row: Row, steps: int, parts: list[str]) -> Text:
        """Return the live line: a bar, and as many of *parts* as fit."""
        fraction = row.step / steps if row.fraction is None else row.fraction
        columns = self._console.width - 1
        if self._brief:
            return Text("    ") + joined([bar(fraction, BAR, self._console), *parts], columns - 4)
        if columns < NARROW:
            return joined(parts, columns)
        return joined([bar(fraction, min(BAR, columns // 8), self._console), *parts], columns)

    def _brief_parts(self, row: Row, steps: int) -> list[str]:
        """Return how long the run still takes."""
        known = self._speed.tokens_per_second is not None and row.step < steps
        return [self._left(row, steps)] if known else []

    def _parts(self, row: Row, steps: int) -> list[str]:
        """Return what to show of *row*, the most important first."""
        parts = [f"step {row.step:,}/{steps:,}", f"loss {row.loss:.3f} {self._unit}".rstrip()]
        for name, value in (row.figures or {}).items():
            parts.append(f"{name.replace('_', ' ')} {value:.3g}")
        speed = self._speed.tokens_per_second
        if row.val is not None:
            parts.append(f"validation {self._score.value(row.val):.4f} {self._score.short}")
        if speed is not None and row.step < steps:
            parts.append(self._left(row, steps))
        if row.val is None and self._unit == NATS_PER_TOKEN:
            parts.append(f"{row.bits_per_byte:.3f} bits/byte")
        if speed is not None:
            parts.append(f"{speed:,.0f} tokens/s")
            if self._flops_per_token is not None:
                rate = speed * self._flops_per_token
                self._peak = max(self._peak, rate)
                parts.append(f"MFU {rate / self._peak:.0%}")
        return parts

    def _left(self, row: Row, steps: int) -> str:
        return f"{clock(self._speed.seconds_per_step * (steps - row.step))} left"


class _Speed:
    """Speed of a run over the last `SPEED_WINDOW` seconds."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque()
        self._first: tuple[float, float] | None = None
        self._overhead = 1.0
        """Wall-clock seconds per second of training, with evaluations and checkpoints."""

    def add(self, row: Row, now: float) -> None:
        """Add *row*, made at *now*, in seconds of any clock."""
        self._rows.append(row)
        while len(self._rows) > 2 and row.seconds - self._rows[1].seconds > SPEED_WINDOW:
            self._rows.popleft()
        if self._first is None:
            self._first = (row.seconds, now)
        seconds, start = self._first
        if row.seconds > seconds:
            self._overhead = max(1.0, (now - start) / (row.seconds - seconds))

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens per second of training; None before the second row."""
        first, last = self._rows[0], self._rows[-1]
        if last.seconds <= first.seconds:
            return None
        return (last.tokens - first.tokens) / (last.seconds - first.seconds)

    @property
    def seconds_per_step(self) -> float:
        """Wall-clock seconds per step, with its part of evaluations and checkpoints."""
        first, last = self._rows[0], self._rows[-1]
        return (last.seconds - first.seconds) / (last.step - first.step) * self._overhead
