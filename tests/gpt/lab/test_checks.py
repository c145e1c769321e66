"""Verdicts follow from figures, and from nothing else."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gpt.lab.checks import (
    Above,
    Below,
    Equal,
    Factor,
    Finding,
    Greater,
    Grows,
    Less,
    NotWorse,
    Ranked,
    Ratio,
    Verdict,
    Within,
    findings,
    overall,
)
from gpt.lab.experiment import Check, Part
from gpt.lab.results import PartResults

LESS: dict[str, Any] = {"claim": "", "arm": "new", "than": "base", "figure": "y"}
CASES: dict[str, tuple[Check, dict[str, Any], Verdict]] = {
    "less": (Less(**LESS), {"base": [2.0, 2.1, 2.2], "new": [1.5, 1.61, 1.7]}, Verdict.DIRECTION),
    "less by the paper's number": (
        Less(**LESS, by=0.5, tolerance=0.1),
        {"base": [2.0, 2.1, 2.2], "new": [1.5, 1.61, 1.7]},
        Verdict.REPRODUCED,
    ),
    "more": (
        Less(**LESS, by=0.5, tolerance=0.1),
        {"base": [1.5, 1.61, 1.7], "new": [2.0, 2.1, 2.2]},
        Verdict.NOT_REPRODUCED,
    ),
    "noise": (
        Less(**LESS),
        {"base": [2.0, 2.5, 1.5], "new": [2.1, 2.3, 1.6]},
        Verdict.INCONCLUSIVE,
    ),
    "one seed": (Less(**LESS), {"base": [2.0], "new": [1.0]}, Verdict.INCONCLUSIVE),
    "a run diverged": (
        Less(**LESS),
        {"base": [2.0, 2.1, 2.2], "new": [1.5, math.inf, 1.7]},
        Verdict.INCONCLUSIVE,
    ),
    "as good": (
        NotWorse(**LESS, margin=0.1),
        {"base": [2.0, 2.1, 2.2], "new": [2.01, 2.11, 2.2]},
        Verdict.REPRODUCED,
    ),
    "worse": (
        NotWorse(**LESS, margin=0.1),
        {"base": [2.0, 2.1, 2.2], "new": [2.5, 2.61, 2.7]},
        Verdict.NOT_REPRODUCED,
    ),
    "equal": (
        Equal(claim="", arm="new", figure="y", value=3.0),
        {"base": [1.0], "new": [3.0]},
        Verdict.REPRODUCED,
    ),
    "unequal": (
        Equal(claim="", arm="new", figure="y", value=3.0, tolerance=0.1),
        {"base": [1.0], "new": [3.2]},
        Verdict.NOT_REPRODUCED,
    ),
    "an error that is NaN": (
        Below(claim="", arm="new", figure="y", bound=1.0),
        {"base": [1.0], "new": [math.nan]},
        Verdict.NOT_REPRODUCED,
    ),
    "one arm of all above the bound": (
        Below(claim="", figure="y", bound=1.0),
        {"base": [0.5, 0.6], "new": [0.5, 1.1]},
        Verdict.NOT_REPRODUCED,
    ),
    "all arms below the bound": (
        Below(claim="", figure="y", bound=1.0),
        {"base": [0.5, 0.6], "new": [0.5, 0.9]},
        Verdict.REPRODUCED,
    ),
    "above": (
        Above(claim="", arm="new", figure="y", bound=1.0),
        {"base": [0.5], "new": [1.1]},
        Verdict.REPRODUCED,
    ),
    "NaN is not above": (
        Above(claim="", arm="new", figure="y", bound=1.0),
        {"base": [0.5], "new": [math.nan]},
        Verdict.NOT_REPRODUCED,
    ),
    "greater": (
        Greater(**LESS),
        {"base": [1.5, 1.61, 1.7], "new": [2.0, 2.1, 2.2]},
        Verdict.DIRECTION,
    ),
    "not greater": (
        Greater(**LESS),
        {"base": [2.0, 2.1, 2.2], "new": [1.5, 1.61, 1.7]},
        Verdict.NOT_REPRODUCED,
    ),
    "in the range": (
        Within(claim="", arm="new", figure="y", low=0.9),
        {"base": [0.0] * 3, "new": [0.95, 0.96, 0.97]},
        Verdict.REPRODUCED,
    ),
    "out of the range": (
        Within(claim="", arm="new", figure="y", low=0.9),
        {"base": [0.0] * 3, "new": [0.5, 0.51, 0.52]},
        Verdict.NOT_REPRODUCED,
    ),
    "across the bound": (
        Within(claim="", arm="new", figure="y", low=0.9),
        {"base": [0.0] * 3, "new": [0.85, 0.9, 0.95]},
        Verdict.INCONCLUSIVE,
    ),
    "half the steps": (
        Factor(claim="", arm="new", to="base", figure="y", between=(0.4, 0.6)),
        {"base": [100.0, 210.0, 320.0], "new": [50.0, 100.0, 165.0]},
        Verdict.REPRODUCED,
    ),
    "a target that was not reached": (
        Factor(claim="", arm="new", to="base", figure="y"),
        {"base": [100.0, 210.0, 320.0], "new": [50.0, 100.0, math.inf]},
        Verdict.INCONCLUSIVE,
    ),
    "ranks": (
        Ranked(claim="", figure="y", paper={"base": 3.0, "new": 1.0, "other": 2.0}, least=0.9),
        {"base": [9.0], "new": [7.0], "other": [8.0]},
        Verdict.REPRODUCED,
    ),
    "a ratio in the range": (
        Ratio(claim="", arm="new", to="base", figure="y", between=(0.4, 0.6)),
        {"base": [[2.0, 2.01, 1.99]], "new": [[1.0, 1.01, 0.99]]},
        Verdict.REPRODUCED,
    ),
    "a ratio of single times": (
        Ratio(claim="", arm="new", to="base", figure="y", between=(0.4, 0.6)),
        {"base": [[2.0]], "new": [[1.0]]},
        Verdict.INCONCLUSIVE,
    ),
    "a ratio of the wrong side": (
        Ratio(claim="", arm="base", to="new", figure="y", between=(0.4, 0.6)),
        {"base": [[2.0, 2.01, 1.99]], "new": [[1.0, 1.01, 0.99]]},
        Verdict.NOT_REPRODUCED,
    ),
    "quadratic, and not linear": (
        Grows(claim="", arm="new", x="x", y="y", between=(0.8, 1.2)),
        {"base": [[1.0]], "new": [[1.0, 4.0, 16.1, 64.0]]},
        Verdict.NOT_REPRODUCED,
    ),
    "linear": (
        Grows(claim="", arm="new", x="x", y="y", between=(0.8, 1.2)),
        {"base": [[1.0]], "new": [[1.0, 2.1, 4.0, 8.0]]},
        Verdict.REPRODUCED,
    ),
}


def found(checks: list[Check], values: dict[str, Any]) -> list[Finding]:
    """What *checks* find in the figure y of each arm, one for each seed."""
    count = max(map(len, values.values()))
    part = Part(
        name="part",
        kind="QUALITY",
        arms=list(values),
        measure=lambda setting: {},
        sizes={},
        checks=checks,
    )
    trials = {
        ("part", arm, None, seed): {"y": value, "x": [1.0, 2.0, 4.0, 8.0]}
        for arm, each in values.items()
        for seed, value in enumerate(each)
    }
    return findings(PartResults(part, trials, {}, count))


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_follows_from_the_figures(name: str) -> None:
    """Each check, in each case."""
    check, values, verdict = CASES[name]

    assert found([check], values)[0].verdict == verdict


def test_many_comparisons_are_corrected() -> None:
    """A difference that is significant alone is not among ten."""
    values = {"base": [2.0, 2.1, 2.2], "new": [1.9, 1.95, 2.12]}
    alone = found([Less(**LESS)], values)[0]
    among = found([Less(**LESS)] * 10, values)[0]

    assert (alone.verdict, among.verdict) == (Verdict.DIRECTION, Verdict.INCONCLUSIVE)


def test_the_least_verdict_decides() -> None:
    """An experiment is as good as its worst finding."""
    each = [Finding(claim="", ours="", verdict=verdict) for verdict in Verdict]

    assert overall(each) == Verdict.NOT_REPRODUCED
    assert overall(each[:2]) == Verdict.DIRECTION


@pytest.mark.parametrize(
    ("check", "ours"),
    [
        (Less(**LESS), "new is greater than base by 1 (0.7516 to 1.248, n = 3)"),
        (Greater(**LESS), "new is greater than base by 1 (0.7516 to 1.248, n = 3)"),
    ],
    ids=["less", "greater"],
)
def test_a_difference_is_said_with_its_sign(check: Check, ours: str) -> None:
    """In either direction; the interval of 0.9, 1 and 1.1 is that of scipy."""
    values = {"base": [1.0, 2.0, 3.0], "new": [1.9, 3.0, 4.1]}

    assert found([check], values)[0].ours.startswith(ours)
