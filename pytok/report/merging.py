"""Compression of a corpus by every smaller vocabulary, without encoding it again.

The tokens of a text are the roots of trees: a token was merged from two tokens, and each of these
from two, down to the bytes. Encode a corpus once and count the uses of each token. Then, from the
highest rank down, add the uses of a token to those of the two tokens that it was merged from. The
result for each token is the number of its nodes in all trees: how often its merge was applied. Each
application replaces two tokens by one, and merges are applied in the order of ranks. So the number
of tokens with the vocabulary of the first k tokens is the number of bytes minus the applications of
the merges below rank k.

This holds if every token except the bytes is merged from two tokens of lower rank, as in a trained
vocabulary (`unmerged` is empty). Then no merge of a higher rank comes before one of a lower rank,
and the bytes of a piece that is a token merge to that token.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pytok.formats.merge_list import Merges

Counts = npt.NDArray[np.int64]

BYTES = 256
"""Size of the smallest vocabulary: the single bytes."""


def unmerged(tokens: Sequence[bytes], merges: Merges) -> tuple[bytes, ...]:
    """Return the tokens after the first `BYTES` that no merge of two tokens of lower rank makes."""
    return tuple(
        token for token, pair in zip(tokens[BYTES:], merges[BYTES:], strict=True) if pair is None
    )


def applications(uses: Counts, merges: Merges) -> Counts:
    """Return the number of nodes of each token in all trees.

    For a merged token, this is how often its merge was applied. *uses*, shape (tokens,), are the
    occurrences in the encoded corpus; both are in rank order.

    >>> merges = [None] * 256 + [(71, 68), (83, 256)]  # h + e, t + he
    >>> uses = np.bincount([257, 257, 256], minlength=258)  # the the he
    >>> applications(uses, merges)[[256, 257, 83]]
    array([3, 2, 2])
    """
    nodes: list[int] = uses.tolist()
    for rank in range(len(nodes) - 1, BYTES - 1, -1):
        pair = merges[rank]
        if pair is not None:
            nodes[pair[0]] += nodes[rank]
            nodes[pair[1]] += nodes[rank]
    return np.array(nodes, dtype=np.int64)


def tokens_by_size(text_bytes: int, applied: Counts) -> Counts:
    """Return the number of tokens of a text of *text_bytes* with each vocabulary size from `BYTES`.

    Element n is for the first 256 + n tokens; *applied* is the result of `applications`.
    """
    merged = np.cumsum(applied[BYTES:], dtype=np.int64)
    return text_bytes - np.concatenate([np.zeros(1, np.int64), merged])
