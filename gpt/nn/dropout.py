"""Dropout: zeroes random elements while training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RANDOM_VALUES = 2**16
"""Number of 16-bit random values. On the CPU, p is rounded to a multiple of 1 / RANDOM_VALUES."""


class Dropout(nn.Module):
    """x → m ⊙ x / (1 - p), m being 0 with probability p, else 1. Srivastava 2014, JMLR 15."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Zero elements of x (...) while training; otherwise return x itself."""
        if not self.training or not self.p:
            return x
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            return x * _mask(x, min(round(self.p * RANDOM_VALUES), RANDOM_VALUES - 1))
        return F.dropout(x, self.p)


def _mask(x: Tensor, dropped: int) -> Tensor:
    """Return a factor for each element of *x*, in its dtype.

    0 with probability *dropped* / `RANDOM_VALUES`, else the value that preserves the mean. PERF:
    four 16-bit random numbers come from one of 64 bits. Forward and backward of 2,048 x 384 take
    1.6 ms; torch's own dropout, which generates a number for each element, takes 5.2, and a model
    has two per layer.
    """
    count = x.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    # Uniform from -RANDOM_VALUES / 2 to RANDOM_VALUES / 2 - 1.
    uniform = bits.view(torch.int16)[:count].view(x.shape)
    mask = (uniform >= dropped - RANDOM_VALUES // 2).to(x.dtype)
    return mask.mul_(RANDOM_VALUES / (RANDOM_VALUES - dropped))
