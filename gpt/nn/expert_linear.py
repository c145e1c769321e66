"""Linear layers of many experts: rows that are sorted by expert, each times its expert's matrix.

Shapes: N rows, E experts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.mechanism import Kind, Mechanism

ALIGNMENT = 16
"""Bytes of which the rows of both factors of torch's grouped product must be a multiple; others are
padded with zeros. Its types are float32, bfloat16 and float16."""


class Dispatch(NamedTuple):
    """Which rows are of which expert."""

    experts: Tensor
    """The expert of each row, ascending: (N,) int64."""
    ends: Tensor
    """Number of rows up to and including those of each expert: (E,) int32."""

    @classmethod
    def of(cls, experts: Tensor, count: int) -> Dispatch:
        """Return that of rows of *experts*, ascending, of which there are *count*."""
        # searchsorted instead of bincount, for which the host would wait for a GPU.
        numbers = torch.arange(count, device=experts.device)
        return cls(experts, torch.searchsorted(experts, numbers, right=True, out_int32=True))


def grouped_linear(x: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """Multiply each row of x (N, inputs) by the matrix of its expert in *weight*, transposed.

    *weight* is (E, outputs, inputs), the result (N, outputs). PERF: of 4,096 rows and 64 experts of
    256 x 128, forward and backward take 12 ms on one core in torch's grouped product, 18 in a loop
    over experts, 31 with rows padded to the same number for each expert, and 9 as a single matrix.
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
    if x.dtype == torch.float64:
        sizes = ends.diff(prepend=ends.new_zeros(1)).tolist()
        pairs = zip(torch.split(x, sizes), weight.unbind(), strict=True)
        return torch.cat([F.linear(rows, matrix) for rows, matrix in pairs])
    outputs, inputs = weight.shape[1:]
    padding = [-size * x.itemsize % ALIGNMENT // x.itemsize for size in (inputs, outputs)]
    if any(padding):
        x = F.pad(x, (0, padding[0]))
        weight = F.pad(weight, (0, padding[0], 0, padding[1]))
    return F.grouped_mm(x, weight.mT, offs=ends)[:, :outputs]


class ExpertLinear(Mechanism):
    """x → W_e x + b_e, e being the expert of the row x; *active* experts are chosen for a token."""

    KINDS: ClassVar[Mapping[str, Kind]] = {"bias": "scale"}

    def __init__(self, count: int, active: int, inputs: int, outputs: int, *, bias: bool) -> None:
        super().__init__()
        self.in_features, self.out_features, self.active = inputs, outputs, active
        self.weight = nn.Parameter(torch.empty(count, outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(count, outputs)) if bias else None

    def forward(self, x: Tensor, dispatch: Dispatch) -> Tensor:
        """Map x (N, inputs), sorted by expert, to (N, outputs)."""
        y = grouped_linear(x, self.weight, dispatch.ends)
        return y if self.bias is None else y + self.bias.to(y.dtype)[dispatch.experts]

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize each matrix as that of a linear layer."""
        nn.init.normal_(self.weight, std=self.in_features**-0.5, generator=generator)

    def weight_flops(self) -> int:
        """Return two operations per weight of the experts that a token uses."""
        return 2 * self.active * self.in_features * self.out_features

    def idle_parameters(self) -> int:
        """Return the number of those of the other experts."""
        experts = len(self.weight)
        return (experts - self.active) * sum(each.numel() // experts for each in self.parameters())


class ExpertOutput(ExpertLinear):
    """The last linear layers of a branch, initially zero."""

    def initialize(self, generator: torch.Generator) -> None:
        """Set all matrices to zero."""
        nn.init.zeros_(self.weight)

    def randomize_output(self, generator: torch.Generator) -> None:
        """Initialize each matrix as that of a linear layer."""
        super().initialize(generator)
