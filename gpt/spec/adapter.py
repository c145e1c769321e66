"""Adapters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero


@dataclass(frozen=True, kw_only=True)
class LoRA:
    """A product of two thin matrices added to a frozen one (Hu 2021, arXiv:2106.09685)."""

    rank: int = 8
    """Width of the product: each adapter has rank x (inputs + outputs) weights."""
    alpha: float | None = None
    """How much it counts, before `scaling`. None: twice the rank."""
    scaling: Literal["rank", "root", "none"] = "rank"
    """The product is scaled by alpha / rank (the paper), alpha / √rank (rsLoRA, Kalajdzievski 2023,
    arXiv:2312.03732), or by alpha itself (Raschka 2024)."""
    init: Literal["uniform", "normal"] = "uniform"
    """Of the first matrix, the second being zero: uniform within 1/√inputs, as in Microsoft's code
    and peft, or normal with deviation 1/√rank, as Raschka has it."""
    dropout: float = 0.0
    """Share of the adapter's input set to zero while training."""
    targets: tuple[str, ...] = ("attention", "mlp")
    """Which linears: those with one of these among the parts of their dotted name."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ConfigError(f"rank must be at least 1; got {self.rank}")
        if self.alpha is not None:
            above_zero(alpha=self.alpha)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and below 1; got {self.dropout}")
        if not self.targets:
            raise ConfigError(
                "targets is empty; name linears, or parts of the model that have some"
            )

    @property
    def scale(self) -> float:
        """What the product of the two matrices is multiplied by."""
        alpha = 2.0 * self.rank if self.alpha is None else self.alpha
        return alpha / {"rank": self.rank, "root": math.sqrt(self.rank), "none": 1.0}[self.scaling]


@dataclass(frozen=True, kw_only=True)
class DoRA(LoRA):
    """LoRA on a matrix's directions, whose lengths are trained by themselves (Liu 2024).

    arXiv:2402.09353.
    """

    axis: Literal["out", "in"] = "out"
    """Whose lengths: of the weights of each output (NVIDIA's code and peft) or of each input, which
    is Raschka's norm and another model."""
