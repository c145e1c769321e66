"""A history that an earlier import wrote, as one more source."""

from collections.abc import Sequence
from typing import Any

from pytok.chat.record import from_dict
from pytok.chat.source import Source
from pytok.errors import ChatError


def is_history(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries*, pairs of line and JSON value, are messages of a history."""
    return any(isinstance(entry, dict) and "time" in entry for _, entry in entries[:1])


def read_history(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Read the output of an earlier import from the file *name*. Raises ChatError."""
    messages = []
    for number, entry in entries:
        try:
            messages.append(from_dict(entry))
        except ChatError as error:
            raise ChatError(f"{name}, line {number}: {error}") from None
    return Source(name=name, format="history of an earlier import", messages=messages)
