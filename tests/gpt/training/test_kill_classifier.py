"""`gpt classify train`, killed wherever it changes the disk, or before a step, and resumed."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from gpt.training.step import TrainStep
from tests.gpt.classifiers import letters, write_base
from tests.gpt.data.test_labeled_texts import write_tabs
from tests.gpt.processes import command, in_processes
from tests.gpt.training.test_kill import result

STEPS = 10
SETTINGS = {
    "steps": STEPS,
    "batch_size": 4,
    "eval_every": 3,
    "checkpoint_every": 4,
    "patience": 5,
    "device": "cpu",
    "dtype": "float32",
    "compile": "false",
    "threads": 1,
    "model.dropout.rate": 0.1,
}
WRITES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
"""Audit events of Python that change a folder."""


def moments(folder: Path, kill_at: int | None) -> list[str]:
    """Return a list that gets what this process does from now on, and kill it at one of them.

    That is each change below *folder*, before it is made, and each optimizer step.
    """
    found: list[str] = []

    def reach(moment: str) -> None:
        found.append(moment)
        if len(found) - 1 == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = bool(set(mode or "") & set("wax+")) or bool(flags & (os.O_WRONLY | os.O_RDWR))
        else:
            path, writes = arguments[0] if arguments else None, event in WRITES
        if writes and isinstance(path, str | Path) and Path(path).is_relative_to(folder):
            reach(f"{event} {Path(path).name}")

    update = TrainStep.update

    def counted_update(self: TrainStep, step: int, fraction: float) -> Any:
        reach(f"step {step}")
        return update(self, step, fraction)

    TrainStep.update = counted_update  # type: ignore[method-assign]
    sys.addaudithook(hook)
    return found


def trained(arguments: list[str], folder: Path, kill_at: int | None = None) -> Any:
    """Run `gpt` with *arguments*; return its exit code, what it printed, and what it did.

    With *kill_at* it is killed at that moment, and returns nothing.
    """
    found = moments(folder, kill_at)
    return *command(arguments), found


class Whole(NamedTuple):
    """A run that was not killed."""

    arguments: list[str]
    """Of the command, without the folder of the run."""
    run: Path
    moments: list[str]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The run to compare with."""
    folder = tmp_path_factory.mktemp("classifier")
    base, texts = write_base(folder / "base"), write_tabs(folder / "texts.tsv", letters())
    fields = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    arguments = ["classify", "train", str(base), "--data", str(texts), "--train", "lora", *fields]
    run = folder / "run"
    ((code, printed, found),) = in_processes(1, trained, [*arguments, "--out", str(run)], folder)
    assert code == 0, printed
    return Whole(arguments, run, found)


def everything(run: Path) -> tuple[Any, ...]:
    """What a run leaves besides its times: tensors apart."""
    rows, tensors, checkpoints = result(run)
    tested = json.loads((run / "classification.json").read_text())
    files = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    return tensors, rows, checkpoints, tested, files


def assert_resumes(whole: Whole, folder: Path, kills: list[int]) -> None:
    """Kill a run at the moments *kills* of its processes, and compare what the last one leaves."""
    run = folder / "run"
    arguments = [*whole.arguments, "--out", str(run)]
    for kill_at in kills:
        assert in_processes(1, trained, arguments, folder, kill_at) == [None]
    ((code, printed, _),) = in_processes(1, trained, arguments, folder)
    assert code == 0, printed
    tensors, *found = everything(run)
    expected_tensors, *expected = everything(whole.run)

    assert found == expected
    assert tensors.keys() == expected_tensors.keys()
    assert all(torch.equal(tensors[name], expected_tensors[name]) for name in tensors)


MOMENTS = ["open classes.json", "step 7", "os.rename step-00000008", "os.rename .classification"]
"""While the texts are divided, between checkpoints, in one, and after the test."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_classifier_ends_as_an_uninterrupted_one(
    whole: Whole, tmp_path: Path, moment: str
) -> None:
    """Metrics, weights, optimizer state, checkpoints, figures of the test, and names of files."""
    kills = (index for index, each in enumerate(whole.moments) if each.startswith(moment))

    assert_resumes(whole, tmp_path, [next(kills)])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(12))
def test_so_does_one_that_is_killed_twice(whole: Whole, tmp_path: Path, part: int) -> None:
    """Evenly over all moments, and again soon after it was resumed."""
    first = (2 * part + 1) * len(whole.moments) // 24

    assert_resumes(whole, tmp_path, [first, random.Random(part).randrange(16)])
