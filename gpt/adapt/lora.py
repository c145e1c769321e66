"""LoRA: a linear layer with a trained low-rank product added to its frozen weight.

Shapes: x (..., inputs), W (outputs, inputs), b (outputs,), A (rank, inputs), B (outputs, rank).
Where peft 0.21 has the same options, outputs and gradients equal its own, with dropout, too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.spec.adapter import LoRA


class LoRALinear(nn.Module):
    """x → W x + b + s B A x, with W and b frozen, B initially zero. Hu 2021, arXiv:2106.09685."""

    def __init__(self, linear: nn.Linear, spec: LoRA, generator: torch.Generator) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        linear.requires_grad_(False)
        self.base = linear.weight
        self.bias = linear.bias
        self.scale = spec.scale
        self.dropout = nn.Dropout(spec.dropout)
        down = torch.empty(spec.rank, linear.in_features)
        if spec.init == "normal":
            down.normal_(std=spec.rank**-0.5, generator=generator)
        else:
            bound = linear.in_features**-0.5
            down.uniform_(-bound, bound, generator=generator)
        self.down = nn.Parameter(down.to(self.base.device))
        """A"""
        self.up = nn.Parameter(torch.zeros_like(self.base[:, :1]).repeat(1, spec.rank))
        """B"""

    @property
    def weight(self) -> Tensor:
        """The adapted weight, W + s B A: (outputs, inputs)."""
        with torch.autocast(self.base.device.type, enabled=False):
            return torch.addmm(self.base, self.up, self.down, alpha=self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return F.linear(x, self.base, self.bias) + self.delta(self.dropout(x))

    def delta(self, x: Tensor) -> Tensor:
        """Compute what the adapter adds: s B A x."""
        return F.linear(F.linear(x, self.down), self.up) * self.scale
