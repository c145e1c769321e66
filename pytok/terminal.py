"""What the commands show: messages, progress bars, facts and coloured tokens.

Bars and colours are rich's, and appear only where a person is looking.
"""

import re
import sys
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 0.5
"""Seconds before a bar appears: what is over sooner needs none."""


COUNTED = {"merge": "tokens", "evaluate": "tokens", "turns written": "turns"}
"""What the stages count that are not in bytes."""


class Bars:
    """Progress bars on stderr, one a stage, if stderr is a terminal and the work takes a while.

    Used as a context; `update` is a progress callback of `pytok.train`.
    """

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._began = time.monotonic()
        self._bars: Progress | None = None
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> "Bars":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(self, stage: str, done: int, total: int) -> None:
        """Show that *done* of *total* is done, in bytes or in what `COUNTED` says."""
        if not self._shown or time.monotonic() - self._began < PATIENCE:
            return
        if self._bars is None:
            self._bars = _progress()
            self._bars.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total or None)
        self._bars.update(self._tasks[stage], completed=done)  # type: ignore[arg-type]


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Task as Row
    from rich.text import Text

    class Amount(ProgressColumn):
        """How much is done, and, as far as they are known, of how much and how fast."""

        def render(self, task: Row) -> Text:
            name = COUNTED.get(task.description, "MB")
            unit, places = (1e6, 1) if name == "MB" else (1, 0)
            total = f" of {task.total / unit:,.{places}f}" if task.total else ""
            rate = f", {task.speed / unit:,.{places}f} {name}/s" if task.speed else ""
            return Text(f"{task.completed / unit:,.{places}f}{total} {name}{rate}")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        Amount(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def say(message: str) -> None:
    """Print *message* on stderr, on one line whatever it holds."""
    click.echo(message.replace("\n", "\\n"), err=True)


def print_facts(rows: Mapping[str, str]) -> None:
    """Print what each name stands for, one a line, or folded into a column on a terminal."""
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


_COMMANDS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that command a terminal, or turn the order of what is around them."""


def escaped(text: str) -> str:
    r"""*text* with all but newlines that would command the terminal spelled out.

    >>> escaped("\x1b[31mred\u202e")
    '\\x1b[31mred\\u202e'
    """

    def spelled(found: re.Match[str]) -> str:
        code = ord(found[0])
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

    return _COMMANDS.sub(spelled, text)


def print_coloured(tokens: Iterable[str], caption: str) -> None:
    """Print *tokens* side by side, each on a colour of its own, and the *caption* below them."""
    from rich.console import Console
    from rich.text import Text

    colours = ("on #d7e8ff", "on #d9f2d9", "on #fff1c9", "on #ffdfdf", "on #ecdfff")
    text = Text(style="black")
    for number, token in enumerate(tokens):
        shown = escaped(token.replace("\n", "⏎\n").replace("\t", "→"))
        text.append(shown, style=colours[number % len(colours)])
    console = Console(highlight=False)
    console.print(text, soft_wrap=True)
    console.print(Text(caption))
