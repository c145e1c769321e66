"""`Batch`, what one forward pass reads, and `Rows`, the sequence that batches are taken from."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

IGNORED = -100
"""Target of a position that does not count in the loss; the default of torch's F.cross_entropy."""
PADDING = torch.iinfo(torch.int32).max
"""Document of the padding at the end of a row."""
NO_TOKEN = -1
"""Id after the end of a source that is shorter than others of its batch."""


class Batch(NamedTuple):
    """Rows of token ids with their targets."""

    inputs: Tensor
    """Token ids, (B, T) int64."""
    targets: Tensor
    """The id that follows each input, or `IGNORED`: (B, T) int64."""
    document_ids: Tensor | None = None
    """The document of each input, (B, T) int64, never decreasing along a row. Tokens attend to
    their own document only. If None, each row is a single text."""
    sources: Tensor | None = None
    """What the rows are the targets of, in a task of pairs: ids (B, S) int64, after the end of a
    source `NO_TOKEN`."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on *device*; a copy to CUDA does not wait for the device."""
        fields = (None if each is None else _copied(each, device) for each in self)
        return Batch(*fields)  # type: ignore[arg-type]

    @property
    def num_targets(self) -> int:
        """Number of targets that count in the loss."""
        return int((self.targets != IGNORED).sum())


class Rows(Protocol):
    """An endless sequence of training rows; each is a function of its index."""

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1."""


def _copied(ids: Tensor, device: torch.device) -> Tensor:
    """Return *ids*, (B, T) int64, on *device*.

    To CUDA they travel as int32, which holds every id, from pinned memory: only then does the
    device fetch them by itself, after the work that it was given before.
    """
    if ids.device.type == device.type:
        return ids.to(device)
    narrow = torch.empty(ids.shape, dtype=torch.int32, pin_memory=True).copy_(ids)
    return narrow.to(device, non_blocking=True).long()
