"""Checks: how the verdict on a claim follows from what was measured.

A check reads figures of its part, and returns a `Finding`. The verdict follows from nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from gpt.lab import statistics
from gpt.lab.results import PartResults
from gpt.lab.statistics import SIGNIFICANT, Estimate


class Verdict(str, Enum):
    """What an experiment says of a claim. Each is a valid result."""

    REPRODUCED = "REPRODUCED"
    """The number is inside the tolerance."""
    DIRECTION = "DIRECTION"
    """The effect has the sign of the claim, beyond noise; its size differs, or none is claimed."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """The effect is no larger than noise."""
    NOT_REPRODUCED = "NOT REPRODUCED"
    """The effect has the other sign, beyond the noise, or an equality does not hold."""


ORDER = (
    Verdict.NOT_REPRODUCED,
    Verdict.INCONCLUSIVE,
    Verdict.DIRECTION,
    Verdict.REPRODUCED,
)
"""From the one that decides an experiment of several checks to the one that all must have."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check has found."""

    claim: str
    """What is claimed, with the paper's number."""
    ours: str
    """What was measured, with its interval."""
    verdict: Verdict
    estimate: Estimate | None = None
    """The figure that decides, if it has an interval."""


class Uncorrected:
    """A check that other checks do not change: an equality, or an interval against a bound."""

    def p(self, results: PartResults) -> float:
        """Return NaN."""
        return math.nan


@dataclass(frozen=True, kw_only=True)
class Equal(Uncorrected):
    """EXACT: a figure of an arm equals a number."""

    claim: str
    arm: str
    figure: str
    value: float
    tolerance: float = 0.0
    """Largest absolute difference."""

    def find(self, results: PartResults, p: float) -> Finding:
        """Compare the figure of the first seed."""
        (found, *_) = results.values(self.arm, self.figure)
        holds = abs(found - self.value) <= self.tolerance
        return Finding(
            claim=self.claim,
            ours=f"{found:.6g}",
            verdict=Verdict.REPRODUCED if holds else Verdict.NOT_REPRODUCED,
        )


@dataclass(frozen=True, kw_only=True)
class Below(Uncorrected):
    """EXACT: a figure of an arm is at most a bound; an error, for example."""

    claim: str
    figure: str
    bound: float
    arm: str = ""
    """[default: every arm of the part]"""

    def find(self, results: PartResults, p: float) -> Finding:
        """Compare the figure of all seeds; NaN is above every bound."""
        found = [value for arm in self._arms(results) for value in results.values(arm, self.figure)]
        holds = all(value <= self.bound for value in found)
        return Finding(
            claim=self.claim,
            ours=f"{_largest(found):.3g}",
            verdict=Verdict.REPRODUCED if holds else Verdict.NOT_REPRODUCED,
        )

    def _arms(self, results: PartResults) -> Sequence[str]:
        return [self.arm] if self.arm else results.part.arms


@dataclass(frozen=True, kw_only=True)
class Above(Below):
    """EXACT: a figure of an arm is at least a bound: what a broken mechanism does, for example."""

    def find(self, results: PartResults, p: float) -> Finding:
        """Compare the figure of all seeds; NaN is below every bound."""
        found = [value for arm in self._arms(results) for value in results.values(arm, self.figure)]
        holds = all(value >= self.bound for value in found)
        return Finding(
            claim=self.claim,
            ours=f"{-_largest([-value for value in found]):.3g}",
            verdict=Verdict.REPRODUCED if holds else Verdict.NOT_REPRODUCED,
        )


