"""The longest beginning of a text that fits in a number of tokens."""

from collections.abc import Callable, Sequence

Offsets = Sequence[tuple[int, int]]
"""The start and the end of the characters that each id of a text stands for."""


def truncate(text: str, max_tokens: int, offsets: Offsets, count: Callable[[str], int]) -> str:
    """Return the beginning of *text* with at most *max_tokens* ids.

    *offsets* are those of all ids of *text*, or of the first *max_tokens* + 1; *count* returns the
    number of ids of a text.
    """
    # A beginning can have more ids by itself than it has within the text: then try a shorter one.
    for length in range(min(max_tokens, len(offsets)), 0, -1):
        beginning = text[: _end(offsets, length)]
        if count(beginning) <= max_tokens:
            return beginning
    return ""


def _end(offsets: Offsets, length: int) -> int:
    """Return where the first *length* ids end, at the end of a character.

    A character, or what is normalized together, can have several ids.
    """
    end = offsets[length - 1][1]
    return min([end, *(start for start, _ in offsets[length : length + 1])])
