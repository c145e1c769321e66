"""`PositionEncoding`: the hooks by which a model learns where tokens are.

An encoding has four hooks, all optional: `embed` changes the token embeddings, `rotate` the queries
and keys of every layer, `score_bias` is added to the scores of attention, and `value_bias` to its
outputs. Where only distances matter, positions are those in the row; `embed` gets positions that
restart at each document of a row.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from gpt.nn.mechanism import Mechanism

Positions: TypeAlias = int | Tensor
"""Positions of a batch of tokens: the position of the first token of every row, or a tensor of all
positions, int64 (B, T)."""


class PositionEncoding(Mechanism):
    """No encoding: every hook is the identity. B: batch size, T: queries, S: keys, H: heads."""

    biases_scores: bool = False
    """Whether `score_bias` is defined."""
    biases_values: bool = False
    """Whether `value_bias` is defined. It needs the weights of attention, which no fused kernel
    returns."""

    def reserve(self, positions: int) -> None:
        """Prepare for rows of *positions* tokens, before a forward pass."""

    def check_decoding(self) -> None:
        """Raise ConfigError if keys that are kept while decoding would differ from new ones."""

    def in_layer(self, layer: int) -> PositionEncoding:
        """Return the encoding of *layer*, from 0, with the hooks of attention."""
        return self

    def embed(self, x: Tensor, positions: Positions) -> Tensor:
        """Return the token embeddings x (B, T, width) with their *positions*."""
        return x

    def rotate(self, x: Tensor, positions: Positions) -> Tensor:
        """Return queries or keys x (B, H, T, head_width) at *positions*, in the same dtype."""
        return x

    def score_bias(self, queries: Tensor, positions: Tensor, keys: Tensor) -> Tensor | None:
        """Return what is added to the scores of *queries* (B, H, T, head_width), or None.

        *positions* are theirs and *keys* those of the keys: int64, (B or 1, T, 1) and
        (B or 1, 1, S). The result broadcasts to (B, H, T, S).
        """
        return None

    def row_bias(self, queries: Tensor) -> Tensor | None:
        """Return the same for complete rows: queries and keys are at positions 0 to T - 1."""
        index = torch.arange(queries.shape[2], device=queries.device)[None]
        return self.score_bias(queries, index[:, :, None], index[:, None])

    def value_bias(self, weights: Tensor, positions: Tensor, keys: Tensor) -> Tensor:
        """Return what is added to the outputs of attention, (B, H, T, head_width).

        *weights* are those of the values, (B, H, T, S); *positions* and *keys* as in `score_bias`.
        """
        raise NotImplementedError
