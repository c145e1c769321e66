"""Detection of the lines of a text export that start a message, with the time of the message.

One pattern covers the parts of a header in any script and with any marks: three numbers, words, an
hour and minutes, optional seconds, a bracket or a dash. All headers of a file have the same shape
(`Shape`), which is elected by the lines. Lines of another shape, such as a chat pasted into a
message, are text.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple

from pytok.chat.whatsapp.clock import find_day_periods, hour_of_day, letters_of
from pytok.chat.whatsapp.dates import (
    AskDateOrder,
    DateOrder,
    WrittenDate,
    decide_order,
    read_date,
)
from pytok.errors import ChatError

MARKS = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
"""Invisible characters that control the direction of writing."""

_MARK = re.compile(f"[{MARKS}]")

APP_MARK = "\u200e"
"""Mark before text that the app writes, almost always present on an iPhone."""

_GAP = rf"[\s{MARKS}]{{0,8}}"
_DATE = (
    rf"(?P<first>\d{{1,4}}){_GAP}(?P<separator>[-‐–/.．／年년]){_GAP}(?P<second>\d{{1,2}}){_GAP}"
    rf"[-‐–/.．／月월]{_GAP}(?P<third>\d{{1,4}})(?!\d)(?:{_GAP}[日일.])?"
)
_TIME = (
    rf"(?P<hour>\d{{1,2}}){_GAP}(?P<colon>[:.：٫hH時时시点點]){_GAP}(?P<minute>\d{{2}})"
    rf"(?:{_GAP}[:.：٫分분]{_GAP}(?P<seconds>\d{{2}}))?(?!\d)"
)
# Words without digits or characters that end a header: "p. m.", ", klo", "、午後", " г., ".
_BETWEEN = r"(?P<between>[^\d\n\[\]:]{0,24}?)"
_AFTER = r"(?P<after>[^\d\n\[\]:：,–—-]{0,24}?)"
# Bounded, so that a line of a million spaces is no header after a few steps.
_CLOSE = rf"(?P<close>\]|{_GAP}[-–—]|[:：,](?=\s)){_GAP}"
_START = rf"{_GAP}(?:(?P<open>\[){_GAP})?"

DATE_FIRST = re.compile(f"{_START}{_DATE}{_BETWEEN}{_TIME}{_AFTER}{_CLOSE}")
"""Header with the date first, in almost all locales."""
TIME_FIRST = re.compile(f"{_START}{_TIME}{_AFTER}{_BETWEEN}{_DATE}{_CLOSE}")
"""Header with the time first, in Vietnamese and from the web client."""


def without_marks(text: str) -> str:
    """Remove the invisible characters that control the direction of writing, and outer spaces."""
    return _MARK.sub("", text).strip()


class Shape(NamedTuple):
    """Properties that all headers of a file have in common."""

    time_first: bool
    open: str | None
    separator: str
    colon: str
    seconds: bool
    close: str


@dataclass(frozen=True, slots=True)
class Header:
    """Header of one message."""

    number: int
    """Number of the line, from 0."""
    time: datetime
    rest: str
    """Rest of the line: "Name: text"."""
    marked: bool = False
    """Whether the line begins with the mark of the app's own messages."""


class FileHeaders(NamedTuple):
    """All headers of a file."""

    headers: list[Header]
    order: DateOrder
    shape: Shape
    example: str
    """The first header, as written."""
    doubtful: list[int]
    """Numbers, from 0, of lines that look like a header but have another shape or no valid date."""


def find_headers(
    lines: Sequence[str],
    candidates: Mapping[int, re.Match[str]],
    *,
    name: str,
    date_order: DateOrder | None,
    expected: DateOrder | None,
    ask: AskDateOrder | None,
) -> FileHeaders:
    """Choose the headers among *candidates*, which are those of some of *lines*.

    The lines keep a CR at the end; *name* is the name of the file. Raises ChatError if there are no
    candidates, or if the order of day and month is ambiguous.
    """
    if not candidates:
        raise ChatError(
            f"{name}: no line starts with a date and a time, so this is not a chat export; export "
            "the chat again, and give the unchanged .txt or .zip"
        )
    # 1. Only candidates of the elected shape, and not inside a message, are headers.
    shape = _elect(candidates)
    chosen = {number: match for number, match in candidates.items() if shape_of(match) == shape}
    inside = _inside_messages(lines, chosen)
    matches = [match for number, match in chosen.items() if number not in inside]
    numbers = [number for number in chosen if number not in inside]
    # 2. The order of day and month is decided by all dates together.
    written = [_written_date(match) for match in matches]
    order = date_order or decide_order(
        written, expected=expected, named=_named_dates(matches, written), name=name, ask=ask
    )
    dates = [_date_of(each, order) for each in written]
    _check_dates(dates, written, numbers, order, given=date_order is not None, name=name)
    # 3. So are the meanings of the words next to the hours.
    words = [_letters(match["between"], match["after"]) for match in matches]
    hours = [int(match["hour"]) for match in matches]
    periods = find_day_periods(hours, words, dates, name=name)
    headers: list[Header] = []
    doubtful = {number for number in candidates if number not in chosen} | inside
    for number, match, day, hour, word in zip(numbers, matches, dates, hours, words, strict=True):
        time = _time(day, hour_of_day(hour, periods[word]), match)
        if time is None:
            doubtful.add(number)
        else:
            rest = match.string[match.end() :]
            headers.append(Header(number, time, rest, match.string.startswith(APP_MARK)))
    if not headers:
        raise ChatError(f"{name}, line {numbers[0] + 1}: no time of day, and none in other lines")
    return FileHeaders(headers, order, shape, matches[0].group().strip(), sorted(doubtful))


