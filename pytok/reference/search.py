"""Search for all special tokens in one pass over the text. Twin of `bpe-rs/src/search.rs`."""

import re
from collections.abc import Collection


def search(texts: Collection[str]) -> re.Pattern[str] | None:
    """Return a regex for the leftmost of *texts*, at equal starts the longest; ``None`` for none.

    >>> search(["<a>", "<a>b"]).search("x<a>b").span()
    (1, 5)
    """
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if texts else None
