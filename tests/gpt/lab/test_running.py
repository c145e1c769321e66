"""Running: which trials are made, what an interruption leaves, and what the results say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpt.errors import DataError, TrainingError
from gpt.lab import running
from gpt.lab.checks import Verdict
from gpt.lab.experiment import TUNING_SEEDS, Part, Setting
from gpt.lab.record import Record
from gpt.lab.running import Options, Outcome, run
from gpt.lab.workers import run_trials, workers
from tests.gpt.lab import small


def in_process(trials: Any, pool: Any, *, jobs: int, stop: Any = lambda: False) -> Iterator[Any]:
    """Make trials one after another, here."""
    for part, setting in trials:
        if stop():
            return
        yield part, setting, part.measure(setting), 0.1


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Trials are made in this process, except where workers are tested."""
    if "workers" not in request.node.name:
        monkeypatch.setattr(running, "run_trials", in_process)


def finished(folder: Path, arms: tuple[str, ...] = ("base", "better"), **options: Any) -> Outcome:
    """The outcome of the small experiment."""
    outcome = run(small.experiment(arms), folder, Options(**options))
    assert outcome is not None
    return outcome


def test_an_effect_is_found(tmp_path: Path) -> None:
    """The verdict is that of the least finding; here no size is claimed."""
    assert finished(tmp_path).verdict == Verdict.DIRECTION


def test_swapped_arms_do_not_reproduce(tmp_path: Path) -> None:
    """The other sign."""
    assert finished(tmp_path, ("better", "base")).verdict == Verdict.NOT_REPRODUCED


def test_no_effect_is_inconclusive(tmp_path: Path) -> None:
    """Two arms that differ by noise alone."""
    assert finished(tmp_path, ("base", "same")).verdict == Verdict.INCONCLUSIVE


def test_rates_are_chosen_on_seeds_of_their_own(tmp_path: Path) -> None:
    """Each arm gets its best, and all its seeds in the comparison have it."""
    outcome = finished(tmp_path)
    trials = json.loads(outcome.path.read_text())["trials"]
    tuning = {each["seed"] for each in trials if each["rate"] in (0.01, 1.0)}
    compared = {each["seed"] for each in trials if each["arm"] == "better"} - tuning

    assert tuning == set(TUNING_SEEDS)
    assert compared == {0, 1, 2, 3, 4}
    assert outcome.results["loss"].best_rate("better") == 0.1


def test_the_noise_is_that_of_other_seeds(tmp_path: Path) -> None:
    """A second set of seeds of the baseline."""
    outcome = finished(tmp_path, seeds=3, first_seed=10)
    trials = json.loads(outcome.path.read_text())["trials"]
    base = {each["seed"] for each in trials if each["arm"] == "base" and each["part"] == "loss"}

    assert base - set(TUNING_SEEDS) == {10, 11, 12, 13, 14, 15}
    assert outcome.noise["loss"].n == 3


def test_a_smoke_test_chooses_no_rates(tmp_path: Path) -> None:
    """One seed, one rate."""
    trials = json.loads(finished(tmp_path, size="smoke").path.read_text())["trials"]

    assert len(trials) == 4  # an equality, two arms, and the noise


def test_a_stopped_run_goes_on_with_the_trials_that_it_has(tmp_path: Path) -> None:
    """None is made twice, and the results are those of a run that was not stopped."""
    made: list[Setting] = []

    def counting(trials: Any, pool: Any, **options: Any) -> Iterator[Any]:
        for each in in_process(trials, pool, **options):
            made.append(each[1])
            yield each

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "run_trials", counting)
        stopped = run(small.experiment(), tmp_path / "a", stop=lambda: len(made) >= 7)
        outcome = run(small.experiment(), tmp_path / "a")
    whole = finished(tmp_path / "b")

    assert stopped is None
    assert len(made) == len(set(map(str, made)))
    assert outcome is not None
    ours, theirs = (json.loads(each.path.read_text()) for each in (outcome, whole))
    assert ours["trials"] == theirs["trials"]


def test_half_a_line_of_a_kill_is_made_again(tmp_path: Path) -> None:
    """Only the trial in progress is lost."""
    experiment = small.experiment()
    record = Record(tmp_path, experiment, "cpu")
    record.add("loss", Setting(arm="base", size={}, rate=0.1, seed=3), {"loss": 1.0}, 0.1)
    lines = tmp_path / "small.trials.jsonl"
    lines.write_bytes(lines.read_bytes() + b'{"part": "loss", "ar')
    again = Record(tmp_path, experiment, "cpu")
    again.add("loss", Setting(arm="base", size={}, rate=0.1, seed=4), {"loss": 1.0}, 0.1)

    assert set(Record(tmp_path, experiment, "cpu").trials) == {
        ("loss", "base", 0.1, 3),
        ("loss", "base", 0.1, 4),
    }


def test_trials_of_changed_code_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are of another experiment."""
    finished(tmp_path)
    monkeypatch.setattr("gpt.lab.record.digest_of", lambda part, size: "other")
    record = Record(tmp_path, small.experiment(), "cpu")

    assert record.trials == {}
    assert record.dropped == 28


def test_results_of_another_size_are_kept(tmp_path: Path) -> None:
    """A smoke test does not replace what took hours."""
    finished(tmp_path)
    with pytest.raises(DataError, match="has results of size cpu; choose another --out"):
        finished(tmp_path, size="smoke")


def test_damaged_results_are_an_error(tmp_path: Path) -> None:
    """With the file, and what to do."""
    (tmp_path / "small.json").write_text("{")
    with pytest.raises(DataError, match=r"small\.json: not JSON.*move it away"):
        finished(tmp_path)


def test_figures_are_recomputed_from_the_file(tmp_path: Path) -> None:
    """Results that are read again give the same findings."""
    outcome = finished(tmp_path)
    again = finished(tmp_path)

    assert again.findings == outcome.findings


def test_trials_of_workers_are_those_of_this_process(tmp_path: Path) -> None:
    """In any order, on one thread each."""
    experiment = small.experiment()
    part: Part = experiment.part("loss")
    settings = [Setting(arm="base", size={}, rate=0.1, seed=seed) for seed in range(3)]
    with workers(2) as pool:
        trials = [(part, setting) for setting in settings]
        found = {setting.seed: each for _, setting, each, _ in run_trials(trials, pool, jobs=2)}

    assert found == {setting.seed: part.measure(setting) for setting in settings}


def test_a_trial_that_fails_in_workers_is_named(tmp_path: Path) -> None:
    """Part, arm, rate and seed, with the error."""
    part = small.experiment(measure=small.failing).part("loss")
    setting = Setting(arm="base", size={}, rate=0.1, seed=3)
    expected = "part loss, arm base, rate 0.1, seed 3: ValueError: no such thing"
    with workers(1) as pool, pytest.raises(TrainingError, match=expected):
        list(run_trials([(part, setting)], pool, jobs=1))


def test_results_keep_the_machine_of_their_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading them again elsewhere makes none; new trials are of the machine that made them."""

    def machine(outcome: Outcome) -> str:
        return str(json.loads(outcome.path.read_text())["environment"]["processor"])

    monkeypatch.setattr(running, "environment", lambda: {"processor": "first"})
    finished(tmp_path, seeds=3)
    monkeypatch.setattr(running, "environment", lambda: {"processor": "second"})

    assert machine(finished(tmp_path, seeds=3)) == "first"
    assert machine(finished(tmp_path, seeds=4)) == "second"