@dataclass(frozen=True, kw_only=True)
class Less:
    """QUALITY: a figure of an arm is less than that of another, over paired seeds."""

    WORD: ClassVar[str] = "less"
    OPPOSITE: ClassVar[str] = "greater"
    claim: str
    arm: str
    than: str
    """The other arm; the same for two figures of one."""
    figure: str
    than_figure: str = ""
    """The other figure. [default: the same]"""
    by: float | None = None
    """The paper's difference, above 0; None if it does not say, or if sizes differ too much."""
    tolerance: float = 0.0
    """Largest deviation from it that still reproduces the number."""

    def difference(self, results: PartResults) -> Estimate:
        """Return how much less it is: above 0 as claimed."""
        return statistics.paired_difference(self._other(results), self._ours(results))

    def p(self, results: PartResults) -> float:
        """Return the p-value of the paired t test."""
        return self.difference(results).p

    def find(self, results: PartResults, p: float) -> Finding:
        """Compare the difference with 0, and with the paper's."""
        found = self.difference(results)
        significant = not math.isnan(p) and p < SIGNIFICANT and found.excludes(0)
        if not significant:
            verdict = Verdict.INCONCLUSIVE
        elif found.value < 0:
            verdict = Verdict.NOT_REPRODUCED
        elif self.by is not None and abs(found.value - self.by) <= self.tolerance:
            verdict = Verdict.REPRODUCED
        else:
            verdict = Verdict.DIRECTION
        return Finding(claim=self.claim, ours=self._said(found, p), verdict=verdict, estimate=found)

    def _said(self, found: Estimate, p: float) -> str:
        """Return which of the two is less, and by how much."""
        word, by = (self.OPPOSITE, -found) if found.value < 0 else (self.WORD, found)
        than = f" than {self.than}" if self.than != self.arm else ""
        return f"{self.arm} is {word}{than} by {by}" + ("" if math.isnan(p) else f", p = {p:.2g}")

    def _ours(self, results: PartResults) -> list[float]:
        return results.values(self.arm, self.figure)

    def _other(self, results: PartResults) -> list[float]:
        return results.values(self.than, self.than_figure or self.figure)


@dataclass(frozen=True, kw_only=True)
class Greater(Less):
    """QUALITY: a figure of an arm is greater than that of another, over paired seeds."""

    WORD: ClassVar[str] = "greater"
    OPPOSITE: ClassVar[str] = "less"

    def difference(self, results: PartResults) -> Estimate:
        """Return how much greater it is: above 0 as claimed."""
        return statistics.paired_difference(self._ours(results), self._other(results))


@dataclass(frozen=True, kw_only=True)
class Within(Uncorrected):
    """QUALITY: the mean of a figure of an arm is in a range."""

    claim: str
    arm: str
    figure: str
    low: float = -math.inf
    high: float = math.inf

    def find(self, results: PartResults, p: float) -> Finding:
        """Compare the interval of the mean with the range."""
        found = statistics.mean(results.values(self.arm, self.figure))
        if found.low >= self.low and found.high <= self.high:
            verdict = Verdict.REPRODUCED
        elif found.high < self.low or found.low > self.high:
            verdict = Verdict.NOT_REPRODUCED
        else:
            verdict = Verdict.INCONCLUSIVE
        return Finding(
            claim=self.claim, ours=f"{self.arm}: {found}", verdict=verdict, estimate=found
        )


@dataclass(frozen=True, kw_only=True)
class NotWorse(Uncorrected):
    """QUALITY: a figure of an arm is above that of another by no more than a margin."""

    claim: str
    arm: str
    than: str
    figure: str
    margin: float
    than_figure: str = ""
    """The figure of the other arm. [default: the same]"""

    def find(self, results: PartResults, p: float) -> Finding:
        """Compare the interval of the difference with the margin."""
        found = statistics.paired_difference(
            results.values(self.arm, self.figure),
            results.values(self.than, self.than_figure or self.figure),
        )
        if found.high <= self.margin:
            verdict = Verdict.REPRODUCED
        elif found.low > self.margin:
            verdict = Verdict.NOT_REPRODUCED
        else:
            verdict = Verdict.INCONCLUSIVE
        ours = f"{self.arm} - {self.than} is {found}; the margin is {self.margin:g}"
        return Finding(claim=self.claim, ours=ours, verdict=verdict, estimate=found)


