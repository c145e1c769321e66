"""Each experiment is well-formed, short, and right in what must hold."""

from __future__ import annotations

import pickle
import re

import pytest

from gpt.errors import ConfigError
from gpt.lab.catalog import IDS, experiment
from gpt.lab.checks import Verdict, findings
from gpt.lab.experiment import Setting
from gpt.lab.results import PartResults, key_of

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
            arms = {getattr(check, name, part.arms[0]) for name in ("arm", "than", "to")}
            assert arms <= set(part.arms)


@pytest.mark.parametrize("id", IDS)
def test_trials_can_be_made_by_other_processes(id: str) -> None:
    """What measures them is a function of a module, or an object with such functions."""
    for part in experiment(id).parts:
        assert pickle.loads(pickle.dumps(part.measure))


@pytest.mark.parametrize("id", IDS)
def test_a_source_has_a_link(id: str) -> None:
    """To a paper, or to a page."""
    assert re.fullmatch(r"arXiv:\d{4}\.\d{4,5}|https://\S+", experiment(id).source.link)


def test_an_unknown_experiment_is_an_error() -> None:
    """With the nearest name."""
    with pytest.raises(ConfigError, match="no experiment 'gul': did you mean glu"):
        experiment("gul")
