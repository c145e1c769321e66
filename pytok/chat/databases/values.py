"""What a column holds, as the type that is wanted; SQLite lets any column hold anything.

All but `label` raise ValueError for what is nothing of the kind; the row is then told of as one
that could not be read.
"""

from datetime import datetime, timedelta, timezone
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_APPLE_EPOCH = datetime(2001, 1, 1, tzinfo=timezone.utc)


def text(value: Any) -> str:
    """*value* as words; "" for none."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()  # UnicodeDecodeError is a ValueError
    return str(value)


def label(value: Any) -> str:
    """*value* as a name or an address, whatever it is; "" for none."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else text(value)


def integer(value: Any) -> int:
    """*value* as a whole number; 0 for none. Old files hold some as text."""
    if value is None or value == "":
        return 0
    if isinstance(value, (int, float, str)):
        try:
            return int(value)
        except OverflowError:  # infinity
            pass
    raise ValueError(f"{value!r:.40} is no whole number")


def moment(milliseconds: Any) -> datetime:
    """A time of Android's: milliseconds since 1970 to a time in UTC."""
    count = integer(milliseconds)
    if count <= 0:
        raise ValueError("it has no time")
    return _after(_EPOCH, timedelta(milliseconds=count) if count < 1 << 48 else None)


def apple_moment(seconds: Any) -> datetime:
    """A time of Apple's: seconds since 2001 to a time in UTC, exact to a millisecond."""
    if not isinstance(seconds, (int, float)) or not abs(seconds) < 1 << 38:
        raise ValueError("it has no time")
    return _after(_APPLE_EPOCH, timedelta(milliseconds=round(seconds * 1000)))


def _after(epoch: datetime, passed: timedelta | None) -> datetime:
    try:
        if passed is not None:
            return epoch + passed
    except OverflowError:
        pass
    raise ValueError("its time is beyond the year 9999")
