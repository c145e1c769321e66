"""What docs/lab says follows from the trials beside it."""

from __future__ import annotations

from typing import Any

import pytest

from benches.lab import FOLDER, README, readme, timings
from gpt.lab.catalog import IDS, experiment
from gpt.lab.experiment import Setting
from gpt.lab.page import page, read_results
from gpt.lab.record import Record
from gpt.lab.running import Options, conclude, described
from gpt.lab.timing import TIMINGS
from tests.docs.documents import blocks

RESULTS = [id for id in IDS if (FOLDER / f"{id}.json").exists()]


def rounded(value: Any) -> Any:
    """*value* with numbers to six digits: versions of scipy differ after them."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("id", RESULTS)
def test_a_verdict_follows_from_its_trials(id: str) -> None:
    """By the experiment as it is now, and so does its page."""
    found = experiment(id)
    document = read_results(FOLDER / f"{id}.json")
    record = Record(FOLDER, found, "cpu")
    again = f"the experiment has changed: gpt lab run {id} --out docs/lab"
    assert record.dropped == 0, again
    options = Options(seeds=document["seeds"], first_seed=document["first_seed"])
    outcome = conclude(found, options, record)

    for name, value in described(outcome, options).items():
        assert rounded(document[name]) == rounded(value), again
    assert (FOLDER / f"{id}.md").read_text() == page(found, document, outcome.results), again


def test_every_page_has_its_results() -> None:
    """And its picture; nothing else is in the folder."""
    names = {"README.md", *(f"{id}.{suffix}" for id in RESULTS for suffix in ("json", "svg", "md"))}

    assert {path.name for path in FOLDER.iterdir()} == names


def test_the_table_is_that_of_the_results() -> None:
    """``python -m benches.lab`` writes it."""
    assert README.read_text(encoding="utf-8") == readme()


def test_the_times_are_those_of_the_results() -> None:
    """``python -m benches.lab`` writes them."""
    assert TIMINGS.read_text(encoding="utf-8") == timings()


def test_the_experiment_in_the_guide_runs() -> None:
    """Each part, at the smallest size."""
    (block,) = blocks(README, "python")
    names: dict[str, Any] = {}
    exec(block.text, names)
    found = names["EXPERIMENT"].at("smoke")
    figures = {
        (part.name, arm): part.measure(
            Setting(arm=arm, size=part.sizes["smoke"], rate=next(iter(part.rates), None))
        )
        for part in found.parts
        for arm in part.arms
    }

    assert [figures["weights", arm]["rows"] for arm in ("two", "tied")] == [2, 1]
    assert all(figures["loss", arm]["leak"] == 0 for arm in ("two", "tied"))
