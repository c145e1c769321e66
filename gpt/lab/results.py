"""`Results`: the figures of an experiment's trials, as checks and pictures read them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gpt.lab.experiment import Figures, Part, Setting, Size

NOISE = "A/A"
"""Name of the baseline's second set of seeds, in results."""
Trials: TypeAlias = Mapping["tuple[str, str, float | None, int]", Figures]
"""Figures by part, arm, learning rate and seed."""


def key_of(part: str, setting: Setting) -> tuple[str, str, float | None, int]:
    """Return the key of a trial in `Trials`."""
    return part, setting.arm, setting.rate, setting.seed


@dataclass(frozen=True)
class PartResults:
    """The figures of a part, of *count* seeds, with each arm at its best rate."""

    part: Part
    trials: Trials
    size: Size
    count: int
    first: int = 0
    """The first seed."""

    @property
    def seeds(self) -> list[int]:
        """The seeds that arms are compared on."""
        return [self.first + seed for seed in self.part.seeds(self.count)]

    @property
    def noise_seeds(self) -> list[int]:
        """As many others, for the baseline alone."""
        return [self.count + seed for seed in self.seeds]

    def best_rate(self, arm: str) -> float | None:
        """Return the learning rate of *arm* with the smallest `Part.chosen_by`, by the mean.

        Trials that diverged, whose figure is NaN or infinite, are never the best.
        """
        if not self.part.chooses:
            return self.part.rates[0] if self.part.rates else None

        def figure(rate: float) -> float:
            found = [
                self.trials[self.part.name, arm, rate, seed][self.part.chosen_by]
                for seed in self.part.tuning_seeds
            ]
            value = statistics.fmean(number(each) for each in found)
            return value if value == value else float("inf")

        return min(self.part.rates, key=figure)

    def values(self, arm: str, figure: str) -> list[float]:
        """Return *figure* of *arm* for each seed, in order."""
        seeds = self.noise_seeds if arm == NOISE else self.seeds
        arm = self.part.arms[0] if arm == NOISE else arm
        rate = self.best_rate(arm)
        return [number(self.trials[self.part.name, arm, rate, s][figure]) for s in seeds]

    def numbers(self, arm: str) -> dict[str, list[float]]:
        """Return all figures of *arm* that are no series, for each seed in order."""
        rate = self.best_rate(arm)
        first = self.trials[self.part.name, arm, rate, self.seeds[0]]
        names = [name for name, value in first.items() if not isinstance(value, list)]
        return {name: self.values(arm, name) for name in names}

    def repetitions(self, arm: str, figure: str) -> list[float]:
        """Return all repetitions of *figure* of *arm*: its series, of all seeds."""
        return [value for series in self.by_seed(arm, figure) for value in series]

    def series(self, arm: str, figure: str) -> list[float]:
        """Return the series *figure* of *arm*, of the median of the seeds."""
        return [statistics.median(each) for each in zip(*self.by_seed(arm, figure), strict=True)]

    def by_seed(self, arm: str, figure: str) -> list[list[float]]:
        """Return the series *figure* of *arm* for each seed; a number is one of length 1."""
        rate = self.best_rate(arm)
        found = [self.trials[self.part.name, arm, rate, seed][figure] for seed in self.seeds]
        return [each if isinstance(each, list) else [each] for each in found]


@dataclass(frozen=True, kw_only=True)
class Results:
    """The figures of an experiment."""

    parts: Mapping[str, PartResults]

    def __getitem__(self, part: str) -> PartResults:
        return self.parts[part]


def number(figure: Any) -> float:
    """Return *figure*, which is no series."""
    if isinstance(figure, list):
        raise TypeError("the figure is a series; name one that is a number")
    return float(figure)
