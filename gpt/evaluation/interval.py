"""Accuracy with a confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

QUANTILE = 1.959964
"""Quantile of the normal distribution for a two-sided 95% interval."""


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """A rate of correct answers with its 95% confidence interval (Wilson 1927)."""

    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, right: int, total: int) -> Accuracy:
        """Return the accuracy of *right* correct answers out of *total*."""
        rate, spread = right / total, QUANTILE**2 / total
        center = (rate + spread / 2) / (1 + spread)
        half = math.sqrt(rate * (1 - rate) * spread + spread**2 / 4) / (1 + spread)
        return cls(rate=rate, low=max(0.0, center - half), high=min(1.0, center + half))
