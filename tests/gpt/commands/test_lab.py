"""`gpt lab` with a small experiment."""

from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path

import pytest

from gpt.__main__ import main
from gpt.lab import catalog
from gpt.lab.experiment import Experiment
from tests.gpt.lab import small


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The small experiment is the only one, and the folder is empty."""

    def found(id: str) -> Experiment:
        return small.experiment()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalog, "experiment", found)
    monkeypatch.setattr(catalog, "experiments", lambda: [small.experiment()])


def test_a_dry_run_makes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It says what would be run: trials of each arm, sizes, and how long they take."""
    assert main(["lab", "run", "small", "--dry-run", "--jobs", "1"]) == 0
    err = capsys.readouterr().err

    assert "small: 5 seeds, cpu, 28 trials, 1 job, not timed yet\n" in err
    assert "  loss (QUALITY, steps 3)\n    base: 16 trials\n    better: 11 trials\n" in err
    assert list(tmp_path.iterdir()) == []


def test_a_run_writes_results_and_says_what_it_found(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Then it is timed, and listed with its verdict, and the report has it."""
    assert main(["lab", "run", "small", "--jobs", "1"]) == 0
    assert "small: DIRECTION; lab/cpu/small.md" in capsys.readouterr().err
    names = {path.name for path in (tmp_path / "lab/cpu").iterdir()}
    assert names == {"small.json", "small.md", "small.svg"}

    assert main(["lab", "list"]) == 0
    assert "small          DIRECTION       Is it better?" in capsys.readouterr().out
    assert main(["lab", "report"]) == 0
    assert "| [small](small.md) | It is better. |" in capsys.readouterr().out
    assert (tmp_path / "lab/cpu/lab.html").exists()


def test_a_report_without_results_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that makes some."""
    assert main(["lab", "report"]) == 2
    assert "`gpt lab run ID` writes some" in capsys.readouterr().err


def test_an_experiment_that_fails_does_not_keep_the_others_from_running(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named when it fails and at the end, and the status is an error's."""
    broken = dataclasses.replace(small.experiment(measure=small.failing), id="broken")
    monkeypatch.setattr(catalog, "experiments", lambda: [broken, small.experiment()])

    assert main(["lab", "run", "all", "--size", "smoke", "--jobs", "1"]) == 1
    err = capsys.readouterr().err
    assert "broken: part loss, arm base, rate 0.01, seed 0: ValueError: no such thing\n" in err
    assert "failed: broken; the others have results" in err
    assert (tmp_path / "lab/smoke/small.json").exists()


def test_workers_end_with_the_command() -> None:
    """A process that was forked for the command would wait for them at its own end."""
    assert main(["lab", "run", "small", "--size", "smoke", "--jobs", "2"]) == 0
    assert multiprocessing.active_children() == []
