"""Residual streams: the input of each block. Shapes: (B, T, width) in and out."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from gpt.spec import wiring


class PlainResidual(nn.Module):
    """x → x. He 2015, arXiv:1512.03385."""

    def __init__(self, spec: wiring.PlainResidual, layers: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, x0: Tensor, layer: int) -> Tensor:
        """Return the residual stream *x* unchanged."""
        return x


class Lambdas(nn.Module):
    """x → λ x + μ x₀, x₀ being the token embeddings. Jordan 2024, modded-nanogpt."""

    def __init__(self, spec: wiring.Lambdas, layers: int) -> None:
        super().__init__()
        self.stream = nn.Parameter(torch.ones(layers))
        self.embedded = nn.Parameter(torch.full((layers,), spec.embedded))

    def forward(self, x: Tensor, x0: Tensor, layer: int) -> Tensor:
        """Mix the residual stream *x* and its initial value *x0* with the weights of *layer*."""
        return self.stream[layer] * x + self.embedded[layer] * x0


Residual: TypeAlias = PlainResidual | Lambdas
