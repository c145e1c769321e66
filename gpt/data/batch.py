"""`Batch`, what one forward pass reads, and `Rows`, the sequence that batches are taken from."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

IGNORED = -100
"""Target of a position that does not count in the loss; the default of torch's F.cross_entropy."""


class Batch(NamedTuple):
    """Rows of token ids with their targets."""

    inputs: Tensor
    """Token ids, (B, T) int64."""
    targets: Tensor
    """The id that follows each input, or `IGNORED`: (B, T) int64."""
    document_ids: Tensor | None = None
    """The document of each input, (B, T) int64, never decreasing along a row. Tokens attend to
    their own document only. If None, each row is a single text."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on *device*."""
        document_ids = None if self.document_ids is None else self.document_ids.to(device)
        return Batch(self.inputs.to(device), self.targets.to(device), document_ids)

    @property
    def num_targets(self) -> int:
        """Number of targets that count in the loss."""
        return int((self.targets != IGNORED).sum())


class Rows(Protocol):
    """An endless sequence of training rows; each is a function of its index."""

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1."""
