"""Position encodings.

An encoding has two hooks: `add` changes the token embeddings, `rotate` the queries and keys of
every layer. Attention scores of rotated queries and keys depend only on distances, so only `add`
needs positions that restart at each document of a row.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from gpt.spec import architecture, position

Positions: TypeAlias = int | Tensor
"""Positions of a batch of tokens: the position of the first token of every row, or a tensor of all
positions, int64 (B, T)."""


class NoPosition(nn.Module):
    """Both hooks are the identity. Kazemnejad 2023, arXiv:2305.19466."""

    def __init__(self, spec: position.NoPosition, architecture: architecture.Architecture) -> None:
        super().__init__()

    def add(self, x: Tensor, positions: Positions) -> Tensor:
        """Return the token embeddings (B, T, width) unchanged."""
        return x

    def rotate(self, x: Tensor, positions: Positions) -> Tensor:
        """Return queries or keys (B, H, T, head_width) unchanged."""
        return x


class LearnedPosition(nn.Module):
    """x_t → x_t + p_t. Radford 2018 (GPT)."""

    def __init__(self, spec: position.Learned, architecture: architecture.Architecture) -> None:
        super().__init__()
        self.embedding = nn.Embedding(architecture.context, architecture.width)

    def add(self, x: Tensor, positions: Positions) -> Tensor:
        """Add the vectors of *positions* to x (B, T, width)."""
        return x + _lookup(self.embedding.weight, positions, x.shape[1])

    def rotate(self, x: Tensor, positions: Positions) -> Tensor:
        """Return queries or keys (B, H, T, head_width) unchanged."""
        return x


class RotaryPosition(nn.Module):
    """(a, b)_i → rotated by the angle t · theta^(-2i/R). Su 2021 (RoFormer), arXiv:2104.09864.

    R features are rotated, feature i paired with i + R/2: the layout of GPT-NeoX, and of Llama in
    transformers. Features from R on are unchanged.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, spec: position.Rope, architecture: architecture.Architecture) -> None:
        super().__init__()
        self.rotary_width = architecture.rotary_width
        exponents = torch.arange(0, self.rotary_width, 2, dtype=torch.float64) / self.rotary_width
        positions = torch.arange(architecture.context, dtype=torch.float64)
        angles = torch.outer(positions, spec.theta**-exponents).repeat(1, 2)  # (context, R)
        # The first half of the sines is negated: the rotation is x · cos + swap_halves(x) · sin.
        sin = angles.sin()
        sin[:, : self.rotary_width // 2].neg_()
        # Not persistent: the tables follow from the config.
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", sin.float(), persistent=False)

    def add(self, x: Tensor, positions: Positions) -> Tensor:
        """Return the token embeddings (B, T, width) unchanged."""
        return x

    def rotate(self, x: Tensor, positions: Positions) -> Tensor:
        """Rotate queries or keys (B, H, T, head_width); the dtype is preserved."""
        cos, sin = (
            _lookup(table, positions, x.shape[-2]).unsqueeze(-3) for table in (self.cos, self.sin)
        )
        features, rest = x[..., : self.rotary_width], x[..., self.rotary_width :]
        swapped = features.roll(self.rotary_width // 2, dims=-1)
        rotated = features * cos.to(x.dtype) + swapped * sin.to(x.dtype)
        return torch.cat((rotated, rest), dim=-1) if rest.shape[-1] else rotated


def _lookup(table: Tensor, positions: Positions, tokens: int) -> Tensor:
    """Return the rows of *table* at *positions*: (T, ...) for all rows, or (B, T, ...)."""
    return table[positions : positions + tokens] if isinstance(positions, int) else table[positions]


PositionEncoding: TypeAlias = NoPosition | LearnedPosition | RotaryPosition
