"""The lines of `lines.txt`, and what an anonymizer leaves and takes of them."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pytok.chat.anonymize import anonymize
from pytok.chat.record import Message

_MARKED = re.compile("⟦(.*?)⟧")


class Line(NamedTuple):
    """A line of a chat."""

    section: str
    label: str
    """A country, a script, or what kind of line it is."""
    senders: tuple[str, ...]
    kept: tuple[str, ...]
    """The parts around what must go."""
    private: tuple[str, ...]

    @property
    def text(self) -> str:
        """The line as somebody wrote it."""
        return "".join(map("".join, zip(self.kept, (*self.private, ""), strict=True)))


def lines() -> Iterator[Line]:
    """Read the corpus."""
    section, senders = "", ("Bob",)
    for line in (Path(__file__).parent / "lines.txt").read_text(encoding="utf-8").splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "##":
            section = rest
        elif mark == "=":
            senders = tuple(rest.split("; "))
        elif mark != "#":
            pieces = _MARKED.split(rest)
            yield Line(section, mark, senders, tuple(pieces[::2]), tuple(pieces[1::2]))


def result(line: Line) -> str:
    """The text of *line* after anonymization, in a chat of its senders."""
    at = datetime(2024, 1, 1)
    chat = [Message(time=at, sender=name, text=line.text) for name in line.senders]
    return anonymize(chat).messages[0].text


def leaks(line: Line) -> list[str]:
    """The private parts that remain."""
    text = result(line)
    return [part for part in line.private if part in text]


def is_changed(line: Line) -> bool:
    """Whether anything but the private parts was replaced."""
    kept = "(.+?)".join(map(re.escape, line.kept))
    return re.fullmatch(kept, result(line), re.DOTALL) is None
