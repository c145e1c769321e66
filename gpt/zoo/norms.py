"""Norms: what keeps each branch's input in scale. Shapes: (..., width) in and out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt import config


class LayerNorm(nn.Module):
    """x → (x - mean) / √(var + eps) · weight + bias. Ba 2016, arXiv:1607.06450."""

    def __init__(self, spec: config.LayerNorm, width: int) -> None:
        super().__init__()
        self.eps = spec.eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if spec.bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last axis."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    """x → x / √(mean(x²) + eps) · weight. Zhang and Sennrich 2019, arXiv:1910.07467."""

    def __init__(self, spec: config.RMSNorm, width: int) -> None:
        super().__init__()
        self.eps = spec.eps
        self.shape = (width,)
        self.weight = nn.Parameter(torch.ones(width)) if spec.weight else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last axis."""
        # The fused kernels want one dtype, and under autocast x may have another than the weight.
        weight = None if self.weight is None else self.weight.to(x.dtype)
        return F.rms_norm(x, self.shape, weight, self.eps)
