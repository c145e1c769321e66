"""Inference of the order of day, month and year in dates, from evidence or by asking the user.

Unicode's locale data (CLDR 47) has three facts about short dates: month-first dates use only
slashes; dates with dots or dashes and the year last are day-first; and some locales start with a
two-digit year. The chat itself gives the rest: no month is above 12, times increase, and under the
correct order the gaps between messages are small.
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

AskDateOrder: TypeAlias = Callable[[str, Mapping[DateOrder, date]], DateOrder]
"""Callback with an ambiguous date as written, and its possible meanings; returns the order."""

# All costs are log-odds against an order.
_IMPOSSIBLE = math.log(1e9)
_BACKWARDS = math.log(1000)
_BEFORE_WHATSAPP = math.log(50)
_MEDIA_NAME = math.log(20)
_DECIDED = math.log(19)
"""Odds of 19 to 1; with less, the order is ambiguous."""

_FIRST_YEAR = 2009


class WrittenDate(NamedTuple):
    """A date as written: three numbers, as text, and their separator."""

    numbers: tuple[str, str, str]
    separator: str

    def __str__(self) -> str:
        return self.separator.join(self.numbers)


def decide_order(
    dates: Sequence[WrittenDate],
    *,
    expected: DateOrder | None,
    named: Iterable[tuple[WrittenDate, date]],
    name: str,
    ask: AskDateOrder | None,
) -> DateOrder:
    """Return the order of *dates*, the dates of all messages of a file in sequence.

    *expected* is the usual order in the language of the file, if known. *named* pairs dates with
    the actual date in the name of a media file next to them. An ambiguous order is resolved by
    *ask*; if it is None, raises ChatError for the file *name*.
    """
    # Repeated dates carry no evidence: only changes count.
    steps = [each for last, each in zip([None, *dates], dates, strict=False) if each != last]
    costs = {order: _prior_cost(order, steps[0], expected) for order in ORDER_NAMES}
    for order in ORDER_NAMES:
        costs[order] += _sequence_cost(order, steps)
    for written, actual in named:
        for order in ORDER_NAMES:
            costs[order] += 0.0 if read_date(written, order) == actual else _MEDIA_NAME
    best = min(costs.values())
    possible = [order for order in ORDER_NAMES if costs[order] < best + _DECIDED]
    # If all dates are the same under two orders (5/5/24), the choice does not matter.
    readings = {order: tuple(read_date(each, order) for each in steps) for order in possible}
    if len(set(readings.values())) == 1:
        return possible[0]
    example = next(each for each in steps if len({read_date(each, o) for o in possible}) > 1)
    meanings = {o: day for o in possible if (day := read_date(example, o)) is not None}
    if ask is not None:
        return ask(str(example), meanings)
    choices = " or ".join(
        f"--date-order {order} ({day.day} {day:%B %Y})" for order, day in meanings.items()
    )
    raise ChatError(f"{name}: the date {example} is ambiguous; say what it means with {choices}")


def _prior_cost(order: DateOrder, example: WrittenDate, expected: DateOrder | None) -> float:
    """Return the cost of *order* before dates are compared: by frequency, separator, language."""
    cost = {"dmy": 0.0, "mdy": 0.0, "ymd": 3.0, "ydm": 6.0}[order]
    if order == "mdy" and example.separator != "/":
        cost += 4.0
    if order == expected:
        cost -= 6.0
    return cost


def _sequence_cost(order: DateOrder, steps: Sequence[WrittenDate]) -> float:
    """Return the cost of *order* for a sequence of dates without consecutive duplicates."""
    year = order.index("y")
    previous: date | None = None
    cost = 0.0
    for written in steps:
        day = read_date(written, order)
        if day is None or len(written.numbers[year]) not in (2, 4):
            cost += _IMPOSSIBLE
            continue
        if day.year < _FIRST_YEAR:
            cost += _BEFORE_WHATSAPP
        if previous is not None:
            gap = (day - previous).days
            cost += math.log1p(abs(gap)) + (_BACKWARDS if gap < 0 else 0.0)
        previous = day
    return cost


def read_date(written: WrittenDate, order: DateOrder) -> date | None:
    """Interpret *written* in *order*; return None if the date does not exist.

    Two-digit years are in this century. Years that are only possible in the Thai or Persian
    calendar are converted. Years of the Islamic calendar give None, since its months depend on
    observations of the moon.
    """
    year, month, day = (int(written.numbers[order.index(part)]) for part in "ymd")
    if year < 100:
        # The Buddhist era is 543 years ahead: its year (25)52 is 2009; 2052 is in the future.
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
"""Value of the sum below for the day with ordinal 0; 1 Farvardin 1403 is 20 March 2024."""


def _from_persian(year: int, month: int, day: int) -> date:
    """Convert a date of the Persian calendar by its cycle of 33 years, correct from 1178 to 1633.

    Source: K. M. Borkowski, "The Persian calendar for 3000 years" (1996).
    """
    longest = 31 if month < 7 else 30
    if not (1 <= month <= 12 and 1 <= day <= longest):
        raise ValueError("no such day")
    cycles, rest = divmod(year + 1595, 33)
    days = 365 * (year + 1595) + cycles * 8 + (rest + 3) // 4
    days += (month - 1) * 31 if month < 7 else (month - 7) * 30 + 186
    return date.fromordinal(days + day - _PERSIAN_EPOCH)
