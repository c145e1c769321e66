"""Hostile files and full disks: each command ends with one line that names what is wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpt.__main__ import main
from gpt.runs.retention import find_checkpoint
from gpt.runs.sealed_folder import SUMS
from gpt.spec.recipe import Recipe
from gpt.training.loop import train


@pytest.fixture
def run(recipe: Recipe, data: Path, tmp_path: Path) -> Path:
    """A run of one step, with its data in its folder."""
    shutil.copytree(data, tmp_path / "run/data")
    train(dataclasses.replace(recipe, data=tmp_path / "run/data", steps=1))
    return tmp_path / "run"


@pytest.fixture
def checkpoint(run: Path) -> Path:
    """The folder of its checkpoint."""
    folder = find_checkpoint(run)
    assert folder is not None
    return folder


def seal(folder: Path) -> None:
    """Write the checksums of *folder* again."""
    files = [path for path in sorted(folder.iterdir()) if path.name != SUMS]
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (folder / SUMS).write_text("".join(sums))


def failure(given: list[str], capsys: pytest.CaptureFixture[str], code: int = 1) -> str:
    """The line with which `gpt` fails with *code*; before it a run is announced at most."""
    capsys.readouterr()
    assert main(given) == code
    *before, error = capsys.readouterr().err.splitlines(keepends=True)
    assert error.startswith("gpt: ")
    assert all(": planning a run on " in line for line in before)
    return error


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state["config"].update(layers=10**7), "tensors of 2 layers"),
        (lambda state: state["config"].update(width=1 << 40), "a size is too large"),
        (lambda state: state["config"].update(width=1 << 20), "has shape"),
        (lambda state: state["config"].update(vocab_size=1 << 31), "has shape"),
        (
            lambda state: state["config"]["attention"].update(heads=10**12 + 1),
            "does not divide into",
        ),
        (lambda state: state["config"].update(layers=["x" * 9000]), "expected int; got ['xxx"),
        (lambda state: state.update({"y" * 9000: 1}), "no such field"),
    ],
)
def test_a_config_that_does_not_fit_the_tensors_is_rejected_before_memory_is_used(
    change: Callable[[dict[str, Any]], object],
    words: str,
    run: Path,
    checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one short line."""
    state = json.loads((checkpoint / "state.json").read_bytes())
    change(state)
    (checkpoint / "state.json").write_text(json.dumps(state))
    seal(checkpoint)
    error = failure(["sample", str(run), "--prompt", "a"], capsys)

    assert words in error
    assert len(error) < 1000


def test_a_long_context_takes_no_memory(run: Path, checkpoint: Path) -> None:
    """Tables of positions and caches grow with the text."""
    state = json.loads((checkpoint / "state.json").read_bytes())
    state["config"]["context"] = 1 << 40
    (checkpoint / "state.json").write_text(json.dumps(state))
    seal(checkpoint)

    assert main(["sample", str(run), "--prompt", "a", "--tokens", "4"]) == 0


def test_a_state_that_is_nested_too_deeply_is_named(
    run: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As any other damage."""
    (checkpoint / "state.json").write_text("[" * 100_000)
    seal(checkpoint)

    assert f"{checkpoint / 'state.json'}: not the state of a run" in failure(
        ["sample", str(run)], capsys
    )


@pytest.mark.parametrize("command", ["train", "eval"])
def test_a_damaged_id_is_found_before_the_first_step(
    command: str, run: Path, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the file, and the position in it."""
    path = run / "data/train_000000.bin"
    data = np.fromfile(path, np.uint16)
    data[512 + 300] = 65_535
    data.tofile(path)
    given = {
        "train": ["train", "--data", str(run / "data"), "--out", str(run.parent / "new")],
        "eval": ["eval", str(run)],
    }

    error = failure([*given[command], "--device", "cpu"], capsys)
    assert f"{path}: token 300 (from 0) is id 65535" in error
    assert not (run.parent / "new/checkpoints").exists()


@pytest.mark.parametrize("target", ["metrics.jsonl", "checkpoints/loss.png", "link.png"])
def test_a_plot_does_not_replace_a_file_of_the_run(
    target: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By any name that it has."""
    (run / "link.png").symlink_to(run / "metrics.jsonl")
    before = (run / "metrics.jsonl").read_bytes()

    assert main(["plot", str(run), "-o", str(run / target)]) == 2
    assert "input" in capsys.readouterr().err
    assert (run / "metrics.jsonl").read_bytes() == before


def test_a_plot_can_be_put_beside_the_files_of_the_run(run: Path) -> None:
    """Also twice."""
    for _ in range(2):
        assert main(["plot", str(run), "-o", str(run / "plot.png")]) == 0


@pytest.mark.parametrize("kind", ["gguf", "hf"])
def test_an_export_does_not_replace_a_file_of_a_checkpoint(
    kind: str, run: Path, checkpoint: Path
) -> None:
    """Nor is it written beside them."""
    before = (checkpoint / "model.safetensors").read_bytes()
    targets = [checkpoint / "model.safetensors", checkpoint / "new", run / "checkpoints"]

    for target in targets:
        assert main(["export", str(run), str(target), "--to", kind]) == 2
    assert (checkpoint / "model.safetensors").read_bytes() == before


def test_a_run_is_not_written_into_its_data(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder would be both."""
    shutil.copytree(data, tmp_path / "data")
    folder = str(tmp_path / "data")

    assert main(["train", "--data", folder, "--out", folder]) == 2
    assert "choose another --out" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_behind_stdout_is_an_error(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python would write the rest at its exit, and end with another code."""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", full)
        error = failure(["sample", str(run), "--prompt", "a", "--tokens", "4"], capsys)

        assert error == "gpt: stdout: No space left on device\n"
        assert full.closed


def test_a_closed_stdout_is_an_error(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python has no stream for it."""
    monkeypatch.setattr(sys, "stdout", None)

    assert "stdout: it is closed" in failure(["sample", str(run), "--prompt", "a"], capsys)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 16 GiB")]
)
def test_a_machine_without_enough_memory_is_one_line(
    error: Exception,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whichever error torch raises for it."""

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("gpt.runs.reading.read_state", fail)

    assert failure(["sample", str(run)], capsys).endswith("out of memory\n")
