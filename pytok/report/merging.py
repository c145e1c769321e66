"""Compression of a corpus by every smaller vocabulary, without encoding it again.

Encode a corpus once and count the uses of each token; how often each merge was applied follows
(`pytok.usage.applications`). Each application replaces two tokens by one, and merges are applied in
the order of ranks. So the number of tokens with the vocabulary of the first k tokens is the number
of bytes minus the applications of the merges below rank k.

This holds if every token except the bytes is merged from two tokens of lower rank, as in a trained
vocabulary (`unmerged` is empty). Then no merge of a higher rank comes before one of a lower rank,
and the bytes of a piece that is a token merge to that token.
"""

from collections.abc import Sequence

import numpy as np

from pytok.formats.merge_list import Merges
from pytok.usage import Counts

BYTES = 256
"""Size of the smallest vocabulary: the single bytes."""


def unmerged(tokens: Sequence[bytes], merges: Merges) -> tuple[bytes, ...]:
    """Return the tokens, except bytes, that no merge of two tokens of lower rank makes."""
    return tuple(
        token for token, pair in zip(tokens, merges, strict=True) if pair is None and len(token) > 1
    )


def has_prefixes(tokens: Sequence[bytes], merges: Merges) -> bool:
    """Return whether every smaller vocabulary of at least `BYTES` tokens is a prefix of *tokens*.

    Then the tokens are the single bytes, followed by merges of two tokens of lower rank.
    """
    are_bytes = [len(token) for token in tokens[: BYTES + 1]].count(1) == BYTES
    return are_bytes and not unmerged(tokens, merges)


def tokens_by_size(text_bytes: int, applied: Counts) -> Counts:
    """Return the number of tokens of a text of *text_bytes* with each vocabulary size from `BYTES`.

    Element n is for the first 256 + n tokens; *applied* is the result of
    `pytok.usage.applications`.
    """
    merged = np.cumsum(applied[BYTES:], dtype=np.int64)
    return text_bytes - np.concatenate([np.zeros(1, np.int64), merged])
