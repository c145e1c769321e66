"""Linears side by side: `project` maps one input by several, and `join` makes them one product.

Training keeps them apart, under names of their own. For a single token a product costs little more
than its call, so `gpt.generation.decoder` joins them and computes in a dtype of half the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW = 16
"""Rows up to which torch's product with int8 weights is the faster one. PERF: a linear of 500,000
weights takes one row in 9 us with int8, in 25 in bfloat16; 16 rows in 76, 64 in 270 and 140.
"""


class FusedLinear(nn.Module):
    """Linears of one input as one, computed in *dtype* whatever is around it. Not to be trained.

    With int8 the weights are whole multiples, -127 to 127, of a step of each output's own (absmax;
    Dettmers 2022, arXiv:2208.07339), and all else is bfloat16.
    """

    def __init__(self, linears: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        super().__init__()
        self.sizes = [linear.out_features for linear in linears]
        self.dtype = torch.bfloat16 if dtype == torch.int8 else dtype
        weight = torch.cat([linear.weight.detach() for linear in linears])
        self.step: Tensor | None = None
        if dtype == torch.int8:
            step = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
            weight, self.step = (weight / step).round(), step[:, 0].to(self.dtype)
        self.weight = weight.to(dtype)
        biases = [linear.bias.detach() for linear in linears if linear.bias is not None]
        self.bias = torch.cat(biases).to(self.dtype) if biases else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., the outputs of all), in *dtype*."""
        y = self._product(x.to(self.dtype))
        # PERF: oneDNN takes 4 us longer to add the bias of one row than torch does (of 20 us).
        return y if self.bias is None else y + self.bias

    def _product(self, x: Tensor) -> Tensor:
        if self.step is None:
            return F.linear(x, self.weight)
        if x.device.type == "cpu" and x.numel() <= FEW * x.shape[-1]:
            y: Tensor = torch._weight_int8pack_mm(x.flatten(0, -2), self.weight, self.step)
            return y.view(*x.shape[:-1], -1)
        return F.linear(x, self.weight.to(self.dtype) * self.step[:, None])


class Parallel(Protocol):
    """A module that maps what it is given by several linears at once."""

    INPUTS: ClassVar[tuple[str, ...]]
    """The names of these linears; all have a bias, or none."""
    joined: FusedLinear | None
    """What `join` made of them."""


def project(module: Parallel, x: Tensor) -> Sequence[Tensor]:
    """Map x by each of the linears of *module* that are named in its INPUTS."""
    if module.joined is not None:
        return module.joined(x).split(module.joined.sizes, dim=-1)  # type: ignore[no-any-return]
    return [getattr(module, name)(x) for name in module.INPUTS]


def join(module: Parallel, dtype: torch.dtype) -> None:
    """Have `project` compute what it does for *module* as one product, in *dtype*."""
    module.joined = FusedLinear([getattr(module, name) for name in module.INPUTS], dtype)
