"""Transcripts: texts in which one line starts each message, and the lines after it continue it.

The readers of text exports other than WhatsApp's use this module: each says of a line whether it
starts a message. All patterns are anchored and bounded, so reading is linear in the text.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Literal, NamedTuple, TypeAlias

from pytok.chat.whatsapp.clock import PERIOD_OF_WORD, hour_of_day, letters_of

MAX_NAME = 150
"""Maximum number of characters before a separator that are a name."""

HEAD_SIZE = 1 << 16
"""Number of characters at the start of a file from which its format is determined."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Start(NamedTuple):
    """The first line of a message."""

    time: datetime
    sender: str | None
    """None if the app itself is the source of the line."""
    text: str


class Entry(NamedTuple):
    """One message of a transcript."""

    number: int
    """Number of its first line, from 1."""
    time: datetime
    sender: str | None
    text: str
    """All its lines, without blank lines at the end."""


ReadLine: TypeAlias = Callable[[str], Start | Literal["layout"] | None]
"""Function that returns the start of a message, "layout" for a line that belongs to no message (a
day, a title), or None for a line that continues a message."""


def split_lines(text: str) -> list[str]:
    """Split *text* into lines without their ends, LF, CR LF or CR."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def first_lines(text: str, count: int) -> list[str]:
    """Return the first *count* lines of *text* that are not blank, without spaces around them."""
    lines = (line.strip() for line in split_lines(text[:HEAD_SIZE]))
    return [line for line in lines if line][:count]


def read_entries(lines: Iterable[str], read: ReadLine) -> tuple[list[Entry], list[int]]:
    """Return the messages in *lines*, and the numbers of the lines that belong to none.

    Blank lines and layout are not counted.
    """
    starts: list[tuple[int, Start, list[str]]] = []
    unread: list[int] = []
    inside = False
    for number, line in enumerate(lines, start=1):
        found = read(line)
        if isinstance(found, Start):
            starts.append((number, found, [found.text]))
            inside = True
        elif found is not None:
            inside = False
        elif inside:
            starts[-1][2].append(line)
        elif line.strip():
            unread.append(number)
    entries = [
        Entry(number, start.time, start.sender, "\n".join(body).rstrip("\n"))
        for number, start, body in starts
    ]
    return entries, unread


def by_wording(
    entries: Iterable[Entry], is_wording: Callable[[Entry], bool]
) -> dict[str, list[int]]:
    """Return the numbers of the *entries* for which *is_wording*, by what each says.

    These are the app's only by their words, which people can write as well (`Source.unsure`).
    """
    found: dict[str, list[int]] = {}
    for entry in entries:
        if is_wording(entry):
            found.setdefault(entry.text.partition(":")[0], []).append(entry.number)
    return found


def clock_time(
    day: date | None, hour: str, minute: str, period: str | None = None, second: str | None = None
) -> datetime | None:
    """Return the time on *day*, or None if it does not exist; *period* is "PM", "오후" ..."""
    if day is None:
        return None
    try:
        hours = hour_of_day(int(hour), PERIOD_OF_WORD.get(letters_of(period or ""), ""))
        return datetime(day.year, day.month, day.day, hours, int(minute), int(second or 0))
    except ValueError:
        return None


def calendar_day(year: str, month: str, day: str) -> date | None:
    """Return a day of the calendar, or None; *month* is a number or an English name."""
    try:
        number = int(month) if month.isdecimal() else _MONTHS.index(month[:3].casefold()) + 1
        return date(int(year), number, int(day))
    except ValueError:
        return None
