"""Each experiment is well-formed, short, and right in what must hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpt.errors import ConfigError
from gpt.lab.catalog import IDS, experiment
from gpt.lab.checks import Verdict, findings
from gpt.lab.experiment import Setting, SizeName
from gpt.lab.page import write_pages
from gpt.lab.results import PartResults, key_of
from gpt.lab.running import Options, planned, run

EXACT = [(id, part.name) for id in IDS for part in experiment(id).parts if part.kind == "EXACT"]


@pytest.mark.parametrize(("id", "name"), EXACT, ids=["-".join(each) for each in EXACT])
def test_what_must_hold_holds(id: str, name: str) -> None:
    """Algebra, equalities and bytes, at the smallest size."""
    part = experiment(id).part(name)
    size = part.sizes["smoke"]
    settings = [Setting(arm=arm, size=size) for arm in part.arms]
    trials = {key_of(name, setting): part.measure(setting) for setting in settings}
    found = findings(PartResults(part, trials, size, 1))

    assert {each.claim: each.ours for each in found if each.verdict != Verdict.REPRODUCED} == {}


@pytest.mark.parametrize("id", IDS)
def test_an_experiment_has_all_sizes_and_names_its_arms(id: str) -> None:
    """And its picture shows parts and arms that there are."""
    found = experiment(id)

    assert found.id == id
    for panel in found.panels:
        assert set(panel.arms) <= set(found.part(panel.part).arms)
    for part in found.parts:
        assert set(part.sizes) == {"smoke", "cpu", "gpu"}
        for check in part.checks:
            arms = {getattr(check, name, "") for name in ("arm", "than", "to")}
            assert arms <= {"", *part.arms}


@pytest.mark.parametrize("id", IDS)
def test_models_of_all_sizes_can_be_built(id: str) -> None:
    """Without memory: those for a GPU are as wide as a laptop cannot hold."""
    sizes: tuple[SizeName, ...] = ("cpu", "gpu")
    for size in sizes:
        for arm in planned(experiment(id), Options(size=size)):
            assert arm.cost is None or arm.cost.flops > 0


@pytest.mark.slow
@pytest.mark.parametrize("id", IDS)
def test_an_experiment_runs(id: str, tmp_path: Path) -> None:
    """At the size of a smoke test, to its page."""
    outcome = run(experiment(id), tmp_path, Options(size="smoke"))

    assert outcome is not None
    assert {path.suffix for path in write_pages(outcome)} == {".svg", ".md"}


@pytest.mark.parametrize("id", IDS)
def test_a_source_has_a_link(id: str) -> None:
    """To a paper, or to a page."""
    assert re.fullmatch(r"arXiv:\d{4}\.\d{4,5}|https://\S+", experiment(id).source.link)


def test_an_unknown_experiment_is_an_error() -> None:
    """With the nearest name."""
    with pytest.raises(ConfigError, match="no experiment 'gul': did you mean glu"):
        experiment("gul")
