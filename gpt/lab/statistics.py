"""Estimates with intervals: of paired differences, ratios, exponents, ranks and tails.

Intervals have 95% confidence. p-values are two-sided. Nothing here knows what was measured.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
SIGNIFICANT = 0.05
"""Largest p-value, after correction, of a difference that is not taken for noise."""
RESAMPLES = 10_000
"""Resamples of a bootstrap: its 2.5% quantile is then known to about 0.2%."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float
    n: int
    """Number of values that it was estimated from."""
    p: float = math.nan
    """Probability of a value as far from 0 (from 1 for a ratio) if there is no effect; NaN if it
    was not computed."""

    def excludes(self, value: float) -> bool:
        """Return whether *value* is outside the interval."""
        return value < self.low or value > self.high

    def __neg__(self) -> Estimate:
        return replace(self, value=-self.value, low=-self.high, high=-self.low)

    def __str__(self) -> str:
        if not math.isfinite(self.high - self.low):
            return f"{self.value:.4g} (no interval, n = {self.n})"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g}, n = {self.n})"


def mean(values: Sequence[float]) -> Estimate:
    """Estimate the mean of *values* by Student's t.

    It has no bounds if there is a single one, or if one is not finite: a run that diverged.
    """
    n, center = len(values), statistics.fmean(values)
    if n < 2 or not math.isfinite(center):
        return Estimate(value=center, low=-math.inf, high=math.inf, n=n)
    error = statistics.stdev(values) / math.sqrt(n)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    t = math.inf if error == 0 else abs(center) / error
    p = 1.0 if center == 0 else float(2 * stats.t.sf(t, n - 1))
    return Estimate(value=center, low=center - half, high=center + half, n=n, p=p)


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Estimate the mean of *ours* - *theirs*, value by value: both have the same seeds in order."""
    return mean([a - b for a, b in zip(ours, theirs, strict=True)])


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Estimate the geometric mean of *ours* / *theirs*, value by value, by t of the logarithms.

    All are above 0, or not finite: then it has no bounds.
    """
    logs = [
        math.log(a / b) if math.isfinite(a) and math.isfinite(b) else math.nan
        for a, b in zip(ours, theirs, strict=True)
    ]
    found = mean(logs)
    with np.errstate(over="ignore"):
        value, low, high = np.exp([found.value, found.low, found.high]).tolist()
    return Estimate(value=value, low=low, high=high, n=found.n, p=found.p)


def median_ratio(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> Estimate:
    """Estimate the ratio of the medians of *ours* and *theirs* by bootstrap.

    Both are resampled independently (Efron 1979), in the percentile interval. It has no bounds if
    one has a single value.
    """
    value = statistics.median(ours) / statistics.median(theirs)
    n = min(len(ours), len(theirs))
    if n < 2:
        return Estimate(value=value, low=0.0, high=math.inf, n=n)
    rng = np.random.default_rng(seed)
    medians = [
        np.median(rng.choice(np.asarray(values), (RESAMPLES, len(values))), axis=1)
        for values in (ours, theirs)
    ]
    low, high = np.quantile(medians[0] / medians[1], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value=value, low=float(low), high=float(high), n=n)


def exponent(x: Sequence[float], y: Sequence[float]) -> Estimate:
    """Estimate b of y = a x^b, by least squares of the logarithms."""
    fit = stats.linregress(np.log(x), np.log(y))
    n = len(x)
    half = (
        float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 2)) * float(fit.stderr) if n > 2 else math.inf
    )
    slope = float(fit.slope)
    return Estimate(value=slope, low=slope - half, high=slope + half, n=n, p=float(fit.pvalue))


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> Estimate:
    """Estimate Spearman's rank correlation, its interval by Fisher's z (Bonett 2000)."""
    found = stats.spearmanr(x, y)
    rho, n = float(found.statistic), len(x)
    if n < 4 or abs(rho) == 1:
        return Estimate(value=rho, low=-1.0, high=1.0, n=n, p=float(found.pvalue))
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    low, high = (math.tanh(math.atanh(rho) + sign * half) for sign in (-1, 1))
    return Estimate(value=rho, low=low, high=high, n=n, p=float(found.pvalue))


def hill_index(values: Sequence[float], tail: float = 0.1) -> Estimate:
    """Estimate the index α of a tail P(X > x) ~ x^-α from its largest *tail* (Hill 1975).

    Its standard error is α / √k for k values of the tail.
    """
    ordered = np.sort(np.asarray(values, float))[::-1]
    k = max(1, int(len(ordered) * tail))
    if ordered[min(k, len(ordered) - 1)] <= 0:
        raise ValueError("the tail has values that are not above 0")
    alpha = float(1 / np.mean(np.log(ordered[:k] / ordered[min(k, len(ordered) - 1)])))
    half = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * alpha / math.sqrt(k)
    return Estimate(value=alpha, low=alpha - half, high=alpha + half, n=k)


def z_test(difference: float, noise: float, n: int, m: int) -> float:
    """Return the one-sided p-value of a *difference* of means of *n* and *m* runs.

    *noise* is the known standard deviation of a run, as in the speedruns of modded-nanogpt.
    """
    return float(stats.norm.sf(difference / (noise * math.sqrt(1 / n + 1 / m))))


def holm(p: Sequence[float]) -> list[float]:
    """Return the p-values *p* of several hypotheses, adjusted for their number (Holm 1979)."""
    adjusted, largest = [math.nan] * len(p), 0.0
    known = sorted((value, index) for index, value in enumerate(p) if not math.isnan(value))
    for rank, (value, index) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        adjusted[index] = largest
    return adjusted