def find_candidates(lines: Sequence[str]) -> dict[int, re.Match[str]]:
    """Return the lines that look like headers, by number."""
    return dict(_candidates(lines))


def _candidates(lines: Sequence[str]) -> Iterator[tuple[int, re.Match[str]]]:
    for number, line in enumerate(lines):
        match = DATE_FIRST.match(line) or TIME_FIRST.match(line)
        if match is not None and (match["open"] == "[") == (match["close"] == "]"):
            yield number, match


def shape_of(match: re.Match[str]) -> Shape:
    """Return the properties of the header *match* that all headers of its file have."""
    return Shape(
        match.re is TIME_FIRST,
        match["open"],
        match["separator"],
        match["colon"],
        match["seconds"] is not None,
        match["close"].strip(),
    )


def _elect(candidates: Mapping[int, re.Match[str]]) -> Shape:
    """Return the shape of the first candidate, unless another shape is five times as frequent.

    A pasted chat can have more lines than the chat around it, but it comes neither first nor last.
    """
    shapes = [shape_of(match) for match in candidates.values()]
    votes = Counter(shapes)
    most, count = votes.most_common(1)[0]
    is_around = len(shapes) > 1 and shapes[0] == shapes[-1]
    return shapes[0] if is_around or 5 * votes[shapes[0]] >= count else most


def _inside_messages(lines: Sequence[str], chosen: dict[int, re.Match[str]]) -> set[int]:
    """Return the lines of *chosen* that are inside a message.

    On an iPhone, a message ends in CR LF, and lines within it end in LF. If almost all headers
    follow CR LF, the few that follow LF are text.
    """
    _, *later = chosen
    within = {number for number in later if not lines[number - 1].endswith("\r")}
    return within if len(within) * 20 < len(chosen) else set()


def _written_date(match: re.Match[str]) -> WrittenDate:
    return _shared(match["first"], match["second"], match["third"], match["separator"])


@lru_cache(maxsize=4096)
def _shared(first: str, second: str, third: str, separator: str) -> WrittenDate:
    """Return one object for all messages of a day."""
    return WrittenDate((first, second, third), separator)


@lru_cache(maxsize=4096)
def _date_of(written: WrittenDate, order: DateOrder) -> date | None:
    return read_date(written, order)


@lru_cache(maxsize=4096)
def _letters(between: str, after: str) -> str:
    return letters_of(between + after)


_MEDIA_DATE = re.compile(r"-?(20\d\d)-?([01]\d)-?([0-3]\d)-(?:WA\d|\d\d-\d\d-\d\d)")


def _named_dates(
    matches: Sequence[re.Match[str]], written: Sequence[WrittenDate]
) -> Iterator[tuple[WrittenDate, date]]:
    """Pair dates with the one in a media file's name on the same line: IMG-20190101-WA0000.jpg."""
    for match, each in zip(matches, written, strict=True):
        named = _MEDIA_DATE.search(match.string, match.end())
        if named is not None:
            try:
                yield each, date(*map(int, named.groups()))
            except ValueError:
                continue


def _check_dates(
    dates: Sequence[date | None],
    written: Sequence[WrittenDate],
    numbers: Sequence[int],
    order: DateOrder,
    *,
    given: bool,
    name: str,
) -> None:
    """Raise ChatError if no date exists, or if the dates contradict the given order."""
    invalid = [index for index, day in enumerate(dates) if day is None]
    if len(invalid) <= len(dates) * (0.05 if given else 0.99):  # single lines can be damaged
        return
    index = invalid[0]
    reason = "is not a supported date; years can be Gregorian, Thai (2567) or Persian (1403)"
    if given:
        reason = f"is not a date in {order} order; remove --date-order, or import this file alone"
    raise ChatError(f"{name}, line {numbers[index] + 1}: {written[index]} {reason}")


def _time(day: date | None, hour: int, match: re.Match[str]) -> datetime | None:
    if day is None:
        return None
    try:
        return datetime(
            day.year, day.month, day.day, hour, int(match["minute"]), int(match["seconds"] or 0)
        )
    except ValueError:
        return None
