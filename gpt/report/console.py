"""A run as it goes, on stderr: a live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from gpt.model.flops import training_flops
from gpt.report.events import NullReporter, Start
from gpt.report.peak_flops import peak_flops
from gpt.runs.metrics import Row

PLAIN_EVERY = 30.0
"""Seconds between lines where there is no terminal; evaluations and the last step have one too."""
LATELY = 10.0
"""Seconds of training that speed is measured over: steps differ, and machines are shared."""


class ConsoleReporter(NullReporter):
    """Tells the console of a run. Use it as a context."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._shown = time.monotonic()
        self._pace = _Pace()
        self._share_of_peak: float | None = None
        """What a token a second is of what the device could do."""

    def __enter__(self) -> ConsoleReporter:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def notice(self, text: str) -> None:
        """Print *text*, which may have several lines, to stay."""
        self._console.print(escape(text), highlight=False, soft_wrap=True)

    def began(self, start: Start) -> None:
        """See how fast the device could be at best; a run before this one had a pace of its own."""
        self._pace, self._share_of_peak = _Pace(), None
        peak = peak_flops(start.runtime)
        if peak is not None and start.borrow_model is not None:
            with start.borrow_model() as model:
                self._share_of_peak = training_flops(model) / (peak * start.processes)

    def row(self, row: Row, steps: int) -> None:
        """Show *row*; keep its line if it has an evaluation or is the last."""
        now = time.monotonic()
        self._pace.add(row, now)
        parts = self._parts(row, steps)
        kept = row.val_bpb is not None or row.step == steps
        if self._console.is_terminal:
            line = Text(_fitting(parts, self._console.width), no_wrap=True, overflow="ellipsis")
            self._live.update(line, refresh=True)
            if kept:
                self.notice(" · ".join(parts))
        elif kept or now - self._shown >= PLAIN_EVERY:
            self.notice(" · ".join(parts))
            self._shown = now

    def _parts(self, row: Row, steps: int) -> list[str]:
        """What there is to say of *row*, the most important first."""
        parts = [f"step {row.step:,}/{steps:,}", f"loss {row.loss:.3f} nats/token"]
        if row.val_bpb is None:
            parts.append(f"{row.bits_per_byte:.3f} bits/byte")
        else:
            parts.append(f"validation {row.val_bpb:.4f} bits/byte")
        speed = self._pace.tokens_per_second
        if speed is not None:
            parts.append(f"{_clock(self._pace.seconds_per_step * (steps - row.step))} left")
            parts.append(f"{speed:,.0f} tokens/s")
            if self._share_of_peak is not None:
                parts.append(f"MFU {speed * self._share_of_peak:.0%}")
        return parts


class _Pace:
    """How fast a run goes, of lately."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque()
        self._first: tuple[float, float] | None = None
        self._beside = 1.0
        """Seconds that pass in one of training, evaluations and checkpoints included."""

    def add(self, row: Row, now: float) -> None:
        """Take in *row*, which came at *now*, in seconds of any clock."""
        self._rows.append(row)
        while len(self._rows) > 2 and row.seconds - self._rows[1].seconds > LATELY:
            self._rows.popleft()
        if self._first is None:
            self._first = (row.seconds, now)
        seconds, began = self._first
        if row.seconds > seconds:
            self._beside = max(1.0, (now - began) / (row.seconds - seconds))

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens learnt from in a second of training; None before there are two rows."""
        first, last = self._rows[0], self._rows[-1]
        if last.seconds <= first.seconds:
            return None
        return (last.tokens - first.tokens) / (last.seconds - first.seconds)

    @property
    def seconds_per_step(self) -> float:
        """Seconds that a step takes, with its share of what goes on between steps."""
        first, last = self._rows[0], self._rows[-1]
        return (last.seconds - first.seconds) / (last.step - first.step) * self._beside


def _fitting(parts: list[str], width: int) -> str:
    """The first of *parts* that fit *width* columns on one line; one at least."""
    line = parts[0]
    for part in parts[1:]:
        if len(line) + len(part) + 3 > width:
            break
        line += f" · {part}"
    return line


def _clock(seconds: float) -> str:
    """*seconds* as h:mm:ss or m:ss."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
