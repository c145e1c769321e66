"""Byte pair encoding (BPE) on one page: train, encode, decode.

A pattern splits text into pieces, roughly words, and each piece is a sequence of bytes. Training
merges the most frequent pair of neighboring tokens into a new token, again and again (Sennrich et
al. 2016, arXiv:1508.07909). Encoding replays these merges on any text. No token crosses the border
between two pieces.

Both engines give the same ids, much faster. docs/learn/02-bpe.md builds this page step by step,
chapter 4 there makes it fast. Read next: `pretokenize`, which splits by a pattern; `train`, which
updates the pair counts that this page recounts; `encode`, which merges with a heap; `search` and
`core`, which handle special tokens.

>>> merges = train(["aaabdaaabac"], vocab_size=259)
>>> vocabulary(merges)[256:]
[b'aa', b'ab', b'aaab']
>>> encode("aaabac", merges)
[258, 64, 66]
>>> decode([258, 64, 66], merges)
'aaabac'
"""

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from pytok.byte_order import BYTE_ORDER
from pytok.reference.pretokenize import Pattern

Pair = tuple[int, int]


def train(texts: Iterable[str], vocab_size: int, pattern: str = "gpt2") -> dict[Pair, int]:
    """Return the id of each merged pair, in the order of training.

    Ids 0 to 255 are the single bytes, ids from 256 the merges. Training stops before *vocab_size*
    if every piece has become a single token.
    """
    pieces = Counter(piece for text in texts for piece in Pattern(pattern).split(text))
    # Equal pieces are merged in the same way, so each is stored once, with its count.
    words = [(byte_ids(piece), count) for piece, count in pieces.items()]
    merges: dict[Pair, int] = {}
    for new_id in range(256, vocab_size):
        pairs: Counter[Pair] = Counter()
        for ids, count in words:
            for pair in pairwise(ids):
                pairs[pair] += count
        if not pairs:
            break
        # The most frequent pair; of equally frequent ones, the one with the smallest ids.
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges[best] = new_id
        words = [(merge(ids, best, new_id), count) for ids, count in words]
    return merges


def encode(text: str, merges: dict[Pair, int], pattern: str = "gpt2") -> list[int]:
    """Return the ids of *text*; *pattern* is the one of training."""
    encoded = []
    for piece in Pattern(pattern).split(text):
        ids = byte_ids(piece)
        while len(ids) > 1:
            # The merge learned first: later merges can contain its token.
            earliest = min(pairwise(ids), key=lambda pair: merges.get(pair, math.inf))
            if earliest not in merges:
                break
            ids = merge(ids, earliest, merges[earliest])
        encoded += ids
    return encoded


def decode(ids: Iterable[int], merges: dict[Pair, int]) -> str:
    """Return the text of *ids*. Bytes that are not UTF-8 become the replacement character."""
    tokens = vocabulary(merges)
    return b"".join(tokens[id] for id in ids).decode(errors="replace")


def vocabulary(merges: dict[Pair, int]) -> list[bytes]:
    """Return the bytes of every token, by id."""
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return tokens


def byte_ids(piece: str) -> list[int]:
    """Return the id of each byte of *piece* in UTF-8: its index in GPT-2's order of the bytes.

    >>> byte_ids("!é")
    [0, 127, 102]
    """
    return [BYTE_ORDER.index(byte) for byte in piece.encode()]


def merge(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    """Replace each occurrence of *pair* in *ids* with *new_id*, from left to right.

    >>> merge([5, 5, 5, 6], pair=(5, 5), new_id=256)
    [256, 5, 6]
    """
    merged: list[int] = []
    for id in ids:
        if merged and (merged[-1], id) == pair:
            merged[-1] = new_id
        else:
            merged.append(id)
    return merged
