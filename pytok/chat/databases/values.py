"""Conversion of column values to expected types; in SQLite any column can hold any type.

All functions except `label` raise ValueError for an invalid value; callers then report the row as
unreadable.
"""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_APPLE_EPOCH = datetime(2001, 1, 1, tzinfo=timezone.utc)


def text(value: Any) -> str:
    """Convert *value* to a string; None becomes ""."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()  # UnicodeDecodeError is a ValueError
    return str(value)


def label(value: Any) -> str:
    """Convert *value* to a name or an address without failing; None becomes ""."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else text(value)


def integer(value: Any) -> int:
    """Convert *value* to an integer; None and "" become 0. Old files store some as text."""
    if value is None or value == "":
        return 0
    if isinstance(value, (int, float, str)):
        try:
            return int(value)
        except (OverflowError, ValueError):  # infinity, NaN, or words
            pass
    raise ValueError(f"{value!r:.40} is not an integer")


def column(name: str, convert: Callable[[Any], T], value: Any) -> T:
    """Return ``convert(value)``; an error names the column *name*."""
    try:
        return convert(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def android_time(milliseconds: Any) -> datetime:
    """Convert milliseconds since 1970 to a time in UTC."""
    count = integer(milliseconds)
    if count <= 0:
        raise ValueError("it has no time")
    return _after(_EPOCH, timedelta(milliseconds=count) if count < 1 << 48 else None)


def apple_time(seconds: Any) -> datetime:
    """Convert seconds since 2001 to a time in UTC, rounded to milliseconds."""
    if not isinstance(seconds, (int, float)) or not abs(seconds) < 1 << 38:
        raise ValueError("it has no time")
    return _after(_APPLE_EPOCH, timedelta(milliseconds=round(seconds * 1000)))


def _after(epoch: datetime, elapsed: timedelta | None) -> datetime:
    try:
        if elapsed is not None:
            return epoch + elapsed
    except OverflowError:
        pass
    raise ValueError("its time is beyond the year 9999")
