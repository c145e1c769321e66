"""Specs of adapters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero, below_one

ALL_LINEAR = "all-linear"
"""Target that selects every linear layer besides the head, as in peft."""


@dataclass(frozen=True, kw_only=True)
class LoRA:
    """A trained low-rank product added to each frozen matrix (Hu 2021, arXiv:2106.09685)."""

    rank: int = 8
    """Rank of the product; each adapter has rank x (inputs + outputs) weights."""
    alpha: float | None = None
    """LoRA alpha: the product of the adapter is scaled by alpha / rank. [default: 2 x rank]"""
    scaling: Literal["rank", "root", "none"] = "rank"
    """Scale the product by alpha / rank (the paper), alpha / √rank (rsLoRA, Kalajdzievski 2023,
    arXiv:2312.03732) or alpha (Raschka 2024)."""
    init: Literal["uniform", "normal"] = "uniform"
    """Initialization of the first matrix, while the second is zero: uniform within ±1/√inputs (the
    authors' code, peft), or normal with standard deviation 1/√rank (Raschka)."""
    dropout: float = 0.0
    """Probability of zeroing each input feature of an adapter while training."""
    targets: tuple[str, ...] = ("attention", "mlp")
    """Layers to adapt: complete dotted names, such as blocks.0.attention.query; names that some
    dotted names contain, such as query or attention; or all-linear, every linear layer besides the
    head. An embedding is adapted if its name ends with a target."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ConfigError(f"rank must be at least 1; got {self.rank}")
        if self.alpha is not None:
            above_zero(alpha=self.alpha)
        below_one(dropout=self.dropout)
        if not self.targets:
            raise ConfigError(
                "targets is empty; name linear layers, or modules that contain some, such as mlp"
            )

    def selects(self, name: str, *, is_head: bool = False, is_table: bool = False) -> bool:
        """Return whether the layer with the dotted *name* is to be adapted.

        *is_table* says that it is an embedding, and *is_head* that it is the head.
        """
        return any(
            target == name
            or (is_table and name.endswith(f".{target}"))
            or (not is_table and f".{target}." in f".{name}.")
            or (target == ALL_LINEAR and not is_head and not is_table)
            for target in self.targets
        )

    @property
    def scale(self) -> float:
        """Scale of the product of the two matrices."""
        alpha = 2.0 * self.rank if self.alpha is None else self.alpha
        return alpha / {"rank": self.rank, "root": math.sqrt(self.rank), "none": 1.0}[self.scaling]


@dataclass(frozen=True, kw_only=True)
class DoRA(LoRA):
    """LoRA of the directions of each matrix, with their magnitudes trained separately (Liu 2024).

    arXiv:2402.09353.
    """

    axis: Literal["out", "in"] = "out"
    """One magnitude per output (the authors' code, peft), or per input (Raschka); the two are
    different models."""
