"""Specs of problems whose answers a program checks, for reinforcement learning.

What they generate, and how answers are checked, is in `gpt.data.problems`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from gpt.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Addition:
    """Sums: ``17+268=`` has the answer ``285``."""

    digits: int = 3
    """Most digits of each of the two numbers."""

    def __post_init__(self) -> None:
        _between(1, 18, digits=self.digits)


@dataclass(frozen=True, kw_only=True)
class Sorting:
    """Digits in ascending order: ``sort 40716=`` has the answer ``01467``."""

    length: int = 6
    """Number of digits."""

    def __post_init__(self) -> None:
        _between(2, 200, length=self.length)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Whether the number of ones is odd: ``parity 01101=`` has the answer ``odd``."""

    bits: int = 12
    """Number of bits."""

    def __post_init__(self) -> None:
        _between(2, 200, bits=self.bits)


@dataclass(frozen=True, kw_only=True)
class Format:
    """Words as a JSON list: ``json kiwi fig=`` has the answer ``["kiwi","fig"]``.

    White space may differ. Another list of texts has half the reward.
    """

    words: int = 3
    """Most words."""

    def __post_init__(self) -> None:
        _between(1, 50, words=self.words)


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Prompts of your own, JSON lines, rewarded by a function of yours, or by their answers."""

    reward: str | None = None
    """FILE.py:FUNCTION, called as function(prompt, completion, **further fields of the line), in a
    process of its own; returns a number from 0 to 1. A completion that is cut off has the reward 0
    without a call. [default: 1 if the completion is the field answer]"""
    seconds: float = 10.0
    """Most seconds of one call of the function."""

    def __post_init__(self) -> None:
        if not 0 < self.seconds < math.inf:
            raise ConfigError(f"seconds must be above 0; got {self.seconds}")
        if self.reward is not None and not all(self.reward.rpartition(":")[::2]):
            raise ConfigError(
                f"reward must be FILE.py:FUNCTION, such as reward.py:score; got {self.reward!r}"
            )


AnyProblems: TypeAlias = Addition | Sorting | Parity | Format | Prompts

SHIPPED: dict[str, type[AnyProblems]] = {
    each.__name__.lower(): each for each in (Addition, Sorting, Parity, Format)
}
"""Problems that are generated, by the name that ``gpt tune --task`` has for them."""


def _between(least: int, most: int, **values: int) -> None:
    """Check that each value is in the range."""
    for name, value in values.items():
        if not least <= value <= most:
            raise ConfigError(f"{name} must be from {least} to {most}; got {value}")
