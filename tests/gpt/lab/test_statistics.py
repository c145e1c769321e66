"""Estimates equal scipy's where it has them, and hand calculation elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gpt.lab import statistics

A, B = [2.0, 2.2, 1.9, 2.4, 2.1], [1.8, 2.1, 1.6, 2.0, 2.0]


def test_a_paired_difference_is_the_paired_t_test() -> None:
    """Its p-value, and its interval."""
    found, oracle = statistics.paired_difference(A, B), stats.ttest_rel(A, B)
    interval = oracle.confidence_interval(0.95)

    assert found.p == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_a_paired_ratio_is_a_geometric_mean() -> None:
    """With the interval of Student's t for its logarithm."""
    found = statistics.paired_ratio(A, B)
    oracle = stats.ttest_rel(np.log(A), np.log(B))
    interval = np.exp(oracle.confidence_interval(0.95))

    assert found.value == pytest.approx(stats.gmean(np.divide(A, B)))
    assert (found.low, found.high) == pytest.approx(tuple(interval))
    assert found.p == pytest.approx(oracle.pvalue)


def test_a_single_value_has_no_bounds() -> None:
    """One seed says nothing of noise."""
    found = statistics.mean([3.0])

    assert (found.value, found.low, found.high) == (3.0, -math.inf, math.inf)


def test_an_exponent_is_found() -> None:
    """Of an exact power."""
    x = [1.0, 2.0, 4.0, 8.0]
    found = statistics.exponent(x, [3 * value**-0.5 for value in x])

    assert found.value == pytest.approx(-0.5)


def test_the_interval_of_an_exponent_is_that_of_the_regression() -> None:
    """T quantile times standard error, of logarithms."""
    x, y = np.array([1.0, 2, 4, 8, 16]), np.array([1.0, 2.2, 3.7, 8.5, 15])
    found, fit = statistics.exponent(list(x), list(y)), stats.linregress(np.log(x), np.log(y))
    half = stats.t.ppf(0.975, 3) * fit.stderr

    assert (found.low, found.high) == pytest.approx((fit.slope - half, fit.slope + half))


def test_a_ratio_of_medians_has_an_interval() -> None:
    """It covers the true ratio of two samples, and is the same each time."""
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(2, 0.1, 50).tolist(), rng.normal(1, 0.1, 50).tolist()
    found = statistics.median_ratio(ours, theirs)

    assert found.low < 2 < found.high
    assert found == statistics.median_ratio(ours, theirs)


def test_ranks_are_spearmans() -> None:
    """Value and p-value."""
    found, oracle = statistics.rank_correlation(A, B), stats.spearmanr(A, B)

    assert (found.value, found.p) == pytest.approx((oracle.statistic, oracle.pvalue))


def test_hills_index_of_a_pareto_tail() -> None:
    """Of 100,000 draws of P(X > x) = x^-2."""
    values = np.random.default_rng(0).pareto(2.0, 100_000) + 1

    assert not statistics.hill_index(values.tolist(), 0.05).excludes(2.0)


def test_the_z_rule_of_speedruns() -> None:
    """A mean of 9 runs, 0.004 / √9 below the bound with sigma 0.0013, is significant at 0.001."""
    p = statistics.z_test(0.004 / 3, 0.0013, 9, 10**12)

    assert p == pytest.approx(stats.norm.sf(0.004 / 0.0013), rel=1e-4)


def test_holms_correction_by_hand() -> None:
    """The smallest times 3, the next times 2, never falling; NaN stays."""
    found = statistics.holm([0.03, 0.01, math.nan, 0.04])

    assert found[:2] == pytest.approx([0.06, 0.03])
    assert math.isnan(found[2])
    assert found[3] == pytest.approx(0.06)
