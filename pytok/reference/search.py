"""Special tokens in text: all of them in one pass. Twin of `bpe-rs/src/search.rs`."""

import re
from collections.abc import Collection


def search(texts: Collection[str]) -> re.Pattern[str] | None:
    """Finds the leftmost of *texts*, and of those the longest; ``None`` where there are none.

    >>> search(["<a>", "<a>b"]).search("x<a>b").span()
    (1, 5)
    """
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if texts else None
