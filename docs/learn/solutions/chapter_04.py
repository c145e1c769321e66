"""Solutions of chapter 4."""

from collections import Counter
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import pairwise

from pytok.reference.bpe import byte_ids, merge

Pair = tuple[int, int]


def merge_with_changes(
    ids: list[int], pair: Pair, new_id: int
) -> tuple[list[int], dict[Pair, int]]:
    """Merge *pair* in *ids*, and return the result and what it changes in the counts of pairs.

    The changes are the count after minus the count before of each pair of neighbors, for those
    pairs for which it is not zero. Merging (1, 2) into 256 in [0, 1, 2] gives [0, 256] and
    {(0, 1): -1, (1, 2): -1, (0, 256): 1}.
    """
    merged = merge(ids, pair, new_id)
    changes = Counter(pairwise(merged))
    changes.subtract(pairwise(ids))
    return merged, {pair: change for pair, change in changes.items() if change}


def pop_best(heap: list[tuple[int, Pair]], pairs: dict[Pair, int]) -> Pair | None:
    """Take the most frequent pair from *heap*, or return None if none occurs any more.

    *pairs* has the current counts; a pair that it lacks has count 0. An entry (-count, pair) of
    the heap (`heapq`) can be old: its count may have fallen since. An old entry of a pair that
    still occurs goes back into the heap, with the current count.
    """
    while heap:
        count, pair = heappop(heap)
        current = pairs.get(pair, 0)
        if current and -count == current:
            return pair
        if current:
            heappush(heap, (-current, pair))
    return None


def encode_all(pieces: list[str], encode: Callable[[str], list[int]]) -> list[int]:
    """Return the ids of all *pieces*, in order; *encode* is called once for each distinct piece."""
    known = {piece: encode(piece) for piece in dict.fromkeys(pieces)}
    return [id for piece in pieces for id in known[piece]]


def train(pieces: Counter[str], size: int) -> dict[Pair, int]:
    """Return the id of each merged pair, in the order of training, as `pytok.reference.bpe` does.

    *pieces* has the count of each distinct piece, whose ids `pytok.reference.bpe.byte_ids` gives.
    New ids follow from 256 up to *size*; of equally frequent pairs, the one with the smallest ids
    is merged. A merge visits only words that contain its pair, and only pairs that it changes.
    """
    words = [byte_ids(piece) for piece in pieces]
    counts = list(pieces.values())
    pairs: Counter[Pair] = Counter()
    where: dict[Pair, set[int]] = {}
    for index, ids in enumerate(words):
        for pair in pairwise(ids):
            pairs[pair] += counts[index]
            where.setdefault(pair, set()).add(index)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapify(heap)
    merges: dict[Pair, int] = {}
    while 256 + len(merges) < size and (best := pop_best(heap, pairs)) is not None:
        new_id = 256 + len(merges)
        merges[best] = new_id
        new_pairs = set()
        for index in where.pop(best):
            words[index], changes = merge_with_changes(words[index], best, new_id)
            for pair, change in changes.items():
                pairs[pair] += change * counts[index]
                if new_id in pair:
                    where.setdefault(pair, set()).add(index)
                    new_pairs.add(pair)
        for pair in new_pairs:
            heappush(heap, (-pairs[pair], pair))
    return merges
