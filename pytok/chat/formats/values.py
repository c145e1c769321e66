"""Values of JSON that are not trusted: of the expected type, or empty."""

from collections.abc import Iterable
from typing import Any

MAX_REACTIONS = 1_000
"""Reactions to a message that are kept; a count comes from the file, and would fill the memory."""


def words(value: Any) -> str:
    """Return *value* if it is a string, else ""."""
    return value if isinstance(value, str) else ""


def items(value: Any) -> list[Any]:
    """Return *value* if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def fields(value: Any) -> dict[str, Any]:
    """Return *value* if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def reactions(counts: Iterable[tuple[Any, Any]]) -> tuple[str, ...]:
    """Return each emoji of *counts*, pairs of an emoji and a number of people, once per person.

    It is there once if the number is none. At most `MAX_REACTIONS` are returned.
    """
    found: list[str] = []
    for emoji, count in counts:
        number = count if isinstance(count, int) else 1
        found += [str(emoji)] * min(max(number, 1), MAX_REACTIONS - len(found))
    return tuple(found)
