"""MLPs: applied to each token separately. Shapes: (B, T, width) in and out.

`output` is the linear layer back into the residual stream, which the model initializes to zero.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.linear import FusedLinear, apply_linears
from gpt.spec.mlp import Gelu, Relu2, SwiGLU


class GeluMLP(nn.Module):
    """x → W₂ gelu(W₁ x). Hendrycks and Gimpel 2016, arXiv:1606.08415."""

    def __init__(self, spec: Gelu, width: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.approximate = "tanh" if spec.tanh else "none"
        self.input = nn.Linear(width, hidden, bias=bias)
        self.output = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the MLP to x (B, T, width)."""
        y: Tensor = self.output(F.gelu(self.input(x), approximate=self.approximate))
        return y


class Relu2MLP(nn.Module):
    """x → W₂ relu(W₁ x)². So 2021 (Primer), arXiv:2109.08668."""

    def __init__(self, spec: Relu2, width: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.input = nn.Linear(width, hidden, bias=bias)
        self.output = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the MLP to x (B, T, width)."""
        y: Tensor = self.output(F.relu(self.input(x)).square())
        return y


class SwiGLUMLP(nn.Module):
    """x → W₂ (silu(W₁ x) ⊙ W₃ x). Shazeer 2020, arXiv:2002.05202."""

    FUSIBLE: ClassVar[tuple[str, ...]] = ("gate", "input")

    def __init__(self, spec: SwiGLU, width: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=bias)
        self.input = nn.Linear(width, hidden, bias=bias)
        self.fused: FusedLinear | None = None
        self.output = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the MLP to x (B, T, width)."""
        gate, value = apply_linears(self, x)
        y: Tensor = self.output(F.silu(gate) * value)
        return y
