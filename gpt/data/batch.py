"""What the model learns from: `Batch`, at a time, and the `Rows` that batches are made of."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

IGNORED = -100
"""The target of a place from which nothing is learnt; torch's own F.cross_entropy has the same."""


class Batch(NamedTuple):
    """Rows of tokens to read, and what comes after each."""

    inputs: Tensor
    """Ids, (B, T), int64."""
    targets: Tensor
    """The id after each of the inputs, or `IGNORED`: (B, T), int64."""
    document_ids: Tensor | None = None
    """Which of its row's document_ids each of the inputs is of, (B, T), int64, never falling within a
    row: tokens then see their own only. None: a row is one text."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on *device*."""
        document_ids = None if self.document_ids is None else self.document_ids.to(device)
        return Batch(self.inputs.to(device), self.targets.to(device), document_ids)

    @property
    def num_targets(self) -> int:
        """How many targets count."""
        return int((self.targets != IGNORED).sum())


class Rows(Protocol):
    """An endless sequence of rows, a function of their number."""

    def batch(self, first: int, count: int) -> Batch:
        """Rows *first* to *first* + *count* - 1."""
