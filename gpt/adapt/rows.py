"""Tables of which some rows are trained: those of tokens that a vocabulary has grown by.

All others are frozen, and take neither gradient nor memory in the optimizer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _Rows(nn.Module):
    """A table, *rows* in place of those of *base* from *first* on."""

    def __init__(self, base: nn.Parameter, rows: nn.Embedding, first: int) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.rows = rows
        self.first = first

    @property
    def weight(self) -> Tensor:
        """The whole table."""
        last = self.first + self.rows.num_embeddings
        return torch.cat([self.base[: self.first], self.rows.weight, self.base[last:]])


class EmbeddingRows(_Rows):
    """An embedding of some new rows."""

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of *ids* (...): (..., width)."""
        return F.embedding(ids, self.weight)


class HeadRows(_Rows):
    """A linear without a bias, whose table is (outputs, inputs), of some new rows."""

    bias = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return F.linear(x, self.weight)
