"""Pages and pictures say what was found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import html5lib
import pytest

from gpt.lab.experiment import Bars, Grid, Lines, Panel, Points
from gpt.lab.page import index, page, read_results, whole_page, write_pages
from gpt.lab.picture import picture
from gpt.lab.results import Results
from gpt.lab.running import Options, Outcome, run
from tests.gpt.lab import small
from tests.gpt.lab.test_running import in_process


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """The outcome of the small experiment."""
    monkeypatch.setattr("gpt.lab.running.run_trials", in_process)
    found = run(small.experiment(), tmp_path, Options(seeds=3))
    assert found is not None
    return found


def test_a_page_has_claim_verdict_and_figures(outcome: Outcome) -> None:
    """And the command that makes it again."""
    text = page(outcome.experiment, read_results(outcome.path), outcome.results)

    assert "**DIRECTION, 1 of 2 checks.** It is better." in text
    assert "| QUALITY | better is better | DIRECTION |" in text
    assert "gpt lab run small --size cpu" in text


def test_a_picture_is_the_same_each_time(outcome: Outcome) -> None:
    """So that it changes with the results only."""
    assert picture(outcome.experiment, outcome.results) == picture(
        outcome.experiment, outcome.results
    )


PANELS = {
    "bars": Bars(part="loss", figure="loss", label="nats"),
    "lines": Lines(part="loss", x="x", y="y", x_label="steps", y_label="nats", log=("x", "y")),
    "points": Points(part="loss", x="loss", y="loss", x_label="bytes", y_label="nats"),
    "grid": Grid(part="loss", figures={"copying": "loss", "recall": "loss"}, label="nats"),
}


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_panel_names_its_arms(panel: Panel, outcome: Outcome) -> None:
    """As text, which can be searched and read aloud."""
    trials = {
        key: {**figures, "x": [1.0, 2.0], "y": [3.0, 4.0]}
        for key, figures in outcome.results["loss"].trials.items()
    }
    part = dataclasses.replace(outcome.results["loss"], trials=trials)
    experiment = dataclasses.replace(outcome.experiment, panels=[panel, panel])
    svg = picture(experiment, Results(parts={"loss": part}))

    assert svg.count(">better</text>") == 2


def test_the_table_names_what_was_not_run(outcome: Outcome, tmp_path: Path) -> None:
    """And has a line for what was."""
    folder = outcome.path.parent

    table = index(folder, [outcome.experiment])

    assert "| [small](small.md) | It is better. | better is better: better is less than" in table
    assert "| small | It is better. |  | not run |" in index(
        tmp_path / "empty", [outcome.experiment]
    )


def test_the_page_of_all_needs_no_other_file(outcome: Outcome) -> None:
    """It is well-formed, and names no host."""
    write_pages(outcome)
    text = whole_page(outcome.path.parent, [outcome.experiment])
    html5lib.HTMLParser(strict=True).parse(text.replace("xlink:href", "href"))

    assert "http-equiv" not in text
    assert "<script" not in text
    assert "<svg" in text


def test_arms_can_have_different_figures(outcome: Outcome) -> None:
    """A baseline that is not trained, for example."""
    results = outcome.results
    for (part, arm, *_), figures in results["loss"].trials.items():
        if (part, arm) == ("loss", "better"):
            figures["steps"] = 3.0  # type: ignore[index]
    text = page(outcome.experiment, read_results(outcome.path), results)

    assert "| arm | best rate | loss | steps |" in text


@pytest.mark.parametrize(
    ("losses", "cell"),
    [
        ([1.0, 2.0, 3.0], "2.0 (-0.5 to 4.5)"),
        ([0.501, 0.502, 0.503], "0.5020 (0.4995 to 0.5045)"),
        ([1000.0, 2000.0, 3000.0], "2000 (-484 to 4484)"),
        ([49408.0, 49408.0, 49408.0], "49408"),
        ([1.0, 2.0, float("nan")], "nan"),
    ],
    ids=["two digits", "small", "thousands", "constant", "nan"],
)
def test_an_estimate_has_two_digits_of_its_interval(
    losses: list[float], cell: str, outcome: Outcome
) -> None:
    """The interval of 1, 2 and 3 is that of scipy, 2 ± 2.484."""
    results = outcome.results
    for (part, arm, _, seed), figures in results["loss"].trials.items():
        if (part, arm) == ("loss", "better") and seed < len(losses):
            figures["found"] = losses[seed]  # type: ignore[index]

    assert f"| {cell} |" in page(outcome.experiment, read_results(outcome.path), results)
