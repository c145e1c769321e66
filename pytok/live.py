"""Lines at the end of a terminal that are drawn again and again, also after it was resized."""

import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.control import Control
from rich.file_proxy import FileProxy
from rich.segment import ControlType, Segment
from rich.text import Text

ERASE = Segment("\r\x1b[J", None, [(ControlType.CARRIAGE_RETURN,), (ControlType.ERASE_IN_LINE, 0)])
"""Erases all from the line of the cursor to the end of the screen."""
SEPARATOR = " · "
"""Between the parts of a line."""


class LiveLines(RenderHook):
    """Lines below everything that is printed on *console* or stderr. A context manager.

    The cursor rests at the beginning of the first line. A terminal that becomes narrower and wraps
    what it shows moves the cursor with that line, so erasing from there on removes all that was
    drawn and nothing that was printed.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._lines: Sequence[Text] = ()
        self._is_started = False

    def __enter__(self) -> "LiveLines":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def update(self, *lines: Text) -> None:
        """Draw *lines* instead of those before; each is cut to the width of the terminal."""
        if not self._is_started:
            self._start()
        self._lines = lines
        self.console.print(end="")

    def stop(self, *, keep: bool = False) -> None:
        """Erase the lines, or *keep* them above what is printed next."""
        if not self._is_started:
            return
        lines, self._lines = self._lines, ()
        try:
            self.console.print(*(lines if keep else ()), sep="\n", end="\n" if keep else "")
        finally:
            self._is_started = False
            self.console.pop_render_hook()
            if isinstance(sys.stderr, FileProxy):
                sys.stderr.flush()
                sys.stderr = self._stderr
            self.console.show_cursor(True)

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return what is printed, with the lines after it."""
        return [_Erasure(), *renderables, self]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the lines, and return to the beginning of the first one."""
        for number, line in enumerate(self._lines):
            if number:
                yield Segment.line()
            shown = line.copy()
            shown.truncate(max(1, options.max_width - 1), overflow="ellipsis")
            yield from shown.render(console)
        if self._lines:
            yield Control(ControlType.CARRIAGE_RETURN)
        if len(self._lines) > 1:
            yield Control((ControlType.CURSOR_UP, len(self._lines) - 1))

    def _start(self) -> None:
        self._is_started, self._stderr = True, sys.stderr
        self.console.show_cursor(False)
        self.console.push_render_hook(self)
        if self.console.file is sys.stderr and not isinstance(sys.stderr, FileProxy):
            console = self.console
            console.file = sys.stderr  # fixed, since by default it is what sys.stderr is now
            sys.stderr = FileProxy(console, sys.stderr)


class _Erasure:
    """What erases the lines that were drawn."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield ERASE


def bar(fraction: float, width: int, console: Console) -> Text:
    """Return a bar of *width* columns, and the *fraction* in percent."""
    done, rest = ("=", "-") if console.options.ascii_only else ("━", "─")
    filled = round(width * min(1.0, fraction))
    return Text.assemble(
        (done * filled, "cyan"), (rest * (width - filled), "bright_black"), f" {fraction:4.0%}"
    )


def joined(parts: Sequence[str | Text], width: int) -> Text:
    """Join as many of *parts*, the most important first, as fit into *width*, at least the first.

    >>> joined(["step 4/64", "loss 1.5", "0:12 left"], 25).plain
    'step 4/64 · loss 1.5'
    """
    first, *others = parts
    line = first.copy() if isinstance(first, Text) else Text(first)
    for part in others:
        if line.cell_len + len(part) + len(SEPARATOR) > width:
            break
        line.append(SEPARATOR)
        line.append(part)
    return line


def clock(seconds: float) -> str:
    """Format *seconds* as h:mm:ss or m:ss.

    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
