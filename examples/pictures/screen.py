"""A terminal's screen: text and the control sequences of our commands, as lines of cells."""

import re
from dataclasses import dataclass, field, replace
from typing import TypeAlias

CONTROL = re.compile(r"\x1b\[(?P<values>[?\d;]*)(?P<name>[A-Za-z])|(?P<plain>[\r\n\b])")


@dataclass(frozen=True, slots=True)
class Style:
    """How a cell looks; a color is "#rrggbb", the number of one of 16, or "" for the default."""

    color: str = ""
    background: str = ""
    bold: bool = False
    dim: bool = False


Cell: TypeAlias = tuple[str, Style]
Line: TypeAlias = tuple[Cell, ...]


@dataclass
class Screen:
    """All lines that were ever printed, and the cursor; nothing scrolls away."""

    columns: int
    rows: list[list[Cell]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    style: Style = Style()

    def feed(self, text: str) -> None:
        """Print *text*."""
        at = 0
        for match in CONTROL.finditer(text):
            self._write(text[at : match.start()])
            at = match.end()
            if match["plain"]:
                self._move(match["plain"])
            else:
                self._control(match["name"], match["values"])
        self._write(text[at:])

    def lines(self) -> list[Line]:
        """Return the lines as they are now."""
        return [tuple(row) for row in self.rows]

    def _write(self, text: str) -> None:
        for character in text:
            if self.column == self.columns:
                self._move("\r")
                self._move("\n")
            row = self.rows[self.row]
            row.extend([(" ", Style())] * (self.column + 1 - len(row)))
            row[self.column] = (character, self.style)
            self.column += 1

    def _move(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(0, self.column - 1)
        else:
            self.row += 1
            if self.row == len(self.rows):
                self.rows.append([])

    def _control(self, name: str, values: str) -> None:
        numbers = [int(value or 0) for value in values.split(";")] if "?" not in values else []
        first = numbers[0] if numbers else 0
        if name == "m":
            self._paint(numbers)
        elif name == "K":
            row = self.rows[self.row]
            self.rows[self.row] = row[: self.column] if first == 0 else []
        elif name == "J":
            del self.rows[self.row + 1 :]
            self.rows[self.row] = self.rows[self.row][: self.column]
        elif name == "A":
            self.row = max(0, self.row - (first or 1))
        elif name not in "hl":  # of the cursor, which is not drawn
            raise ValueError(f"this screen does not know the control sequence {name!r}")

    def _paint(self, numbers: list[int]) -> None:
        while numbers:
            number = numbers.pop(0)
            if number == 0:
                self.style = Style()
            elif number == 1:
                self.style = replace(self.style, bold=True)
            elif number == 2:
                self.style = replace(self.style, dim=True)
            elif number in (38, 48):
                color = self._extended(numbers)
                if number == 38:
                    self.style = replace(self.style, color=color)
                else:
                    self.style = replace(self.style, background=color)
            elif 30 <= number <= 37 or 90 <= number <= 97:
                self.style = replace(self.style, color=str(number % 10 + 8 * (number >= 90)))
            elif number == 39:
                self.style = replace(self.style, color="")
            elif number == 49:
                self.style = replace(self.style, background="")

    def _extended(self, numbers: list[int]) -> str:
        """Take the numbers of a color off *numbers*: 2;r;g;b, or 5;n of the first 16."""
        if numbers.pop(0) == 5:
            return str(numbers.pop(0))
        red, green, blue, *numbers[:] = numbers
        return f"#{red:02x}{green:02x}{blue:02x}"
