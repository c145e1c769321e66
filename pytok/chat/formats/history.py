"""A history that an earlier import wrote, as one more source."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pytok.chat.record import FIELDS, from_dict
from pytok.chat.source import Source
from pytok.errors import ChatError


def is_history(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries*, pairs of line and JSON value, are messages of a history."""
    first = entries[0][1] if entries else None
    return isinstance(first, dict) and "time" in first and first.keys() <= FIELDS


def is_history_time(value: Any) -> bool:
    """Return whether *value* is a time as a history has it."""
    try:
        return isinstance(value, str) and datetime.fromisoformat(value) is not None
    except ValueError:
        return False


def read_history(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Read the output of an earlier import from the file *name*. Raises ChatError."""
    messages = []
    for number, entry in entries:
        try:
            messages.append(from_dict(entry))
        except ChatError as error:
            raise ChatError(f"{name}, line {number}: {error}") from None
    return Source(name=name, format="history of an earlier import", messages=messages)
