"""Output of the commands: messages, progress bars, tables of facts and colored tokens.

Bars and colors come from rich and appear on terminals only.
"""

import errno
import io
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from pytok.distribution import EXTRAS, install
from pytok.errors import PytokError, abridged

if TYPE_CHECKING:
    from rich.text import Text

    from pytok.live import LiveLines

TRACEBACK = "PYTOK_TRACEBACK"
"""Variable of the environment; if it is set, unforeseen errors are shown as tracebacks."""

MAX_INPUTS = 3
"""Files that an error names at most."""

COLORS = ("on #d7e8ff", "on #d9f2d9", "on #fff1c9", "on #ffdfdf", "on #ecdfff")
"""Backgrounds of tokens, on which black is legible."""
FEW_COLORS = ("on cyan", "on green", "on yellow", "on magenta", "on white")
"""The same where there are 8 or 16 colors, as in Jupyter's `!`."""

BAR_DELAY = 0.5
"""Seconds before a progress bar appears; shorter work needs none."""
BAR_PAUSE = 0.1
"""Seconds between two drawings of it."""
BAR_WIDTH = 32
"""Columns of a bar at most; in a narrow terminal it has a quarter of them."""

UNITS = {"merge": "tokens", "evaluate": "tokens", "turns written": "turns"}
"""Units of the stages that are counted in another unit than others of the work."""


class Bars(AbstractContextManager["Bars"]):
    """Progress bars on stderr, one per stage, if stderr is a terminal and the work takes a while.

    A context manager; `update` is a progress callback of `pytok.train`.
    """

    def __init__(self, unit: str = "MB") -> None:
        """*unit* is that of the stages which are not in `UNITS`; "MB" counts bytes."""
        self._unit = unit
        self._is_terminal = sys.stderr.isatty()
        self._start = time.monotonic()
        self._lines: LiveLines | None = None
        self._stages: dict[str, Stage] = {}
        self._next = self._start + BAR_DELAY

    def __exit__(self, *error: object) -> None:
        if self._lines is not None:
            self._draw()
            self._lines.stop(keep=True)

    def update(self, stage: str, done: int, total: int) -> None:
        """Show that *done* of *total* is done."""
        now = time.monotonic()
        self._stages.setdefault(stage, Stage(stage, now, self._unit)).add(done, total, now)
        if self._is_terminal and now >= self._next:
            self._draw()
            self._next = now + BAR_PAUSE

    def _draw(self) -> None:
        if self._lines is None:
            from rich.console import Console  # here: `--help` needs no bars

            from pytok.live import LiveLines

            self._lines = LiveLines(Console(stderr=True))
        width = max(map(len, self._stages))
        self._lines.update(*(_bar_of(stage, width, self._lines) for stage in self._stages.values()))


class Stage:
    """How far a stage of some work is."""

    def __init__(self, name: str, start: float, unit: str = "MB") -> None:
        self.name, self._start, self._now = name, start, start
        self._unit = UNITS.get(name, unit)
        self.done = self.total = 0

    def add(self, done: int, total: int, now: float) -> None:
        """Record that *done* of *total* is done at the time *now*; a total of 0 is unknown."""
        self.done, self.total, self._now = done, total, now

    @property
    def speed(self) -> float:
        """What is done per second, on average; 0 if nothing is."""
        passed = self._now - self._start
        return self.done / passed if passed else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is done, about, if that is known."""
        left = self.total - self.done
        return left / self.speed if left > 0 and self.speed else None

    def amounts(self) -> list[str]:
        """Return what is done, and how fast."""
        name = self._unit
        unit, decimals = (1e6, 1) if name == "MB" else (1, 0)
        total = f" of {self.total / unit:,.{decimals}f}" if self.total else ""
        done = f"{self.done / unit:,.{decimals}f}{total} {name}"
        speed = f"{self.speed / unit:,.{decimals}f}"
        return [done, f"{speed} {name}/s"] if float(speed.replace(",", "")) else [done]


def _bar_of(stage: Stage, width: int, lines: "LiveLines") -> "Text":
    """Return the line of *stage*, whose name takes *width* columns."""
    from pytok.live import bar, clock, joined

    columns = lines.console.width - 1
    parts = [f"{stage.name:<{width}}", *stage.amounts()]
    if stage.seconds_left is not None:
        parts.insert(2, f"{clock(stage.seconds_left)} left")
    if not stage.total:
        return joined(parts, columns)
    drawn = bar(stage.done / stage.total, min(BAR_WIDTH, columns // 4), lines.console)
    drawn = joined([drawn, *parts[1:]], columns - width - 1)
    drawn.pad_left(1)
    return type(drawn)(parts[0]) + drawn


def say(message: str) -> None:
    """Print *message*, which can quote foreign text, on stderr, in one line of `escaped` text."""
    import click  # here: the library, whose progress is shown in notebooks, needs none of it

    click.echo(escaped(message).replace("\n", "\\n"), err=True)


class ClosedStdout(io.TextIOBase):
    """What `sys.stdout`, which is None if it was closed, is replaced by: writing fails."""

    def write(self, text: str) -> int:
        """Raise OSError."""
        raise OSError(errno.EBADF, "it is closed, and results go there")


def failure_of(error: Exception, inputs: Sequence[str] = ()) -> str:
    """Return the line that describes *error*, by which a command that reads *inputs* failed.

    An error that nobody has foreseen is most often one of a damaged file, so the line names it.
    With `TRACEBACK` in the environment such an error is raised again.
    """
    if isinstance(error, PytokError):
        return error.message
    if isinstance(error, ImportError):
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        return f"{error}: {install(extra)}" if extra else str(error)
    if isinstance(error, OSError):
        # Without a name it is an error of stdout: what reads and writes files names them.
        where = error.filename or ("stdout" if error.errno else "")
        return f"{where}: {error.strerror or error}".removeprefix(": ")
    named = ", ".join(inputs[:MAX_INPUTS]) + (", ..." if len(inputs) > MAX_INPUTS else "")
    where = f"{named}: " if named else ""
    if isinstance(error, MemoryError):
        return str(abridged(f"{where}out of memory: {error}".removesuffix(": ")))
    if TRACEBACK in os.environ:
        raise error
    return str(
        abridged(
            f"{where}{type(error).__name__}: {error}: the file is damaged, or this is a fault of "
            f"the program; {TRACEBACK}=1 shows where"
        )
    )


def print_facts(rows: Mapping[str, str]) -> None:
    """Print names and values, one per line; on a terminal as a table with folded values."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        for key, value in rows.items():
            print(f"{key:<15} {value}")
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in rows.items():
        table.add_row(key, Text(value))
    console.print(table)


_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that control a terminal or reverse the direction of text, except newlines."""


def escaped(text: str) -> str:
    r"""Return *text* with the characters that could control the terminal escaped.

    >>> escaped("\x1b[31mred\u202e")
    '\\x1b[31mred\\u202e'
    """

    def escape(match: re.Match[str]) -> str:
        code = ord(match[0])
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

    return _CONTROLS.sub(escape, text)


def print_colored(tokens: Iterable[str], caption: str) -> None:
    """Print *tokens* side by side on alternating background colors, then *caption*.

    Without colors a bar separates them.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    colors = COLORS if console.color_system in ("256", "truecolor") else FEW_COLORS
    text = Text(style="black" if console.color_system else "")
    for number, token in enumerate(tokens):
        visible = escaped(token.replace("\n", "⏎\n").replace("\t", "→"))
        if number and console.color_system is None:
            text.append("|")
        text.append(visible, style=colors[number % len(colors)])
    console.print(text, soft_wrap=True)
    console.print(Text(caption))
