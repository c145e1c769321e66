"""Tests of the exercises of chapter 4."""

from collections import Counter
from heapq import heapify
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from pytok.reference import bpe
from pytok.reference.pretokenize import Pattern

LICENSE = (Path(__file__).parents[2] / "LICENSE-APACHE").read_text(encoding="utf-8")
WORDS = [[0, 1, 2], [1, 2, 1, 2], [1, 1, 1], [3, 1, 1, 3], [1, 2], [1], [], [5, 6]]


def test_4a_the_example(chapter: ModuleType) -> None:
    """Of the docstring."""
    merged, changes = chapter.merge_with_changes([0, 1, 2], (1, 2), 256)

    assert merged == [0, 256]
    assert changes == {(0, 1): -1, (1, 2): -1, (0, 256): 1}, (
        "The pair itself disappears, its neighbors change: three entries."
    )


@pytest.mark.parametrize("ids", WORDS, ids=str)
@pytest.mark.parametrize("pair", [(1, 2), (1, 1)], ids=str)
def test_4a_changes_lead_from_the_old_counts_to_the_new(
    chapter: ModuleType, ids: list[int], pair: tuple[int, int]
) -> None:
    """Also where occurrences overlap or touch."""
    merged, changes = chapter.merge_with_changes(list(ids), pair, 256)
    counts = Counter(pairwise(ids))
    for changed, change in changes.items():
        counts[changed] += change

    assert merged == bpe.merge(ids, pair, 256)
    assert counts == Counter(pairwise(merged)), "old counts + changes = counts of the merged ids"
    assert 0 not in changes.values(), "A pair whose count stays has no entry."


def test_4b_a_current_entry_is_the_best(chapter: ModuleType) -> None:
    """And leaves the heap."""
    heap = [(-5, (1, 2)), (-3, (0, 1))]

    assert chapter.pop_best(heap, {(1, 2): 5, (0, 1): 3}) == (1, 2)
    assert heap == [(-3, (0, 1))], "The pair is taken from the heap, and no other."


def test_4b_an_old_entry_goes_back(chapter: ModuleType) -> None:
    """With its current count; it can still be the next one."""
    heap = [(-5, (1, 2)), (-3, (0, 1))]
    heapify(heap)
    pairs = {(1, 2): 2, (0, 1): 3}

    assert chapter.pop_best(heap, pairs) == (0, 1), (
        "(1, 2) was queued with 5, and has 2 now: push it again, and look at the next entry."
    )
    assert chapter.pop_best(heap, pairs) == (1, 2), "An old entry must not be lost."


def test_4b_a_pair_that_is_gone_is_dropped(chapter: ModuleType) -> None:
    """When none is left, there is no best one."""
    assert chapter.pop_best([(-5, (1, 2))], {}) is None, "Its count is 0: it cannot be merged."
    assert chapter.pop_best([(-5, (1, 2))], {(1, 2): 0}) is None
    assert chapter.pop_best([], {}) is None


def test_4b_equally_frequent_pairs_come_in_order(chapter: ModuleType) -> None:
    """The smallest ids first, since tuples are compared from the left."""
    heap = [(-2, (3, 4)), (-2, (1, 9))]
    heapify(heap)

    assert chapter.pop_best(heap, {(3, 4): 2, (1, 9): 2}) == (1, 9)


def test_4c_each_distinct_piece_is_encoded_once(chapter: ModuleType) -> None:
    """However often it occurs."""
    calls = []

    def encode(piece: str) -> list[int]:
        calls.append(piece)
        return [len(piece), 0]

    ids = chapter.encode_all([" the", " cat", " the", "!", " the"], encode)

    assert ids == [4, 0, 4, 0, 4, 0, 1, 0, 4, 0], "All pieces, in their order."
    assert sorted(calls) == [" cat", " the", "!"], (
        f"encode was called for {calls}: keep the ids of a piece in a dict."
    )


@pytest.mark.parametrize("size", [256, 257, 400])
def test_4d_the_merges_are_those_of_the_reference(chapter: ModuleType, size: int) -> None:
    """Of the license."""
    pieces = Counter(Pattern("gpt2").split(LICENSE))
    ours = list(chapter.train(pieces, size))
    theirs = list(bpe.train([LICENSE], size))
    same = next(
        (index for index, pair in enumerate(theirs) if ours[index : index + 1] != [pair]), None
    )

    assert same is None, (
        f"merge {same} is {ours[same] if same < len(ours) else 'missing'}, and should be "
        f"{theirs[same]}: is a count out of date, or its weight forgotten?"
    )
    assert len(ours) == len(theirs)


def test_4d_training_ends_when_no_pair_is_left(chapter: ModuleType) -> None:
    """Before the size is reached; overlaps do not confuse it."""
    for text in ("aaaaaaa", "abababa", "a", ""):
        pieces = Counter(Pattern("gpt2").split(text))

        assert chapter.train(pieces, 1000) == bpe.train([text], 1000), repr(text)
