"""Tables of which some rows are trained: those of tokens that a vocabulary has grown by.

All others are frozen, and take neither gradient nor memory in the optimizer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EmbeddingRows(nn.Module):
    """An embedding, *rows* in place of those of *base* from *first* on."""

    def __init__(self, base: nn.Parameter, rows: nn.Embedding, first: int) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.rows = rows
        self.first = first

    @property
    def weight(self) -> Tensor:
        """The whole table."""
        return _table(self.base, self.rows, self.first)

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of *ids* (...): (..., width)."""
        return F.embedding(ids, self.weight)


class HeadRows(nn.Module):
    """A linear without a bias, *rows* in place of those of *base* from *first* on."""

    bias = None

    def __init__(self, base: nn.Parameter, rows: nn.Embedding, first: int) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.rows = rows
        self.first = first

    @property
    def weight(self) -> Tensor:
        """The whole matrix, (outputs, inputs)."""
        return _table(self.base, self.rows, self.first)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return F.linear(x, self.weight)


def _table(base: Tensor, rows: nn.Embedding, first: int) -> Tensor:
    return torch.cat([base[:first], rows.weight, base[first + rows.num_embeddings :]])
