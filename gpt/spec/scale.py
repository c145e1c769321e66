"""Specs of factors: of the token embedding, of the output of each branch, of the logits."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class Multiplier(Part):
    """Multiply by a fixed number, as Granite does (Shen 2024, arXiv:2408.13359)."""

    factor: float
    """The number."""

    def __post_init__(self) -> None:
        above_zero(factor=self.factor)


@dataclass(frozen=True, kw_only=True)
class RootWidth(Part):
    """Multiply by √width, as the Transformer and Gemma do (Vaswani 2017, arXiv:1706.03762)."""


@dataclass(frozen=True, kw_only=True)
class LayerScale(Part):
    """Multiply each feature by a learned number (Touvron 2021, CaiT, arXiv:2103.17239)."""

    initial: float = 0.1
    """Initial value of the numbers; the paper has 0.1 up to 18 layers, 1e-5 up to 24, then 1e-6."""

    def __post_init__(self) -> None:
        if not self.initial:
            raise ConfigError("initial must not be 0: the branch would get no gradient")
