"""Solutions of chapter 2."""

from collections import Counter
from itertools import pairwise

Pair = tuple[int, int]


def _merge(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    """Replace each occurrence of *pair*, from left to right."""
    merged: list[int] = []
    for id in ids:
        if merged and (merged[-1], id) == pair:
            merged[-1] = new_id
        else:
            merged.append(id)
    return merged


def train_until(text: str, min_count: int) -> dict[Pair, int]:
    """Return the id of each merged pair; no pair that occurs less than *min_count* times is merged.

    As `train` of the chapter, which stops at a size of the vocabulary instead. Of equally frequent
    pairs, merge the one that occurs first in the text. *min_count* is at least 1.
    """
    ids = list(text.encode())
    merges: dict[Pair, int] = {}
    while True:
        pairs = Counter(pairwise(ids))
        if max(pairs.values(), default=0) < min_count:
            return merges
        best = max(pairs, key=lambda pair: pairs[pair])
        merges[best] = 256 + len(merges)
        ids = _merge(ids, best, merges[best])


def count_merges(ids: list[int], pair: Pair) -> int:
    """Return how often *pair* can be merged in *ids*, from left to right.

    Overlapping occurrences do not count: in [97, 97, 97, 97] the pair (97, 97) is merged twice.
    """
    count = index = 0
    while index + 1 < len(ids):
        if (ids[index], ids[index + 1]) == pair:
            count += 1
            index += 1
        index += 1
    return count


def decode_checked(ids: list[int], tokens: list[bytes]) -> str:
    """Return the text of *ids*, where *tokens* has the bytes of each.

    Bytes that are not UTF-8 become the replacement character. An id that is negative or too large
    raises a ValueError that names the id and its position in *ids*, both as digits.
    """
    for position, id in enumerate(ids):
        if not 0 <= id < len(tokens):
            raise ValueError(f"id {id} at position {position}: ids are 0 to {len(tokens) - 1}")
    return b"".join(tokens[id] for id in ids).decode(errors="replace")


def encode_in_order(text: str, merges: dict[Pair, int]) -> list[int]:
    """Return the ids of *text*: apply every merge, in the order of training, to the whole text."""
    ids = list(text.encode())
    for pair, new_id in merges.items():
        ids = _merge(ids, pair, new_id)
    return ids
