"""Schedules of the learning rate."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero, fraction


@dataclass(frozen=True, kw_only=True)
class Warmup:
    """A schedule whose fields are shares, and which begins with a linear rise."""

    warmup: float
    """Share of the steps over which the rate rises to its peak."""

    def __post_init__(self) -> None:
        fraction(**vars(self))


@dataclass(frozen=True, kw_only=True)
class Trapezoid(Warmup):
    """Rise linearly, stay, then fall in one way or another."""

    decay: float
    """Share of the steps over which it falls at the end."""
    floor: float = 0.0
    """Rate of the last step, as a share of the peak."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup + self.decay > 1:
            raise ConfigError(f"warmup + decay must be at most 1; got {self.warmup + self.decay}")


@dataclass(frozen=True, kw_only=True)
class Cosine(Warmup):
    """Rise linearly, then fall along half a cosine (Loshchilov 2016, arXiv:1608.03983)."""

    warmup: float = 0.05
    floor: float = 0.0
    """Rate of the last step, as a share of the peak."""


@dataclass(frozen=True, kw_only=True)
class WarmupStableDecay(Trapezoid):
    """Rise linearly, stay, then fall as 1 - √progress (Hägele 2024, arXiv:2405.18392)."""

    warmup: float = 0.02
    decay: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Linear(Trapezoid):
    """Rise linearly, stay, then fall linearly (Jordan 2024, modded-nanogpt's trapezoid)."""

    warmup: float = 0.0
    decay: float = 0.6


@dataclass(frozen=True, kw_only=True)
class Noam:
    """Rise linearly, then fall as 1 / √step, without an end (Vaswani 2017, arXiv:1706.03762).

    The paper's rate is had with a peak of 1 / √(width · warmup).
    """

    warmup: int = 100
    """Steps over which the rate rises to its peak."""

    def __post_init__(self) -> None:
        above_zero(warmup=self.warmup)
