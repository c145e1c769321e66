"""Exercises of chapter 4: training without doing work twice."""

from collections import Counter
from collections.abc import Callable

Pair = tuple[int, int]


def merge_with_changes(
    ids: list[int], pair: Pair, new_id: int
) -> tuple[list[int], dict[Pair, int]]:
    """Merge *pair* in *ids*, and return the result and what it changes in the counts of pairs.

    The changes are the count after minus the count before of each pair of neighbors, for those
    pairs for which it is not zero. Merging (1, 2) into 256 in [0, 1, 2] gives [0, 256] and
    {(0, 1): -1, (1, 2): -1, (0, 256): 1}.
    """
    raise NotImplementedError


def pop_best(heap: list[tuple[int, Pair]], pairs: dict[Pair, int]) -> Pair | None:
    """Take the most frequent pair from *heap*, or return None if none occurs any more.

    *pairs* has the current counts; a pair that it lacks has count 0. An entry (-count, pair) of
    the heap (`heapq`) can be old: its count may have fallen since. An old entry of a pair that
    still occurs goes back into the heap, with the current count.
    """
    raise NotImplementedError


def encode_all(pieces: list[str], encode: Callable[[str], list[int]]) -> list[int]:
    """Return the ids of all *pieces*, in order; *encode* is called once for each distinct piece."""
    raise NotImplementedError


def train(pieces: Counter[str], size: int) -> dict[Pair, int]:
    """Return the id of each merged pair, in the order of training, as `pytok.reference.bpe` does.

    *pieces* has the count of each distinct piece, whose ids `pytok.reference.bpe.byte_ids` gives.
    New ids follow from 256 up to *size*; of equally frequent pairs, the one with the smallest ids
    is merged. A merge visits only words that contain its pair, and only pairs that it changes.
    """
    raise NotImplementedError
