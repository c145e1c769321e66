"""Specs of schedules: of the learning rate, and of dropout."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero, fraction


@dataclass(frozen=True, kw_only=True)
class Warmup:
    """A schedule that starts with a linear warm-up; its fields are fractions."""

    warmup: float
    """Fraction of the run over which the learning rate rises to its peak."""

    def __post_init__(self) -> None:
        fraction(**vars(self))


@dataclass(frozen=True, kw_only=True)
class Trapezoid(Warmup):
    """A schedule of linear warm-up, constant rate, and decay."""

    decay: float
    """Fraction of the run, at its end, over which the learning rate decays."""
    floor: float = 0.0
    """Learning rate of the last step, as a fraction of the peak."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup + self.decay > 1:
            raise ConfigError(f"warmup + decay must be at most 1; got {self.warmup + self.decay}")


@dataclass(frozen=True, kw_only=True)
class Cosine(Warmup):
    """Linear warm-up, then decay along half a cosine (Loshchilov 2016, arXiv:1608.03983)."""

    warmup: float = 0.05
    floor: float = 0.0
    """Learning rate of the last step, as a fraction of the peak."""


@dataclass(frozen=True, kw_only=True)
class WarmupStableDecay(Trapezoid):
    """Linear warm-up, constant, then decay as 1 - √progress (Hägele 2024, arXiv:2405.18392)."""

    warmup: float = 0.02
    decay: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Linear(Trapezoid):
    """Linear warm-up, constant, then linear decay (Jordan 2024, modded-nanogpt's trapezoid)."""

    warmup: float = 0.0
    decay: float = 0.6


@dataclass(frozen=True, kw_only=True)
class Noam:
    """Linear warm-up, then decay as 1 / √step, without end (Vaswani 2017, arXiv:1706.03762).

    For the paper's learning rate, set the peak to 1 / √(width · warmup).
    """

    warmup: int = 100
    """Number of steps over which the learning rate rises to its peak."""

    def __post_init__(self) -> None:
        above_zero(warmup=self.warmup)


@dataclass(frozen=True, kw_only=True)
class EarlyDropout:
    """Dropout that decays linearly to 0 at a cutoff (Liu 2023, arXiv:2303.01500).

    It lets a model that underfits train better.
    """

    cutoff: float = 0.2
    """Fraction of the run after which there is no dropout."""

    def __post_init__(self) -> None:
        above_zero(cutoff=self.cutoff)
        fraction(cutoff=self.cutoff)


@dataclass(frozen=True, kw_only=True)
class LateDropout:
    """No dropout until a start (Liu 2023, arXiv:2303.01500), for a model that overfits later on."""

    start: float = 0.2
    """Fraction of the run after which there is dropout."""

    def __post_init__(self) -> None:
        fraction(start=self.start)
