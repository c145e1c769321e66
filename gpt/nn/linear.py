"""Linear layers that can be fused: several with the same input, as one matrix product.

In training each layer has its own parameters. In decoding, a product for a single token costs
little more than its call, so `gpt.generation.decoder` fuses them, in a dtype of fewer bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from gpt.nn.quantized.weight import RowWeight, Weight, dense, matmul


class FusedLinear(nn.Module):
    """Linear layers with the same input as one, computed in *dtype*, also under autocast.

    For inference only. With int8 the weights are quantized, and everything else is bfloat16.
    """

    def __init__(self, linears: Sequence[nn.Module], dtype: torch.dtype) -> None:
        super().__init__()
        layers: Sequence[Any] = linears
        self.sizes = [linear.out_features for linear in layers]
        self.dtype = torch.bfloat16 if dtype == torch.int8 else dtype
        weight = torch.cat([linear.weight.detach() for linear in layers])
        self.weight: Weight = (
            RowWeight(weight, self.dtype) if dtype == torch.int8 else weight.to(dtype)
        )
        biases = [linear.bias.detach() for linear in layers if linear.bias is not None]
        self.bias = torch.cat(biases).to(self.dtype) if biases else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., sum of the layers' outputs), in *dtype*."""
        y = matmul(x.to(self.dtype), self.weight)
        # PERF: oneDNN takes 4 us longer to add the bias of one row than torch does (of 20 us).
        return y if self.bias is None else y + self.bias

    def dense(self) -> Tensor:
        """Return the weight in `dtype`."""
        return dense(self.weight, self.dtype)


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
