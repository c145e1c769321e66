"""Times of a table as people and spreadsheets write them: "31.12.2022 23:59", "Dec 31, 2022 11 PM".

The order of day, month and year is that of all rows together, as in WhatsApp's texts.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

from pytok.chat.formats.times import read_time
from pytok.chat.import_options import ImportOptions
from pytok.chat.months import find_date
from pytok.chat.whatsapp.dates import WrittenDate, decide_order, read_date
from pytok.errors import ChatError

_DATE = re.compile(r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})(?!\d)")
_CLOCK = re.compile(
    r"(?:[\s,T]{1,3}|,? at )(\d{1,2})(?:[:.](\d\d))?(?:[:.](\d\d))?(?:\s?([ap])\.?\s?m\.?)?",
    re.IGNORECASE,
)


def read_times(
    values: Sequence[tuple[int, Any]], name: str, options: ImportOptions
) -> list[datetime]:
    """Return the times of *values*, pairs of a line of the file *name* and a value of any type.

    Raises ChatError with the line of a value that is not a time, and if the order of the dates is
    ambiguous and neither `ImportOptions.date_order` nor `ImportOptions.ask` is given.
    """
    read = [_read(value, f"{name}, line {number}") for number, value in values]
    written = [each[0] for each in read if not isinstance(each, datetime)]
    unordered = [each for each in written if isinstance(each, WrittenDate)]
    order = options.date_order
    if unordered and order is None:
        order = decide_order(unordered, expected=None, named=(), name=name, ask=options.ask)
    times: list[datetime] = []
    for (number, value), each in zip(values, read, strict=True):
        if isinstance(each, datetime):
            times.append(each)
            continue
        day, clock = each
        if isinstance(day, WrittenDate):
            assert order is not None, "decided above"
            found = read_date(day, order)
            if found is None:
                raise ChatError(f"{name}, line {number}: {value!r} is not a date in {order} order")
            day = found
        times.append(datetime.combine(day, clock))
    return times


def _read(value: Any, line: str) -> datetime | tuple[WrittenDate | date, time]:
    """Return the time that *value* is, or its date and time of day. Raises ChatError."""
    try:
        return read_time(value)
    except ValueError:
        pass
    text = value.strip() if isinstance(value, str) else ""
    numeric = _DATE.match(text)
    found = find_date(text)
    day: WrittenDate | date | None = None
    end = 0
    if numeric is not None:
        day, end = WrittenDate((numeric[1], numeric[3], numeric[4]), numeric[2]), numeric.end()
    elif found is not None:
        day, end = found
    clock = _CLOCK.fullmatch(text, end)
    if day is None or clock is None:
        raise ChatError(f"{line}: time is {value!r:.60}, not like 2022-12-31T23:59:59")
    try:
        return day, _time_of_day(clock)
    except ValueError:
        raise ChatError(f"{line}: time is {value!r:.60}, which does not exist") from None


def _time_of_day(clock: re.Match[str]) -> time:
    hour = int(clock[1])
    if clock[4]:
        if not 1 <= hour <= 12:
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if clock[4] in "pP" else 0)
    return time(hour, int(clock[2] or 0), int(clock[3] or 0))
