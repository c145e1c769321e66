"""`Batch`, what one forward pass reads, and `Rows`, the sequence that batches are taken from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    given: Mapping[str, Tensor] = {}
    """What an objective needs besides, by name: advantages or labels, for example. Their first axis
    is B."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on *device*; a copy to CUDA does not wait for the device."""
        return Batch(
            inputs=_copied(self.inputs, device),
            targets=_copied(self.targets, device),
            document_ids=None if self.document_ids is None else _copied(self.document_ids, device),
            sources=None if self.sources is None else _copied(self.sources, device),
            given={name: each.to(device) for name, each in self.given.items()},
        )

    def rows(self) -> Iterator[Batch]:
        """Yield each row as a batch of one."""

        def of(field: Tensor | None, row: int) -> Tensor | None:
            return None if field is None else field[row : row + 1]

        for row in range(len(self.inputs)):
            one = slice(row, row + 1)
            yield Batch(
                inputs=self.inputs[one],
                targets=self.targets[one],
                document_ids=of(self.document_ids, row),
                sources=of(self.sources, row),
                given={name: each[one] for name, each in self.given.items()},
            )

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name, those of `given` too."""
        fields = {name: each for name, each in self._asdict().items() if name != "given"}
        return {name: each for name, each in fields.items() if each is not None} | dict(self.given)

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
