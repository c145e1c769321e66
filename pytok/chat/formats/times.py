"""Times as other software writes them: numbers since 1970, and dates with a time of day."""

import re
from datetime import datetime, timedelta, timezone
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_WRITTEN = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})[T\s]{1,2}(\d{1,2}):(\d{2})(?::(\d{2}))?(?:[.,](\d{1,9}))?"
    r"\s?([AaPp][Mm])?\s?(Z|[+-]\d{2}:?\d{2})?"
)


def read_time(value: Any, *, milliseconds: bool = False) -> datetime:
    """Return the time that *value* is: in UTC for a number, else as written, with its zone if any.

    A number is in seconds since 1970, or in *milliseconds*, as is one that would be after the year
    5138. Raises ValueError that says what is wrong.
    """
    if isinstance(value, str):
        stripped = value.strip()
        match = _WRITTEN.fullmatch(stripped)
        if match is not None:
            return _written(match)
        if stripped.isascii() and stripped.isdigit() and len(stripped) < 17:
            value = int(stripped)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            seconds = value / 1000 if milliseconds or abs(value) >= 1e11 else value
            return _EPOCH + timedelta(seconds=seconds)
        except (OverflowError, ValueError):  # ValueError: NaN
            pass
    raise ValueError(f"{value!r:.40} is not a time")


def _written(match: re.Match[str]) -> datetime:
    year, month, day, hour, minute = (int(number) for number in match.groups()[:5])
    if (half := (match[8] or "").lower()) and hour <= 12:
        hour = hour % 12 + (12 if half == "pm" else 0)
    zone = None
    try:
        if match[9] == "Z":
            zone = timezone.utc
        elif match[9]:
            hours, minutes = int(match[9][1:3]), int(match[9][-2:])
            offset = timedelta(hours=hours, minutes=minutes)
            zone = timezone(-offset if match[9][0] == "-" else offset)
        microsecond = int((match[7] or "").ljust(6, "0")[:6])
        return datetime(
            year, month, day, hour, minute, int(match[6] or 0), microsecond, tzinfo=zone
        )
    except ValueError:
        raise ValueError(f"{match[0]!r:.40} is not a time") from None
