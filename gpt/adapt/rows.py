"""Tables in which only some rows are trained: those of new tokens.

The other rows are frozen, and need neither a gradient nor optimizer state.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _TrainedRows(nn.Module):
    """The table *base* with *rows* instead of its rows from *start* on."""

    def __init__(self, base: nn.Parameter, rows: nn.Embedding, start: int) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.rows = rows
        self.start = start

    @property
    def weight(self) -> Tensor:
        """The complete table."""
        stop = self.start + self.rows.num_embeddings
        return torch.cat([self.base[: self.start], self.rows.weight, self.base[stop:]])


class EmbeddingRows(_TrainedRows):
    """An embedding with some trained rows."""

    def forward(self, ids: Tensor) -> Tensor:
        """Return the vectors of *ids* (...): (..., width)."""
        return F.embedding(ids, self.weight)


class HeadRows(_TrainedRows):
    """A linear layer whose weight (outputs, inputs) has some trained rows; its bias is frozen."""

    def __init__(
        self, base: nn.Parameter, rows: nn.Embedding, start: int, bias: nn.Parameter | None = None
    ) -> None:
        super().__init__(base, rows, start)
        self.bias = None if bias is None else bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return F.linear(x, self.weight, self.bias)
