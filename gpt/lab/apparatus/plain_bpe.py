"""Byte pair encoding by its definition, with nothing from our engines: what they must equal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

Pair = tuple[bytes, bytes]
PIECE = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
"""GPT-2's pattern in terms of `re`, for texts without numerals that are no decimal digits."""


def train(texts: Iterable[str], merges: int, order: Iterable[int]) -> list[Pair]:
    """Return the most frequent pair, counted again after each merge, *merges* times.

    Of equally frequent pairs it is the one of the smallest ids; *order* are the bytes by id.
    """
    ids = {bytes([byte]): id for id, byte in enumerate(order)}
    words = [(split(piece), count) for piece, count in Counter(pieces(texts)).items()]
    found: list[Pair] = []
    while len(found) < merges:
        pairs: Counter[Pair] = Counter()
        for tokens, count in words:
            for pair in pairwise(tokens):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], ids[pair[0]], ids[pair[1]]))
        found.append(best)
        ids.setdefault(best[0] + best[1], len(ids))
        words = [(merge(tokens, best), count) for tokens, count in words]
    return found


def encode(text: str, merges: Iterable[Pair]) -> list[bytes]:
    """Return the tokens of *text*: every merge, in the order of training, everywhere."""
    encoded = {}
    for piece in set(pieces([text])):
        tokens = split(piece)
        for pair in merges:
            tokens = merge(tokens, pair)
        encoded[piece] = tokens
    return [token for piece in pieces([text]) for token in encoded[piece]]


def pieces(texts: Iterable[str]) -> list[str]:
    """Return the pieces of *texts*, in order."""
    return [piece for text in texts for piece in PIECE.findall(text)]


def split(piece: str) -> list[bytes]:
    """Return the bytes of *piece*, one by one."""
    return [bytes([byte]) for byte in piece.encode()]


def merge(tokens: list[bytes], pair: Pair) -> list[bytes]:
    """Join each occurrence of *pair*, from left to right.

    >>> merge([b"a", b"a", b"a"], (b"a", b"a"))
    [b'aa', b'a']
    """
    merged: list[bytes] = []
    index = 0
    while index < len(tokens):
        joined = tuple(tokens[index : index + 2]) == pair
        merged.append(b"".join(pair) if joined else tokens[index])
        index += 2 if joined else 1
    return merged
