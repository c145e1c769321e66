"""Values of JSON and tables that are not trusted: each has the expected type, or is an error."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

MAX_REACTIONS = 10_000
"""Reactions of one kind to a message that are kept; a count comes from the file, and would
otherwise fill the memory."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r" ?(?:(Z)|([+-])(\d\d):?(\d\d))?"
)


def read_epoch(value: Any, unit: timedelta = timedelta(seconds=1)) -> datetime:
    """Return the time *value*, a number or digits, in *unit* since 1970. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} is not a time")
    try:
        return _EPOCH + unit * (float(value) if isinstance(value, float) else int(value))
    except (OverflowError, ValueError):
        raise ValueError(f"{value!r} is not a time") from None


def read_iso(value: Any) -> datetime:
    """Return the time of an ISO 8601 string, with its offset if it has one. Raises ValueError.

    `datetime.fromisoformat` of Python 3.10 reads neither "Z" nor every number of decimals.
    """
    match = _ISO.fullmatch(value.strip()) if isinstance(value, str) and len(value) < 64 else None
    if match is None:
        raise ValueError(f"{value!r} is not a time like 2022-12-31T23:59:59")
    year, month, day, hour, minute, second, fraction, zulu, sign, hours, minutes = match.groups()
    zone = timezone.utc if zulu else None
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset)
    return datetime(
        int(year), int(month), int(day), int(hour), int(minute), int(second or 0),
        int((fraction or "0").ljust(6, "0")[:6]), zone,
    )  # fmt: skip


def words(value: Any) -> str:
    """Return *value* if it is a string, else ""."""
    return value if isinstance(value, str) else ""


def items(value: Any) -> list[Any]:
    """Return *value* if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def fields(value: Any) -> dict[str, Any]:
    """Return *value* if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def reactions(emoji: Any, count: Any) -> Iterator[str]:
    """Yield *emoji* once for each of *count* people, and once if that is no number."""
    number = count if isinstance(count, int) else 1
    yield from [str(emoji)] * min(max(number, 1), MAX_REACTIONS)
