"""Replay: some rows of a sequence are those of another, against forgetting.

A model that is trained on new text forgets what it was trained on before. A small part of the rows
from the old data prevents much of that (Ibrahim 2024, arXiv:2403.08763).
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from gpt.data.batch import Batch, Rows


class ReplayedRows:
    """The rows of *new*, with a *fraction* of rows of *old* spread evenly among them.

    A pure function of the row, as both sequences are: of the first n rows, ⌊n · fraction⌋ are old
    ones, so any number of consecutive rows has its part of them, up to one. Each of the two is read
    in its own order. Their rows have the same length.
    """

    def __init__(self, new: Rows, old: Rows, fraction: float) -> None:
        self.new, self.old = new, old
        # As it is written: 0.1 is 1/10, not the nearest binary fraction, so rows are exact.
        self.fraction = Fraction(str(fraction))

    def old_rows(self, rows: int) -> int:
        """Return how many of the first *rows* rows are old ones."""
        return int(rows * self.fraction)

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1."""
        stop = first + count
        starts, stops = self.old_rows(first), self.old_rows(stop)
        is_old = torch.tensor(
            [self.old_rows(row + 1) > self.old_rows(row) for row in range(first, stop)]
        )
        olds, news = stops - starts, count - (stops - starts)
        if not olds:
            return self.new.batch(first - starts, news)
        if not news:
            return self.old.batch(starts, olds)
        return _interleaved(
            self.new.batch(first - starts, news), self.old.batch(starts, olds), is_old
        )


def _interleaved(new: Batch, old: Batch, is_old: Tensor) -> Batch:
    """Return the rows of both, texts, in the order of *is_old* (B,) bool."""
    order = torch.cat([torch.nonzero(~is_old), torch.nonzero(is_old)])[:, 0].argsort()
    document_ids = None
    if new.document_ids is not None or old.document_ids is not None:
        document_ids = torch.cat([_document_ids(new), _document_ids(old)])[order]
    return Batch(
        torch.cat([new.inputs, old.inputs])[order],
        torch.cat([new.targets, old.targets])[order],
        document_ids,
    )


def _document_ids(batch: Batch) -> Tensor:
    """Return the document of each input; without document ids, a row is a single text."""
    return torch.zeros_like(batch.inputs) if batch.document_ids is None else batch.document_ids
