"""Dropout: zeroes random elements, or branches of random rows, while training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RANDOM_VALUES = 2**16
"""Number of 16-bit random values. On the CPU, p is rounded to a multiple of 1 / RANDOM_VALUES."""


class Dropout(nn.Module):
    """x → m ⊙ x / (1 - p), m being 0 with probability p, else 1. Srivastava 2014, JMLR 15.

    A schedule multiplies p by a factor: `set_factor`.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.factor = 1.0
        self._factor: Tensor | None = None
        """The factor as a tensor, which compiled code reads: it would be compiled again for each
        other number. None if there is no schedule."""

    def forward(self, x: Tensor) -> Tensor:
        """Zero elements of x (...) while training; otherwise return x itself."""
        return self._drop(x, x.shape)

    def set_factor(self, factor: float) -> None:
        """Multiply the probability by *factor*, from 0 to 1, until the next call."""
        self.factor = factor
        if self._factor is None:
            self._factor = torch.tensor(factor)
        self._factor.fill_(factor)

    def _drop(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Multiply x by random factors of *shape*, which broadcasts to that of x."""
        if not self.training or not self.p:
            return x
        compiling = torch.compiler.is_compiling()
        if compiling and self._factor is not None:
            dropped = self.p * self._factor
            kept = torch.rand(shape, device=x.device) >= dropped
            return x * (kept / (1 - dropped)).to(x.dtype)
        if not self.factor:
            return x
        p = self.p * self.factor
        if x.device.type == "cpu" and not compiling:
            return x * _mask(shape, x.dtype, min(round(p * RANDOM_VALUES), RANDOM_VALUES - 1))
        return x * F.dropout(x.new_ones(shape), p) if shape != x.shape else F.dropout(x, p)


class DropPath(Dropout):
    """x → m x / (1 - p), one m for each row. Huang 2016 (stochastic depth), arXiv:1603.09382."""

    def forward(self, x: Tensor) -> Tensor:
        """Zero rows of x (B, T, width) while training; otherwise return x itself."""
        return self._drop(x, (x.shape[0], 1, 1))


def set_dropout(model: nn.Module, factor: float) -> None:
    """Multiply all probabilities of dropout in *model* by *factor*."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.set_factor(factor)


def _mask(shape: Sequence[int], dtype: torch.dtype, dropped: int) -> Tensor:
    """Return random factors of *shape* in *dtype*.

    0 with probability *dropped* / `RANDOM_VALUES`, else the value that preserves the mean. PERF:
    four 16-bit random numbers come from one of 64 bits. Forward and backward of 2,048 x 384 take
    1.6 ms; torch's own dropout, which generates a number for each element, takes 5.2, and a model
    has two per layer.
    """
    count = math.prod(shape)
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    # Uniform from -RANDOM_VALUES / 2 to RANDOM_VALUES / 2 - 1.
    uniform = bits.view(torch.int16)[:count].view(shape)
    mask = (uniform >= dropped - RANDOM_VALUES // 2).to(dtype)
    return mask.mul_(RANDOM_VALUES / (RANDOM_VALUES - dropped))
