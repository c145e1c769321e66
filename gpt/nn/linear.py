"""Linear layers that can be fused: several with the same input, as one matrix product.

In training each layer has its own parameters. In decoding, a product for a single token costs
little more than its call, so `gpt.generation.decoder` fuses them, in a dtype of fewer bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_INT8_ROWS = 16
"""Most rows for which torch's kernel for int8 weights is used. PERF: with a linear layer of 500,000
weights, one row takes 9 us in int8 and 25 in bfloat16; 16 rows take 76 in int8; 64 rows take 270
in int8 and 140 in bfloat16."""
INT8_INPUTS = 16
"""That kernel needs a multiple of as many inputs: otherwise it reads past the end of a row."""


class FusedLinear(nn.Module):
    """Linear layers with the same input as one, computed in *dtype*, also under autocast.

    For inference only. With int8 the weights are integers, -127 to 127, times a scale for each
    output (absmax; Dettmers 2022, arXiv:2208.07339), and everything else is bfloat16.
    """

    def __init__(self, linears: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        super().__init__()
        self.sizes = [linear.out_features for linear in linears]
        self.dtype = torch.bfloat16 if dtype == torch.int8 else dtype
        weight = torch.cat([linear.weight.detach() for linear in linears])
        self.scale: Tensor | None = None
        if dtype == torch.int8:
            scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
            weight, self.scale = (weight / scale).round(), scale[:, 0].to(self.dtype)
        self.weight = weight.to(dtype)
        biases = [linear.bias.detach() for linear in linears if linear.bias is not None]
        self.bias = torch.cat(biases).to(self.dtype) if biases else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., sum of the layers' outputs), in *dtype*."""
        y = self._matmul(x.to(self.dtype))
        # PERF: oneDNN takes 4 us longer to add the bias of one row than torch does (of 20 us).
        return y if self.bias is None else y + self.bias

    def dense(self) -> Tensor:
        """Return the weight in `dtype`."""
        return (
            self.weight if self.scale is None else self.weight.to(self.dtype) * self.scale[:, None]
        )

    def _matmul(self, x: Tensor) -> Tensor:
        if self.scale is None:
            return F.linear(x, self.weight)
        small = x.numel() <= MAX_INT8_ROWS * x.shape[-1] and x.shape[-1] % INT8_INPUTS == 0
        if x.device.type == "cpu" and small:
            rows = x.flatten(0, -2).contiguous()
            y: Tensor = torch._weight_int8pack_mm(rows, self.weight, self.scale)
            return y.view(*x.shape[:-1], -1)
        return F.linear(x, self.dense())


def weight_of(linear: nn.Module) -> Tensor:
    """Return the weight of *linear*, (outputs, inputs), a linear layer in any form."""
    weight: Tensor = linear.dense() if isinstance(linear, FusedLinear) else linear.weight  # type: ignore[assignment]
    return weight


class Fusible(Protocol):
    """A module that applies several linear layers to the same input."""

    FUSIBLE: ClassVar[tuple[str, ...]]
    """Names of these layers; either all have a bias, or none."""
    fused: FusedLinear | None
    """The layers as one; set by `fuse`."""


def apply_linears(module: Fusible, x: Tensor) -> Sequence[Tensor]:
    """Apply each of the layers FUSIBLE of *module* to x; return their outputs in that order."""
    if module.fused is not None:
        return module.fused(x).split(module.fused.sizes, dim=-1)  # type: ignore[no-any-return]
    return [getattr(module, name)(x) for name in module.FUSIBLE]


def fuse(module: Fusible, dtype: torch.dtype) -> None:
    """Make `apply_linears` compute the layers of *module* as one product, in *dtype*."""
    module.fused = FusedLinear([getattr(module, name) for name in module.FUSIBLE], dtype)
