"""LoRA: a layer with a trained low-rank product added to its frozen weight.

Shapes: x (..., inputs), W (outputs, inputs), b (outputs,), A (rank, inputs), B (outputs, rank). Of
experts, all but x have an axis more, the first: A (experts, rank, inputs). Of an embedding, W is
(rows, width), A (rank, rows) and B (width, rank).
Where peft 0.21 has the same options, outputs and gradients equal its own, with dropout, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.expert_linear import Dispatch, grouped_linear
from gpt.nn.mechanism import Kind, Mechanism
from gpt.nn.quantized.linear import AnyExperts, AnyLinear, expert_product, stored_weight
from gpt.nn.quantized.weight import Weight, dense, linear
from gpt.parallel.sharded import sliced
from gpt.spec.adapter import LoRA


class LoRALinear(Mechanism):
    """x → W x + b + s B A x, with W and b frozen, B initially zero. Hu 2021, arXiv:2106.09685."""

    KINDS: ClassVar[Mapping[str, Kind]] = {"up": "up"}

    def __init__(self, layer: AnyLinear, spec: LoRA, generator: torch.Generator) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        layer.requires_grad_(False)
        self.base = stored_weight(layer)
        self.bias = layer.bias
        self.scale = spec.scale
        self.dropout = nn.Dropout(spec.dropout)
        self.down = _initial_down((spec.rank, self.in_features), spec, generator, self.base)
        """A"""
        self.up = _initial_up((self.out_features, spec.rank), self.base)
        """B"""

    @property
    def weight(self) -> Tensor:
        """The adapted weight, W + s B A: (outputs, inputs)."""
        with torch.autocast(self.base.device.type, enabled=False):
            return torch.addmm(
                sliced(dense(self.base), self.up), self.up, self.down, alpha=self.scale
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return linear(x, self.base, self.bias) + self.delta(self.dropout(x))

    def delta(self, x: Tensor) -> Tensor:
        """Compute what the adapter adds: s B A x."""
        return F.linear(F.linear(x, self.down), self.up) * self.scale

    def weight_flops(self) -> int:
        """Return two operations per weight, those of the adapter included."""
        return 2 * (self.base.shape.numel() + self.down.numel() + self.up.numel())


class LoRAExperts(Mechanism):
    """x → W_e x + b_e + s B_e A_e x, e being the expert of the row x, with A and B of each expert.

    W and b are frozen, B initially zero: `LoRALinear` for an `ExpertLinear`.
    """

    KINDS: ClassVar[Mapping[str, Kind]] = {"up": "up"}

    def __init__(self, layer: AnyExperts, spec: LoRA, generator: torch.Generator) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.active = layer.active
        layer.requires_grad_(False)
        self.base = stored_weight(layer)
        self.bias = layer.bias
        self.scale = spec.scale
        self.dropout = nn.Dropout(spec.dropout)
        experts = self.base.shape[0]
        shape = (experts, spec.rank, self.in_features)
        self.down = _initial_down(shape, spec, generator, self.base)
        """A"""
        self.up = _initial_up((experts, self.out_features, spec.rank), self.base)
        """B"""

    @property
    def weight(self) -> Tensor:
        """The adapted weights, W + s B A: (experts, outputs, inputs)."""
        with torch.autocast(self.base.device.type, enabled=False):
            return torch.baddbmm(
                sliced(dense(self.base), self.up), self.up, self.down, alpha=self.scale
            )

    def forward(self, x: Tensor, dispatch: Dispatch) -> Tensor:
        """Map x (N, inputs), sorted by expert, to (N, outputs)."""
        y = expert_product(x, self.base, dispatch.ends)
        low = grouped_linear(self.dropout(x), self.down, dispatch.ends)
        y = y + self.scale * grouped_linear(low, self.up, dispatch.ends)
        return y if self.bias is None else y + self.bias.to(y.dtype)[dispatch.experts]

    def weight_flops(self) -> int:
        """Return two operations per weight of the experts that a token uses."""
        rank = self.up.shape[-1]
        both = self.in_features + self.out_features
        return 2 * self.active * (self.in_features * self.out_features + rank * both)


class LoRAEmbedding(Mechanism):
    """i → W_i + s B A_i: A_i is column i of A, initially zero, while B is normal (peft).

    The dropout of the spec is not applied, as in peft: an id has no features to drop.
    """

    KINDS: ClassVar[Mapping[str, Kind]] = {"down": "embedding", "up": "embedding"}

    def __init__(self, embedding: nn.Embedding, spec: LoRA, generator: torch.Generator) -> None:
        super().__init__()
        embedding.requires_grad_(False)
        self.base = embedding.weight
        self.scale = spec.scale
        rows, width = self.base.shape
        self.down = nn.Parameter(self.base.new_zeros(spec.rank, rows))
        """A"""
        up = torch.empty(width, spec.rank).normal_(generator=generator)
        self.up = nn.Parameter(up.to(self.base))
        """B"""

    @property
    def weight(self) -> Tensor:
        """The adapted table, W + s (B A)ᵀ: (rows, width)."""
        return torch.addmm(self.base, self.down.T, self.up.T, alpha=self.scale)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the vectors of *ids* (...): (..., width)."""
        low = F.embedding(ids, self.down.T)
        return F.embedding(ids, self.base) + F.linear(low, self.up) * self.scale


def _initial_down(
    shape: tuple[int, ...], spec: LoRA, generator: torch.Generator, like: Weight
) -> nn.Parameter:
    """Return A of *shape* with its initial values, on the device of *like*."""
    down = torch.empty(shape)
    if spec.init == "normal":
        down.normal_(std=spec.rank**-0.5, generator=generator)
    else:
        bound = shape[-1] ** -0.5
        down.uniform_(-bound, bound, generator=generator)
    return nn.Parameter(down.to(like.device))


def _initial_up(shape: tuple[int, ...], like: Weight) -> nn.Parameter:
    """Return B of *shape*, zero, on the device and in the dtype of *like*."""
    return nn.Parameter(torch.zeros(shape, dtype=like.dtype, device=like.device))
