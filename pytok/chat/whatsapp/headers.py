"""Which lines of a text begin a message, and when it was sent.

One pattern knows the parts that a head may have, in any script and with any marks: three numbers,
words, an hour and minutes, perhaps seconds, a bracket or a dash. A file has its heads in one shape
(`Shape`), which its lines vote on; lines of another shape, such as a chat that somebody pasted into
a message, are text.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple

from pytok.chat.whatsapp.clock import halves, hour_of_day, plain
from pytok.chat.whatsapp.dates import Ask, DateOrder, Written, decide_order, read_date
from pytok.errors import ChatError

MARKS = "\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff"
"""Characters that are not seen and say in which direction to write; for a class of a regex."""

_GAP = rf"[\s{MARKS}]*"
_DATE = (
    rf"(?P<first>\d{{1,4}}){_GAP}(?P<separator>[-‐–/.．／年년]){_GAP}(?P<second>\d{{1,2}}){_GAP}"
    rf"[-‐–/.．／月월]{_GAP}(?P<third>\d{{1,4}})(?!\d)(?:{_GAP}[日일.])?"
)
_TIME = (
    rf"(?P<hour>\d{{1,2}}){_GAP}(?P<colon>[:.：٫hH時时시点點]){_GAP}(?P<minute>\d{{2}})"
    rf"(?:{_GAP}[:.：٫分분]{_GAP}(?P<seconds>\d{{2}}))?(?!\d)"
)
# Words have no digits, and nothing that ends a head; "p. m.", ", klo", "、午後", " г., ".
_BETWEEN = r"(?P<between>[^\d\n\[\]:]{0,24}?)"
_AFTER = r"(?P<after>[^\d\n\[\]:：,–—-]{0,24}?)"
_CLOSE = rf"(?P<close>\]|{_GAP}[-–—]|[:：,](?=\s)){_GAP}"
_START = rf"{_GAP}(?P<open>\[?){_GAP}"

HEAD = re.compile(f"{_START}{_DATE}{_BETWEEN}{_TIME}{_AFTER}{_CLOSE}")
"""A head with the date first, as nearly all have it."""
TIME_FIRST = re.compile(f"{_START}{_TIME}{_AFTER}{_BETWEEN}{_DATE}{_CLOSE}")
"""A head with the time first, as Vietnamese and the web client have it."""


class Shape(NamedTuple):
    """What all heads of a file have alike."""

    time_first: bool
    open: str
    separator: str
    colon: str
    seconds: bool
    close: str


@dataclass(frozen=True, slots=True)
class Head:
    """One line that begins a message."""

    number: int
    """Of the line, from 0."""
    time: datetime
    rest: str
    """The line after the head: "Name: text"."""


class Heads(NamedTuple):
    """What was found."""

    heads: list[Head]
    order: DateOrder
    shape: Shape
    example: str
    """The first head, as it stands."""
    doubtful: list[int]
    """Numbers, from 0, of lines that look like a head but are none: another shape, or no date."""


def find_heads(
    lines: Sequence[str],
    *,
    name: str,
    date_order: DateOrder | None,
    expected: DateOrder | None,
    ask: Ask | None,
) -> Heads:
    """Find all heads in *lines*, which end in CR where the file has it; *name* is the file's.

    Raises ChatError where there are none, or where nothing decides on the day and the month.
    """
    candidates = dict(_candidates(lines))
    if not candidates:
        raise ChatError(
            f"{name}: no line begins with a date and a time, so this is no chat export; export "
            "the chat again, and give the .txt or .zip as it is"
        )
    shape = _elect(candidates)
    chosen = {number: match for number, match in candidates.items() if _shape(match) == shape}
    inside = _inside_messages(lines, chosen)
    matches = [match for number, match in chosen.items() if number not in inside]
    numbers = [number for number in chosen if number not in inside]
    written = [_written(match) for match in matches]
    order = date_order or decide_order(
        written, expected=expected, named=_named_dates(matches, written), name=name, ask=ask
    )
    dates = [_date_of(each, order) for each in written]
    _check_dates(dates, written, numbers, order, given=date_order is not None, name=name)
    words = [_plain_words(match["between"], match["after"]) for match in matches]
    hours = [int(match["hour"]) for match in matches]
    half = halves(hours, words, dates, name=name)
    heads: list[Head] = []
    doubtful = {number for number in candidates if number not in chosen} | inside
    for number, match, day, hour, word in zip(numbers, matches, dates, hours, words, strict=True):
        time = _time(day, hour_of_day(hour, half[word]), match)
        if time is None:
            doubtful.add(number)
        else:
            heads.append(Head(number, time, match.string[match.end() :]))
    return Heads(heads, order, shape, matches[0].group().strip(), sorted(doubtful))


def _candidates(lines: Sequence[str]) -> Iterator[tuple[int, re.Match[str]]]:
    for number, line in enumerate(lines):
        match = HEAD.match(line) or TIME_FIRST.match(line)
        if match is not None and (match["open"] == "[") == (match["close"] == "]"):
            yield number, match


def _shape(match: re.Match[str]) -> Shape:
    return Shape(
        match.re is TIME_FIRST,
        match["open"],
        match["separator"],
        match["colon"],
        match["seconds"] is not None,
        match["close"].strip(),
    )


def _elect(candidates: dict[int, re.Match[str]]) -> Shape:
    """The shape of the heads: the first one's, unless others are far more.

    A pasted chat can have more lines than what is around it, but it does not come first.
    """
    votes = Counter(map(_shape, candidates.values()))
    first = _shape(next(iter(candidates.values())))
    most, count = votes.most_common(1)[0]
    return first if 5 * votes[first] >= count else most


def _inside_messages(lines: Sequence[str], chosen: dict[int, re.Match[str]]) -> set[int]:
    """The numbers of those of *chosen* that stand within a message.

    On an iPhone a message ends in CR LF, and lines within it in LF. So where both kinds of line
    ends are there, and all but few heads come after CR LF, those few are text.
    """
    within = {number for number in chosen if number and not lines[number - 1].endswith("\r")}
    return within if len(within) * 20 < len(chosen) else set()


def _written(match: re.Match[str]) -> Written:
    return Written((match["first"], match["second"], match["third"]), match["separator"])


@lru_cache(maxsize=4096)
def _date_of(written: Written, order: DateOrder) -> date | None:
    return read_date(written, order)


@lru_cache(maxsize=4096)
def _plain_words(between: str, after: str) -> str:
    return plain(between + after)


_MEDIA_DATE = re.compile(r"-?(20\d\d)-?([01]\d)-?([0-3]\d)-(?:WA\d|\d\d-\d\d-\d\d)")


def _named_dates(
    matches: Sequence[re.Match[str]], written: Sequence[Written]
) -> Iterator[tuple[Written, date]]:
    """The dates beside which a media file is named for a day: IMG-20190101-WA0000.jpg."""
    for match, each in zip(matches, written, strict=True):
        named = _MEDIA_DATE.search(match.string, match.end())
        if named is not None:
            try:
                yield each, date(*map(int, named.groups()))
            except ValueError:
                continue


def _check_dates(
    dates: Sequence[date | None],
    written: Sequence[Written],
    numbers: Sequence[int],
    order: DateOrder,
    *,
    given: bool,
    name: str,
) -> None:
    """Refuse a file none of whose dates exist, or one that the order given does not fit."""
    impossible = [place for place, day in enumerate(dates) if day is None]
    if len(impossible) <= len(dates) * (0.05 if given else 0.99):  # single lines may be damaged
        return
    place = impossible[0]
    what = "read; years may be Gregorian, Thai (2567) or Persian (1403)"
    if given:
        what = f"of the order {order}; leave out --date-order, or import this file by itself"
    raise ChatError(f"{name}, line {numbers[place] + 1}: {written[place]} is no date {what}")


def _time(day: date | None, hour: int, match: re.Match[str]) -> datetime | None:
    if day is None:
        return None
    try:
        return datetime(
            day.year, day.month, day.day, hour, int(match["minute"]), int(match["seconds"] or 0)
        )
    except ValueError:
        return None
