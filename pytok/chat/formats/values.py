"""Values of JSON that are not trusted: of the expected type, or empty."""

from collections.abc import Iterator
from typing import Any

MAX_REACTIONS = 10_000
"""Reactions of one kind to a message that are kept; a count comes from the file, and would
otherwise fill the memory."""


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
    """Yield *emoji* once for each of *count* people, and once if that is not a number."""
    number = count if isinstance(count, int) else 1
    yield from [str(emoji)] * min(max(number, 1), MAX_REACTIONS)