@dataclass(frozen=True, kw_only=True)
class Ratio(Uncorrected):
    """SPEED: the ratio of a series of an arm to that of another: times, for example."""

    claim: str
    arm: str
    to: str
    figure: str
    between: tuple[float, float] | None = None
    """The paper's range of the ratio; None if none is claimed."""
    below: bool = True
    """Whether the ratio is claimed to be below 1, or above."""

    def ratio(self, results: PartResults) -> Estimate:
        """Return the ratio of the medians of all repetitions."""
        return statistics.median_ratio(
            results.repetitions(self.arm, self.figure), results.repetitions(self.to, self.figure)
        )

    def find(self, results: PartResults, p: float) -> Finding:
        """Compare the ratio with 1, and with the paper's range."""
        found = self.ratio(results)
        as_claimed = (found.value < 1) == self.below
        if not found.excludes(1) or p >= SIGNIFICANT:
            verdict = Verdict.INCONCLUSIVE
        elif not as_claimed:
            verdict = Verdict.NOT_REPRODUCED
        elif self.between is not None and self.between[0] <= found.value <= self.between[1]:
            verdict = Verdict.REPRODUCED
        else:
            verdict = Verdict.DIRECTION
        ours = f"{self.arm} to {self.to}: {found}"
        return Finding(claim=self.claim, ours=ours, verdict=verdict, estimate=found)


@dataclass(frozen=True, kw_only=True)
class Factor(Ratio):
    """QUALITY: the ratio of a figure of an arm to that of another, over paired seeds: steps."""

    def ratio(self, results: PartResults) -> Estimate:
        """Return the geometric mean of the ratios."""
        return statistics.paired_ratio(
            results.values(self.arm, self.figure), results.values(self.to, self.figure)
        )

    def p(self, results: PartResults) -> float:
        """Return the p-value of the paired t test of the logarithms."""
        return self.ratio(results).p


@dataclass(frozen=True, kw_only=True)
class Grows(Uncorrected):
    """A series grows with another as a power: y ~ x^exponent."""

    claim: str
    arm: str
    x: str
    y: str
    between: tuple[float, float]
    """Range of the exponent that the claim allows."""

    def find(self, results: PartResults, p: float) -> Finding:
        """Fit the exponent, and compare it and its interval with the range."""
        found = statistics.exponent(
            results.series(self.arm, self.x), results.series(self.arm, self.y)
        )
        low, high = self.between
        if low <= found.value <= high:
            verdict = Verdict.REPRODUCED
        elif found.low > high or found.high < low:
            verdict = Verdict.NOT_REPRODUCED
        else:
            verdict = Verdict.INCONCLUSIVE
        ours = f"exponent of {self.arm}: {found}"
        return Finding(claim=self.claim, ours=ours, verdict=verdict, estimate=found)


@dataclass(frozen=True, kw_only=True)
class Ranked(Uncorrected):
    """QUALITY: a figure orders the arms as the paper's numbers do."""

    claim: str
    figure: str
    paper: Mapping[str, float]
    """The paper's number of each arm."""
    least: float
    """Rank correlation from which the order counts as the paper's."""

    def find(self, results: PartResults, p: float) -> Finding:
        """Correlate the means of the arms with the paper's numbers (Spearman)."""
        arms = list(self.paper)
        means = [statistics.mean(results.values(arm, self.figure)).value for arm in arms]
        found = statistics.rank_correlation(means, [self.paper[arm] for arm in arms])
        if found.value >= self.least:
            verdict = Verdict.REPRODUCED
        elif found.value > 0:
            verdict = Verdict.DIRECTION if found.p < SIGNIFICANT else Verdict.INCONCLUSIVE
        else:
            verdict = Verdict.NOT_REPRODUCED if found.p < SIGNIFICANT else Verdict.INCONCLUSIVE
        ours = f"rank correlation of {len(arms)} arms {found.value:.2f}, p = {found.p:.2g}"
        return Finding(claim=self.claim, ours=ours, verdict=verdict, estimate=found)


def _largest(values: Sequence[float]) -> float:
    """Return the largest of *values*; NaN if one is NaN."""
    return math.nan if any(math.isnan(value) for value in values) else max(values)


def findings(results: PartResults) -> list[Finding]:
    """Return what the checks of a part find, their p-values corrected for their number."""
    checks = results.part.checks
    adjusted = statistics.holm([check.p(results) for check in checks])
    return [check.find(results, p) for check, p in zip(checks, adjusted, strict=True)]


def overall(found: Sequence[Finding]) -> Verdict:
    """Return the verdict on a claim by all findings: the least of them."""
    return min((each.verdict for each in found), key=ORDER.index)
