"""Tables of positions: angles, their growth with the texts, and look-ups."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from gpt.nn.positions.encoding import Positions

FIRST_POSITIONS = 1 << 15
"""Positions that a table has at first, at most. It grows with the texts, so that a long context in
a config takes no memory."""


def frequencies(features: int, theta: float) -> Tensor:
    """Return the angles per token, θ^(-2i/features): (features / 2,), float64."""
    return theta ** -(torch.arange(0, features, 2, dtype=torch.float64) / features)


def angles(positions: int, per_token: Tensor) -> Tensor:
    """Return t · *per_token* for *positions* positions t: (positions, frequencies), float64."""
    return torch.outer(torch.arange(positions, dtype=torch.float64), per_token)


def growing() -> AbstractContextManager[None]:
    """Return a context for tables that are made in a forward pass, also while generating.

    Training could not use tensors that are made in inference mode.
    """
    return torch.inference_mode(False)


def lookup(table: Tensor, positions: Positions, tokens: int) -> Tensor:
    """Return the rows of *table* at *positions*: (T, ...) for all rows, or (B, T, ...)."""
    return table[positions : positions + tokens] if isinstance(positions, int) else table[positions]
