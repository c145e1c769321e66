"""A rate of answers that are right, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

QUANTILE = 1.959964
"""Of the normal distribution, for an interval that holds 95% of it."""


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """A rate of answers, and between which two it lies with 95% confidence (Wilson 1927)."""

    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, right: int, total: int) -> Accuracy:
        """*right* answers of *total*."""
        rate, spread = right / total, QUANTILE**2 / total
        centre = (rate + spread / 2) / (1 + spread)
        half = math.sqrt(rate * (1 - rate) * spread + spread**2 / 4) / (1 + spread)
        return cls(rate=rate, low=max(0.0, centre - half), high=min(1.0, centre + half))
