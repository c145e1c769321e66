"""The longest beginning of a text that fits in a number of tokens."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator

from pytok.engine import Core


def truncate(
    core: Core,
    text: str,
    max_tokens: int,
    found: Iterable[re.Match[str]],
    count: Callable[[str], int],
) -> str:
    """Return the beginning of *text* with at most *max_tokens* ids.

    *found* are the special tokens in *text*; *count* returns the number of ids of a text.
    """
    lengths = itertools.islice(_token_lengths(core, text, found), max_tokens)
    utf8 = text.encode()
    # A beginning can have more ids by itself than it has within the text: then try a shorter one.
    for end in reversed([0, *itertools.accumulate(lengths)]):
        beginning = utf8[:end].decode("utf-8", "ignore")
        if count(beginning) <= max_tokens:
            return beginning
    return ""


def _token_lengths(core: Core, text: str, found: Iterable[re.Match[str]]) -> Iterator[int]:
    """Yield the number of bytes of *text* that each of its ids stands for."""
    start = 0
    for special in found:
        yield from _ordinary_lengths(core, text[start : special.start()])
        # Two special tokens can share an id, which decodes to one of them: take the text's.
        yield len(special[0].encode())
        start = special.end()
    yield from _ordinary_lengths(core, text[start:])


def _ordinary_lengths(core: Core, text: str) -> Iterator[int]:
    for id in core.encode(text, None):
        yield len(core.token(id) or b"")
