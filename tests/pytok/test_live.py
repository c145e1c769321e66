"""Lines that are drawn again and again, on a terminal that becomes narrower."""

import io
import re
import sys

import pytest
from rich.console import Console
from rich.text import Text

from pytok.live import LiveLines


class Screen(io.StringIO):
    """A terminal that wraps its lines again when it becomes narrower, as most do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.lines, self.line, self.column = [""], 0, 0

    def write(self, text: str) -> int:
        """Show *text*."""
        for control, up, plain in re.findall(r"\x1b\[(\??(\d*)[a-zA-Z])|(.|\n)", text, re.S):
            self._put(control, up, plain)
        return len(text)

    def _put(self, control: str, parameter: str, plain: str) -> None:
        if control == "J":
            self.lines[self.line] = self.lines[self.line][: self.column]
            del self.lines[self.line + 1 :]
        elif control.endswith("A"):
            self._up(int(parameter))
        elif plain == "\r":
            self.column -= self.column % self.width
        elif plain == "\n":
            self.line, self.column = self.line + 1, 0
            self.lines += [""] * (self.line == len(self.lines))
        elif plain:
            before = self.lines[self.line].ljust(self.column)
            self.lines[self.line] = before[: self.column] + plain + before[self.column + 1 :]
            self.column += 1

    def _up(self, rows: int) -> None:
        for _ in range(rows):
            if self.column >= self.width:
                self.column -= self.width
            else:
                self.line -= 1
                length = len(self.lines[self.line])
                self.column += max(0, length - 1) // self.width * self.width


def console_on(screen: Screen) -> Console:
    return Console(file=screen, force_terminal=True, width=screen.width, no_color=True)


def narrow(console: Console, screen: Screen, width: int) -> None:
    console.width = screen.width = width


@pytest.mark.parametrize("widths", [(100, 60, 40), (100, 20, 90), (30, 100, 7)])
@pytest.mark.parametrize("count", [1, 2])
def test_nothing_stale_is_left_when_the_width_changes(widths: tuple[int, ...], count: int) -> None:
    """What was printed stays, and of the lines only the last ones are there."""
    screen = Screen(widths[0])
    console = console_on(screen)
    live = LiveLines(console)
    for number, width in enumerate(widths):
        narrow(console, screen, width)
        console.print(f"said {number}")
        live.update(*(Text(f"{line} of {number}: " + "x" * 200) for line in range(count)))
    shown = [f"{line} of {number}: " + "x" * 200 for line in range(count)]

    cut = [text[: widths[-1] - 2] + "…" for text in shown]
    assert screen.lines == ["said 0", "said 1", "said 2", *cut]


@pytest.mark.parametrize("keep", [False, True])
def test_the_lines_are_erased_or_kept_at_the_end(keep: bool) -> None:
    """And what is printed next is below them."""
    screen = Screen(80)
    with LiveLines(console_on(screen)) as live:
        live.update(Text("one"), Text("two"))
        live.stop(keep=keep)
    screen.write("next\n")

    assert screen.lines == ["one", "two", "next", ""] if keep else ["next", ""]


def test_what_others_write_to_stderr_is_above_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """And stderr is as before when they end."""
    screen = Screen(80)
    monkeypatch.setattr(sys, "stderr", screen)
    with LiveLines(Console(stderr=True, force_terminal=True, width=80)) as live:
        live.update(Text("step 1"))
        print("a warning", file=sys.stderr)
        assert screen.lines == ["a warning", "step 1"]

    assert screen.lines == ["a warning", ""]
    assert sys.stderr is screen
