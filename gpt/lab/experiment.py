"""`Experiment`: a claim of a paper, its arms, what is measured, and how the verdict is computed.

An experiment is one file of `gpt.lab.experiments`, and reads like a paragraph of the paper. It has
parts, by the kind of what they check:

- **EXACT**: algebra, equality, bytes. It must hold, on one seed.
- **SPEED**: ratios and exponents of times, measured alone, with the median of repetitions.
- **QUALITY**: figures of training runs, over paired seeds, each arm at its own best learning rate.

Seeds, rates, processes and results are the runner's business (`gpt.lab.running`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["EXACT", "SPEED", "QUALITY"]
SizeName: TypeAlias = Literal["smoke", "cpu", "gpu"]
Size: TypeAlias = Mapping[str, Any]
"""The sizes of a part by name: steps, width, lengths."""
Sizes: TypeAlias = Mapping[SizeName, Size]
Figures: TypeAlias = Mapping[str, "float | list[float]"]
"""What a trial has measured, by name: numbers, or series of them."""
TUNING_SEEDS = (1_000_000, 1_000_001)
"""Seeds by which learning rates are chosen. No comparison uses them."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One trial: what a part's `measure` gets."""

    arm: str
    size: Size
    seed: int = 0
    rate: float | None = None
    """Learning rate, if the part has a grid of them."""
    device: str = "cpu"
    """Device of torch on which the trial is made."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one trial costs."""

    parameters: int
    flops: float


class Check(Protocol):
    """A rule from the figures of a part to a verdict: `gpt.lab.checks` has them.

    *results* are `gpt.lab.results.PartResults`, and a finding is a `gpt.lab.checks.Finding`.
    """

    @property
    def claim(self) -> str:
        """What is claimed, in a few words, with the paper's number."""

    def p(self, results: Any) -> float:
        """Return the p-value of a comparison that is corrected for their number; NaN if none."""

    def find(self, results: Any, p: float) -> Any:
        """Return the finding; *p* is the p-value after correction."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Trials of one kind, and the checks of their figures."""

    name: str
    """A word; names of parts differ."""
    kind: Kind
    arms: Sequence[str]
    """Names of the arms; the first is the baseline."""
    measure: Callable[[Setting], Figures]
    """Makes a trial. A function of a module, so that other processes can import it; its result is
    a function of the setting, timings excepted."""
    sizes: Sizes
    checks: Sequence[Check]
    rates: Sequence[float] = ()
    """Learning rates, of which each arm gets its best."""
    chosen_by: str = ""
    """Figure that is smallest at the best learning rate."""
    cost: Callable[[Setting], Cost] | None = None
    """Returns what a trial costs, before it is made."""
    noise_of: str = ""
    """Figure whose noise is measured, by a second set of seeds of the baseline (A/A)."""
    tuning_seeds: Sequence[int] = TUNING_SEEDS
    """Seeds by which learning rates are chosen."""

    @property
    def chooses(self) -> bool:
        """Whether each arm's learning rate is chosen among several."""
        return len(self.rates) > 1

    def seeds(self, count: int) -> range:
        """Return the seeds that arms are compared on."""
        return range(count if self.kind == "QUALITY" else 1)


Axis: TypeAlias = Literal["x", "y"]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What a picture shows of a part: one panel beside others."""

    part: str
    arms: Sequence[str] = ()
    """Arms that it shows. [default: all of the part]"""
    log: Sequence[Axis] = ()
    """Axes with a log scale."""


@dataclass(frozen=True, kw_only=True)
class Bars(Panel):
    """A row for each arm: the mean of a figure with its interval, and a dot for each seed."""

    figure: str
    label: str
    """Of the axis, with its unit."""


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """A line for each arm: two series, of the median of the seeds, in the range of all seeds."""

    x: str
    y: str
    x_label: str
    y_label: str


@dataclass(frozen=True, kw_only=True)
class Points(Panel):
    """A labeled point for each arm: the means of two figures, with the interval of the second."""

    x: str
    y: str
    x_label: str
    y_label: str


@dataclass(frozen=True, kw_only=True)
class Grid(Panel):
    """A table of arms and figures, its cells colored by the mean."""

    figures: Mapping[str, str]
    """Figures of the columns, by their headings."""
    label: str
    """What the cells are, with the unit."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a claim is made."""

    paper: str
    """Author, year, title."""
    link: str
    """arXiv:NUMBER, or an address."""
    where: str
    """Section, table or figure, and the number."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A claim, and what is measured of it here."""

    id: str
    question: str
    source: Source
    claim: str
    """What the paper says, in a sentence."""
    parts: Sequence[Part]
    panels: Sequence[Panel]
    """The picture: one panel, or several beside each other."""
    bounds: str
    """What bounds the verdict: what is smaller here than in the paper, or counted differently."""
    expects: str = ""
    """What was expected before it was run."""
    seeds: Mapping[SizeName, int] = field(default_factory=lambda: {"smoke": 1, "cpu": 5, "gpu": 5})
    """Seeds that arms are compared on, by size."""

    def at(self, size: SizeName) -> Experiment:
        """Return the experiment as it is run at *size*: a smoke test chooses no learning rates."""
        if size != "smoke":
            return self
        parts = [dataclasses.replace(part, rates=part.rates[:1]) for part in self.parts]
        return dataclasses.replace(self, parts=parts)

    def part(self, name: str) -> Part:
        """Return the part called *name*."""
        return next(part for part in self.parts if part.name == name)
