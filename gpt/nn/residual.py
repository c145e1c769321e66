"""Residuals: what each block begins from. Shapes: (B, T, width) in and out."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from gpt.spec import wiring


class PlainResidual(nn.Module):
    """x → x. He 2015, arXiv:1512.03385."""

    def __init__(self, spec: wiring.PlainResidual, layers: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, embedded: Tensor, layer: int) -> Tensor:
        """Leave the stream *x* as it is."""
        return x


class Lambdas(nn.Module):
    """x → λ x + μ x₀, x₀ being the embedded tokens. Jordan 2024, modded-nanogpt."""

    def __init__(self, spec: wiring.Lambdas, layers: int) -> None:
        super().__init__()
        self.stream = nn.Parameter(torch.ones(layers))
        self.embedded = nn.Parameter(torch.full((layers,), spec.embedded))

    def forward(self, x: Tensor, embedded: Tensor, layer: int) -> Tensor:
        """Mix the stream *x* and what it began as, for *layer*."""
        return self.stream[layer] * x + self.embedded[layer] * embedded


Residual: TypeAlias = PlainResidual | Lambdas
