"""Real processes that are killed at random moments and resumed."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from tests.gpt.training.interrupted import history, tensors

STEPS = 60
RECIPE = f"""
steps = {STEPS}
batch_size = 2
eval_every = 10
checkpoint_every = 3
keep = 2
average = 0.9
device = "cpu"
dtype = "float32"
compile = false
threads = 1

[model]
context = 16
layers = 2
width = 32
attention = {{heads = 2, kv_heads = 1}}
dropout = 0.1
"""


def start(recipe: Path, data: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start the command that starts or resumes the run."""
    return spawn("--config", str(recipe), "--data", str(data), "--out", str(out))


def spawn(*options: str) -> subprocess.Popen[bytes]:
    """Start `gpt train` with *options*."""
    root = str(Path(__file__).parents[3])
    return subprocess.Popen(
        [sys.executable, "-m", "gpt", "train", *options],
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.DEVNULL,
    )


def kill_after(process: subprocess.Popen[bytes], run: Path, rows: int, seconds: float) -> None:
    """Kill *process* when *seconds* have passed since metrics.jsonl has *rows* rows."""
    metrics = run / "metrics.jsonl"
    while process.poll() is None and (
        not metrics.exists() or metrics.read_bytes().count(b"\n") < rows
    ):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.001)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.kill()
    assert process.wait() == -9, "the process ended before the kill"


def result(run: Path) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor], list[str]]:
    """Metrics without times, tensors, and names of checkpoints."""
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    return history(run), tensors(read_checkpoint(run)), names


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of all these runs, as a file."""
    path = tmp_path_factory.mktemp("kill") / "recipe.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def uninterrupted(recipe: Path, data: Path) -> Path:
    """The run without a kill."""
    out = recipe.parent / "uninterrupted"
    assert start(recipe, data, out).wait() == 0
    return out


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_killed_run_ends_as_an_uninterrupted_one(
    recipe: Path, data: Path, uninterrupted: Path, tmp_path: Path, seed: int
) -> None:
    """After two kills, metrics, weights, optimizer state, averages and checkpoints are the same.

    A third of the time is spent on checkpoints, so some kills interrupt their writing.
    """
    randomness = random.Random(seed)
    for first, last in ((0, STEPS // 2), (STEPS // 2, STEPS - 5)):
        process = start(recipe, data, tmp_path / "run")
        kill_after(
            process, tmp_path / "run", randomness.randint(first, last), randomness.uniform(0, 0.03)
        )
    assert start(recipe, data, tmp_path / "run").wait() == 0
    rows, found, checkpoints = result(tmp_path / "run")
    expected_rows, expected, expected_checkpoints = result(uninterrupted)

    assert rows == expected_rows
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert checkpoints == expected_checkpoints


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_killed_run_repeats_its_time(recipe: Path, data: Path, tmp_path: Path, seed: int) -> None:
    """Under a time budget, all that was seen before either kill is the same after it.

    The whole run can be replayed: metrics with their times, weights and optimizer state.
    """
    randomness = random.Random(seed)
    timed, run, again = tmp_path / "recipe.toml", tmp_path / "run", tmp_path / "again"
    text = recipe.read_text().replace(f"steps = {STEPS}", "seconds = 5.0")
    timed.write_text(text.replace("checkpoint_every = 3", "checkpoint_every = 20"))
    seen = []
    for first, last in ((2, 40), (40, 80)):
        number, pause = randomness.randint(first, last), randomness.uniform(0, 0.03)
        kill_after(start(timed, data, run), run, number, pause)
        seen.append(read_metrics(run / "metrics.jsonl"))
    assert start(timed, data, run).wait() == 0
    replayed = spawn("--data", str(data), "--out", str(again), "--replay", str(run))
    assert replayed.wait() == 0
    rows = read_metrics(run / "metrics.jsonl")
    one, other = tensors(read_checkpoint(run)), tensors(read_checkpoint(again))

    assert all(rows[: len(before)] == before for before in seen)
    assert rows[-1].seconds == pytest.approx(5.0, rel=0.1)
    assert read_metrics(again / "metrics.jsonl") == rows
    assert all(torch.equal(one[name], other[name]) for name in one)
