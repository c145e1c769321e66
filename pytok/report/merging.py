"""How well every smaller vocabulary compresses a corpus, without encoding it again.

A text's tokens are the roots of trees: a token was merged from two, and these from two, down to the
bytes. Let a corpus be encoded once and each token's uses be counted. From the highest rank down, a
token's uses pass to the two tokens that made it, so that each has in the end its uses in the whole
trees: how often its merge was applied. Each application makes one token of two, and merges are
applied in the order of ranks. So the vocabulary of the first k tokens leaves as many tokens as
there are bytes, less the applications of the merges below rank k.

This holds where every token but the bytes is merged from two of lower rank, as in a vocabulary that
was trained (`unmade` is empty): then no merge of a higher rank comes before one of a lower, and a
piece that is a token is also what its bytes merge to.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pytok.formats.merge_list import Merges

Counts = npt.NDArray[np.int64]

BYTES = 256
"""The smallest vocabulary: the single bytes."""


def unmade(tokens: Sequence[bytes], merges: Merges) -> tuple[bytes, ...]:
    """The tokens beyond the first `BYTES` that no merge of two tokens of lower rank makes."""
    return tuple(
        token for token, pair in zip(tokens[BYTES:], merges[BYTES:], strict=True) if pair is None
    )


def applications(uses: Counts, merges: Merges) -> Counts:
    """How often each token occurs in all trees; beyond the bytes, how often its merge was applied.

    *uses*, shape (tokens,), are its occurrences in the encoded corpus; both are in rank order.

    >>> merges = [None] * 256 + [(71, 68), (83, 256)]  # h + e, t + he
    >>> uses = np.bincount([257, 257, 256], minlength=258)  # the the he
    >>> applications(uses, merges)[[256, 257, 83]]
    array([3, 2, 2])
    """
    trees: list[int] = uses.tolist()
    for rank in range(len(trees) - 1, BYTES - 1, -1):
        pair = merges[rank]
        if pair is not None:
            trees[pair[0]] += trees[rank]
            trees[pair[1]] += trees[rank]
    return np.array(trees, dtype=np.int64)


def tokens_by_size(text_bytes: int, applied: Counts) -> Counts:
    """How many tokens *text_bytes* of text are in the vocabulary of each size, from `BYTES` on.

    Element n is for the first 256 + n tokens; *applied* is what `applications` gives.
    """
    merged = np.cumsum(applied[BYTES:], dtype=np.int64)
    return text_bytes - np.concatenate([np.zeros(1, np.int64), merged])
