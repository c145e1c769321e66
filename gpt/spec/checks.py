"""Checks that the fields of several specs share; each raises ConfigError naming the field."""

from __future__ import annotations

import math

from gpt.errors import ConfigError


def above_zero(**values: float | None) -> None:
    """Check that each value is finite and above 0; None passes."""
    for name, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name} must be above 0; got {value}")


def at_least_zero(**values: float) -> None:
    """Check that each value is finite and at least 0."""
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise ConfigError(f"{name} must be at least 0; got {value}")


def below_one(**values: float) -> None:
    """Check that each value is at least 0 and below 1."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ConfigError(f"{name} must be at least 0 and below 1; got {value}")


def fraction(**values: float) -> None:
    """Check that each value is from 0 to 1."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} must be from 0 to 1; got {value}")


def decay_rates(betas: tuple[float, float]) -> None:
    """Check the decay rates of Adam's two moments: at least 0 and below 1."""
    if not all(0 <= beta < 1 for beta in betas):
        raise ConfigError(f"betas must be at least 0 and below 1; got {betas}")
