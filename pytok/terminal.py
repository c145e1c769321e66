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

import click

from pytok.distribution import EXTRAS, install, version
from pytok.errors import PytokError, abridged

if TYPE_CHECKING:
    from rich.progress import Progress

TRACEBACK = "PYTOK_TRACEBACK"
"""Variable of the environment; if it is set, unforeseen errors are shown as tracebacks."""

MAX_INPUTS = 3
"""Files that an error names at most."""

BAR_DELAY = 0.5
"""Seconds before a progress bar appears; shorter work needs none."""

UNITS = {"merge": "tokens", "evaluate": "tokens", "turns written": "turns"}
"""Units of the stages that do not count bytes."""


class Bars(AbstractContextManager["Bars"]):
    """Progress bars on stderr, one per stage, if stderr is a terminal and the work takes a while.

    A context manager; `update` is a progress callback of `pytok.train`.
    """

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._start = time.monotonic()
        self._bars: Progress | None = None
        self._tasks: dict[str, int] = {}

    def __exit__(self, *error: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(self, stage: str, done: int, total: int) -> None:
        """Show that *done* of *total* is done, in bytes or in the unit of `UNITS`."""
        if not self._is_terminal or time.monotonic() - self._start < BAR_DELAY:
            return
        if self._bars is None:
            self._bars = _rich_progress()
            self._bars.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total or None)
        self._bars.update(self._tasks[stage], completed=done)  # type: ignore[arg-type]


def _rich_progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as TimeRemaining
    from rich.text import Text

    class Amount(ProgressColumn):
        """The amount done, and the total and the speed where they are known."""

        def render(self, task: Task) -> Text:
            name = UNITS.get(task.description, "MB")
            unit, decimals = (1e6, 1) if name == "MB" else (1, 0)
            total = f" of {task.total / unit:,.{decimals}f}" if task.total else ""
            speed = f", {task.speed / unit:,.{decimals}f} {name}/s" if task.speed else ""
            return Text(f"{task.completed / unit:,.{decimals}f}{total} {name}{speed}")

    columns = (TextColumn("{task.description}"), BarColumn(), Amount(), TimeRemaining())
    return Progress(*columns, console=Console(stderr=True))


def say(message: str) -> None:
    """Print *message*, which can quote foreign text, on stderr, in one line of `escaped` text."""
    click.echo(escaped(message).replace("\n", "\\n"), err=True)


class ClosedStdout(io.TextIOBase):
    """What `sys.stdout`, which is None if it was closed, is replaced by: writing fails."""

    def write(self, text: str) -> int:
        """Raise OSError."""
        raise OSError(errno.EBADF, "it is closed, and results go there")


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"{context.info_name}, version {version()}")
        context.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
"""The option of both commands, which come in one distribution."""


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
    """Print *tokens* side by side on alternating background colors, then *caption*."""
    from rich.console import Console
    from rich.text import Text

    colors = ("on #d7e8ff", "on #d9f2d9", "on #fff1c9", "on #ffdfdf", "on #ecdfff")
    text = Text(style="black")
    for number, token in enumerate(tokens):
        visible = escaped(token.replace("\n", "⏎\n").replace("\t", "→"))
        text.append(visible, style=colors[number % len(colors)])
    console = Console(highlight=False)
    console.print(text, soft_wrap=True)
    console.print(Text(caption))
