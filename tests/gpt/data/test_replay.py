"""Replay: which rows are old ones, and that nothing of either sequence is lost."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt.data.batch import Batch
from gpt.data.replay import ReplayedRows

LENGTH = 3
OLD = 1 << 40
"""Ids of old rows start here."""


class Numbered:
    """Rows whose ids are their numbers, after *start*."""

    def __init__(self, start: int, *, documents: bool = False) -> None:
        self.start, self.documents = start, documents

    def batch(self, first: int, count: int) -> Batch:
        """Return rows of `LENGTH` equal ids."""
        ids = (self.start + torch.arange(first, first + count))[:, None].expand(-1, LENGTH)
        return Batch(ids, ids, torch.ones_like(ids) if self.documents else None)


fractions = st.decimals(0, 1, places=3).map(float).filter(lambda each: each < 1)


@given(fraction=fractions, first=st.integers(0, 3000), count=st.integers(1, 70))
def test_both_sequences_are_read_in_their_order_without_a_gap(
    fraction: float, first: int, count: int
) -> None:
    """Old rows among the first n are as many as the fraction says, rounded down."""
    rows = ReplayedRows(Numbered(0), Numbered(OLD), fraction)
    seen = rows.batch(0, first + count).inputs[:, 0]
    old, new = seen[seen >= OLD], seen[seen < OLD]

    assert len(old) == (first + count) * Fraction(str(fraction)) // 1
    assert old.tolist() == list(range(OLD, OLD + len(old)))
    assert new.tolist() == list(range(len(new)))
    assert rows.batch(first, count).inputs[:, 0].tolist() == seen[first:].tolist()


@given(fraction=fractions, first=st.integers(0, 3000), count=st.integers(1, 70))
def test_old_rows_are_spread_evenly(fraction: float, first: int, count: int) -> None:
    """A batch has its part of them, up to one row."""
    rows = ReplayedRows(Numbered(0), Numbered(OLD), fraction)
    old = (rows.batch(first, count).inputs[:, 0] >= OLD).sum().item()

    assert abs(old - count * fraction) < 1 + 1e-9


def test_a_tenth_is_a_tenth() -> None:
    """Ten rows have one old row, whichever ten: 0.1 is not rounded to a binary fraction."""
    rows = ReplayedRows(Numbered(0), Numbered(OLD), 0.1)
    starts = [0, 7, 10, 3_333_333_330]

    assert [(rows.batch(at, 10).inputs >= OLD).sum().item() // LENGTH for at in starts] == [1] * 4


@pytest.mark.parametrize("documents", [False, True])
def test_a_row_without_document_ids_is_a_single_text(documents: bool) -> None:
    """Where the other sequence has them; if neither has, the batch has none."""
    rows = ReplayedRows(Numbered(0, documents=documents), Numbered(OLD), 0.5)
    batch = rows.batch(0, 4)

    assert batch.inputs[:, 0].tolist() == [0, OLD, 1, OLD + 1]
    assert torch.equal(batch.targets, batch.inputs)
    if not documents:
        assert batch.document_ids is None
    else:
        assert batch.document_ids is not None
        assert batch.document_ids[:, 0].tolist() == [1, 0, 1, 0]
