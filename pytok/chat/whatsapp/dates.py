"""Which of the three numbers of a date is the day: decided by evidence, or asked.

Unicode's locale data (CLDR 47) knows three facts about short dates: month first is written with
slashes only; dots and dashes with the year last are day first; and some locales begin with a year
of two digits. The rest the chat itself tells: no month is above 12, time goes on, and the days
between messages are few under the right order, and many under a wrong one.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Literal, NamedTuple, TypeAlias

from pytok.errors import ChatError

DateOrder: TypeAlias = Literal["dmy", "mdy", "ymd", "ydm"]
ORDER_NAMES: Mapping[DateOrder, str] = {
    "dmy": "day first",
    "mdy": "month first",
    "ymd": "year first",
    "ydm": "year, day, month",
}

Ask: TypeAlias = Callable[[str, Mapping[DateOrder, date]], DateOrder]
"""Is shown a date as written, and what it may be; answers with the order."""

# All costs are logarithms of odds.
_IMPOSSIBLE = math.log(1e9)
_BACKWARDS = math.log(1000)
_BEFORE_WHATSAPP = math.log(50)
_MEDIA_NAME = math.log(20)
_DECIDED = math.log(19)
"""Nineteen to one: what is less sure is asked."""

_FIRST_YEAR = 2009


class Written(NamedTuple):
    """A date as it stands in a file: three numbers, as text, in order."""

    numbers: tuple[str, str, str]
    separator: str

    def __str__(self) -> str:
        return self.separator.join(self.numbers)


def decide_order(
    dates: Sequence[Written],
    *,
    expected: DateOrder | None,
    named: Iterable[tuple[Written, date]],
    name: str,
    ask: Ask | None,
) -> DateOrder:
    """The order of all *dates*, which are those of a file's messages in their order.

    *expected* is the order of the language that the file is in, where that is known; *named* are
    dates, each with the one that the name of a media file beside it tells. What nothing decides is
    left to *ask*; without it, raises ChatError for the file *name*.
    """
    steps = [now for before, now in zip([None, *dates], dates, strict=False) if now != before]
    costs = {order: _prior(order, steps[0], expected) for order in ORDER_NAMES}
    for order in ORDER_NAMES:
        costs[order] += _cost(order, steps)
    for written, told in named:
        for order in ORDER_NAMES:
            costs[order] += 0.0 if read_date(written, order) == told else _MEDIA_NAME
    best = min(costs.values())
    possible = [order for order in ORDER_NAMES if costs[order] < best + _DECIDED]
    # Where all dates are the same under two orders (5/5/24), there is nothing to ask.
    readings = {order: tuple(read_date(each, order) for each in steps) for order in possible}
    if len(set(readings.values())) == 1:
        return possible[0]
    example = next(each for each in steps if len({read_date(each, o) for o in possible}) > 1)
    meanings = {o: day for o in possible if (day := read_date(example, o)) is not None}
    if ask is not None:
        return ask(str(example), meanings)
    days = " or ".join(f"{day.day} {day:%B %Y}" for day in meanings.values())
    orders = " or ".join(meanings)
    raise ChatError(
        f"{name}: {example} may be {days}, and nothing in the file decides; give --date-order "
        f"{orders}"
    )


def _prior(order: DateOrder, example: Written, expected: DateOrder | None) -> float:
    """What speaks against *order* before any date is compared with the next."""
    cost = {"dmy": 0.0, "mdy": 0.0, "ymd": 3.0, "ydm": 6.0}[order]
    if order == "mdy" and example.separator != "/":
        cost += 4.0
    if order == expected:
        cost -= 6.0
    return cost


def _cost(order: DateOrder, steps: Sequence[Written]) -> float:
    """What speaks against *order* in the dates of a file, each unlike the one before."""
    year = order.index("y")
    before: date | None = None
    cost = 0.0
    for written in steps:
        day = read_date(written, order)
        if day is None or len(written.numbers[year]) not in (2, 4):
            cost += _IMPOSSIBLE
            continue
        if day.year < _FIRST_YEAR:
            cost += _BEFORE_WHATSAPP
        if before is not None:
            gap = (day - before).days
            cost += math.log1p(abs(gap)) + (_BACKWARDS if gap < 0 else 0.0)
        before = day
    return cost


def read_date(written: Written, order: DateOrder) -> date | None:
    """The day that *written* is in *order*, or None where there is no such day.

    Years of two digits are of this century. Years that can only be of Thailand's or of Iran's
    calendar are converted; those of the Islamic calendar, whose months follow the moon as it was
    seen, are no days here.
    """
    year, month, day = (int(written.numbers[order.index(part)]) for part in "ymd")
    if year < 100:
        # The Buddhist era is 543 years ahead: its 52 is 2009, and our 2052 is not yet.
        year += 2000 if year < 52 else 2500
    try:
        if 2400 <= year < 2700:
            return date(year - 543, month, day)
        if 1380 <= year < 1430:
            return _from_persian(year, month, day)
        return date(year, month, day) if year >= 1900 else None
    except ValueError:
        return None


_PERSIAN_EPOCH = 356_033
"""Days of the sum below, at the day whose ordinal is 0; 1 Farvardin 1403 is 20 March 2024."""


def _from_persian(year: int, month: int, day: int) -> date:
    """A date of Iran's solar calendar, by its cycle of 33 years; right from 1178 to 1633.

    Source: K. M. Borkowski, "The Persian calendar for 3000 years" (1996).
    """
    longest = 31 if month < 7 else 30
    if not (1 <= month <= 12 and 1 <= day <= longest):
        raise ValueError("no such day")
    cycles, rest = divmod(year + 1595, 33)
    days = 365 * (year + 1595) + cycles * 8 + (rest + 3) // 4
    days += (month - 1) * 31 if month < 7 else (month - 7) * 30 + 186
    return date.fromordinal(days + day - _PERSIAN_EPOCH)
