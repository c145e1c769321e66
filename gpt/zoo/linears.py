"""Linears side by side: `project` maps one input by several, and `join` makes them one product.

Training keeps them apart, under names of their own. For a single token a product costs little more
than its call, so `gpt.decoding` joins them, and computes them in a dtype of half the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CastLinear(nn.Module):
    """Linears of one input as one, computed in *dtype* whatever is around it. Not to be trained."""

    def __init__(self, linears: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        super().__init__()
        self.sizes = [linear.out_features for linear in linears]
        self.weight = torch.cat([linear.weight.detach() for linear in linears]).to(dtype)
        biases = [linear.bias.detach() for linear in linears if linear.bias is not None]
        self.bias = torch.cat(biases).to(dtype) if biases else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., the outputs of all), in *dtype*."""
        y = F.linear(x.to(self.weight.dtype), self.weight)
        # PERF: oneDNN takes 4 us longer to add the bias of one row than torch does (of 20 us).
        return y if self.bias is None else y + self.bias


class Parallel(Protocol):
    """A module that maps what it is given by several linears at once."""

    INPUTS: ClassVar[tuple[str, ...]]
    """The names of these linears; all have a bias, or none."""
    joined: CastLinear | None
    """What `join` made of them."""


def project(module: Parallel, x: Tensor) -> Sequence[Tensor]:
    """Map x by each of the linears of *module* that are named in its INPUTS."""
    if module.joined is not None:
        return module.joined(x).split(module.joined.sizes, dim=-1)  # type: ignore[no-any-return]
    return [getattr(module, name)(x) for name in module.INPUTS]


def join(module: Parallel, dtype: torch.dtype) -> None:
    """Have `project` compute what it does for *module* as one product, in *dtype*."""
    module.joined = CastLinear([getattr(module, name) for name in module.INPUTS], dtype)
