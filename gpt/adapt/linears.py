"""Linears with adapters.

Shapes: x (..., inputs), W (outputs, inputs), b (outputs,), A (rank, inputs), B (outputs, rank).
They compute what peft 0.21 does, where it has the same, dropout and gradients included.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.spec.adapter import DoRA, LoRA


class LoRALinear(nn.Module):
    """x → W x + b + s B A x, W and b frozen, B zero at first. Hu 2021, arXiv:2106.09685."""

    def __init__(self, linear: nn.Linear, spec: LoRA, generator: torch.Generator) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        linear.requires_grad_(False)
        self.base = linear.weight
        self.bias = linear.bias
        self.scale = spec.scale
        self.dropout = nn.Dropout(spec.dropout)
        first = torch.empty(spec.rank, linear.in_features)
        if spec.init == "normal":
            first.normal_(std=spec.rank**-0.5, generator=generator)
        else:
            bound = linear.in_features**-0.5
            first.uniform_(-bound, bound, generator=generator)
        self.down = nn.Parameter(first.to(self.base.device))
        """A"""
        self.up = nn.Parameter(torch.zeros_like(self.base[:, :1]).repeat(1, spec.rank))
        """B"""

    @property
    def weight(self) -> Tensor:
        """The adapted matrix, W + s B A: (outputs, inputs)."""
        with torch.autocast(self.base.device.type, enabled=False):
            return torch.addmm(self.base, self.up, self.down, alpha=self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return F.linear(x, self.base, self.bias) + self.added(self.dropout(x))

    def added(self, x: Tensor) -> Tensor:
        """The product alone: s B A x."""
        return F.linear(F.linear(x, self.down), self.up) * self.scale


class DoRALinear(nn.Module):
    """x → m ⊙ V / ‖V‖ x + b with V = W + s B A, m = ‖W‖ at first. Liu 2024, arXiv:2402.09353.

    ‖V‖ is the norm of each row (or column: `DoRA.axis`); no gradient goes through it (the
    paper's section 4.3), so that of V / ‖V‖ costs what LoRA's does.
    """

    def __init__(self, linear: nn.Linear, spec: DoRA, generator: torch.Generator) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.lora = LoRALinear(linear, spec, generator)
        self.dim = 1 if spec.axis == "out" else 0
        """What the norm is taken over: of W (outputs, inputs)."""
        self.magnitude = nn.Parameter(
            torch.linalg.vector_norm(linear.weight.detach(), dim=self.dim)
        )

    @property
    def base(self) -> Tensor:
        """The frozen W."""
        return self.lora.base

    @property
    def bias(self) -> Tensor | None:
        """The frozen b."""
        return self.lora.bias

    @property
    def weight(self) -> Tensor:
        """The adapted matrix, m ⊙ V / ‖V‖: (outputs, inputs)."""
        return self.lora.weight * self._gain().unsqueeze(self.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        gain, lora = self._gain(), self.lora
        y = F.linear(x, self.base)
        # What the adapter changes sees its input through dropout; the frozen part does not.
        dropping = self.training and lora.dropout.p > 0
        dropped = lora.dropout(x) if dropping else x
        if self.dim == 1:
            again = F.linear(dropped, self.base) if dropping else y
            y = y + (gain - 1) * again + gain * lora.added(dropped)
        else:
            y = y + F.linear(dropped * (gain - 1), self.base) + lora.added(dropped * gain)
        return y if self.bias is None else y + self.bias

    def _gain(self) -> Tensor:
        """Compute m / ‖V‖: (outputs,), or (inputs,)."""
        with torch.no_grad():
            length: Tensor = torch.linalg.vector_norm(self.lora.weight, dim=self.dim)
        return self.magnitude / length
