"""Positions: how a token knows its place.

A position has two hooks, and each mechanism uses one or none of them: `add` changes the embedded
tokens, `rotate` the queries and keys of every layer. What attention makes of rotated ones depends
on distances only, so of the two `add` alone has to know where a row's documents begin.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from gpt.spec import architecture, position

Positions: TypeAlias = int | Tensor
"""The place of the first token of every row, the others following; or, (B, T) int64, of each."""


class NoPosition(nn.Module):
    """Both hooks as identities. Kazemnejad 2023, arXiv:2305.19466."""

    def __init__(self, spec: position.NoPosition, architecture: architecture.Architecture) -> None:
        super().__init__()

    def add(self, x: Tensor, positions: Positions) -> Tensor:
        """Leave the embedded tokens (B, T, width) as they are."""
        return x

    def rotate(self, x: Tensor, positions: Positions) -> Tensor:
        """Leave queries or keys (B, H, T, head_width) as they are."""
        return x


class LearnedPosition(nn.Module):
    """x_t → x_t + p_t. Radford 2018 (GPT)."""

    def __init__(self, spec: position.Learned, architecture: architecture.Architecture) -> None:
        super().__init__()
        self.embedding = nn.Embedding(architecture.context, architecture.width)

    def add(self, x: Tensor, positions: Positions) -> Tensor:
        """Add the vectors of *positions* to x (B, T, width)."""
        return x + _at(self.embedding.weight, positions, x.shape[1])

    def rotate(self, x: Tensor, positions: Positions) -> Tensor:
        """Leave queries or keys (B, H, T, head_width) as they are."""
        return x


class RotaryPosition(nn.Module):
    """(a, b)_i → rotated by the angle t · theta^(-2i/R). Su 2021 (RoFormer), arXiv:2104.09864.

    Feature i is paired with i + R/2, R features being rotated: the layout of GPT-NeoX and Llama in
    transformers. Features from R on pass through.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, spec: position.Rope, architecture: architecture.Architecture) -> None:
        super().__init__()
        self.rotated = architecture.rotated
        exponents = torch.arange(0, self.rotated, 2, dtype=torch.float64) / self.rotated
        positions = torch.arange(architecture.context, dtype=torch.float64)
        angles = torch.outer(positions, spec.theta**-exponents).repeat(1, 2)  # (context, R)
        # A function of the config, so not part of a checkpoint. The sign of the first half of
        # the sines makes the rotation x · cos + swap_halves(x) · sin.
        angle_sin = angles.sin()
        angle_sin[:, : self.rotated // 2].neg_()
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angle_sin.float(), persistent=False)

    def add(self, x: Tensor, positions: Positions) -> Tensor:
        """Leave the embedded tokens (B, T, width) as they are."""
        return x

    def rotate(self, x: Tensor, positions: Positions) -> Tensor:
        """Rotate queries or keys (B, H, T, head_width); the dtype stays."""
        cos, sin = (
            _at(table, positions, x.shape[-2]).unsqueeze(-3) for table in (self.cos, self.sin)
        )
        turned, rest = x[..., : self.rotated], x[..., self.rotated :]
        swapped = turned.roll(self.rotated // 2, dims=-1)
        turned = turned * cos.to(x.dtype) + swapped * sin.to(x.dtype)
        return torch.cat((turned, rest), dim=-1) if rest.shape[-1] else turned


def _at(table: Tensor, positions: Positions, tokens: int) -> Tensor:
    """The rows of *table* at *positions*: (T, ...) of all rows, or (B, T, ...) of each."""
    return table[positions : positions + tokens] if isinstance(positions, int) else table[positions]


Position: TypeAlias = NoPosition | LearnedPosition | RotaryPosition
