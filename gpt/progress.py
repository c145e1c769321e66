"""A run as it goes, on stderr: a live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from gpt.metrics import Row

PLAIN_EVERY = 30.0
"""Seconds between lines where there is no terminal; evaluations and the last step have one too."""


class ConsoleReporter:
    """Tells the console of a run; a `gpt.training.Reporter`. Use it as a context."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._first: Row | None = None
        self._began = self._shown = time.monotonic()

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
        """Print *text* as a line that stays."""
        self._console.print(escape(text), highlight=False, soft_wrap=True)

    def row(self, row: Row, steps: int) -> None:
        """Show *row*; keep its line if it has an evaluation or is the last."""
        now = time.monotonic()
        self._first = self._first or row
        line = self._line(row, steps, now)
        kept = row.val_bpb is not None or row.step == steps
        if self._console.is_terminal:
            self._live.update(Text(line), refresh=True)
            if kept:
                self.notice(line)
        elif kept or now - self._shown >= PLAIN_EVERY:
            self.notice(line)
            self._shown = now

    def _line(self, row: Row, steps: int, now: float) -> str:
        parts = [f"step {row.step:,}/{steps:,}", f"loss {row.loss:.3f} nats/token"]
        if row.val_bpb is not None:
            parts.append(f"validation {row.val_bpb:.4f} bits/byte")
        if self._first is not None and row.step > self._first.step:
            speed = (row.tokens - self._first.tokens) / (row.seconds - self._first.seconds)
            pace = (now - self._began) / (row.step - self._first.step + 1)
            parts += [f"{speed:,.0f} tokens/s", f"{_clock(pace * (steps - row.step))} left"]
        return " · ".join(parts)


def _clock(seconds: float) -> str:
    """*seconds* as h:mm:ss or m:ss."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
