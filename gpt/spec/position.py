"""Specs of position encodings."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A learned vector for each position, added to the token embedding (Radford 2018, GPT)."""


@dataclass(frozen=True, kw_only=True)
class Rope:
    """Rotary position embedding of queries and keys (Su 2021, RoFormer, arXiv:2104.09864)."""

    theta: float = 10_000.0
    """Base of the wavelengths, which run from 2 pi to about 2 pi theta tokens."""
    fraction: float = 1.0
    """Fraction of each head that is rotated; the rest carries no position."""

    def __post_init__(self) -> None:
        above_zero(theta=self.theta)
        if not 0 < self.fraction <= 1:
            raise ConfigError(f"fraction must be above 0 and at most 1; got {self.fraction}")


@dataclass(frozen=True, kw_only=True)
class NoPosition:
    """No encoding: only the causal mask gives order (Kazemnejad 2023, arXiv:2305.19466)."""
