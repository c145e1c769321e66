"""Runs that are killed at random moments, as real processes: they end as if they had not been."""

from __future__ import annotations

import contextlib
import dataclasses
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


def begin(recipe: Path, data: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start the command that begins the run and goes on with it."""
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-m", "gpt", "train", "--config", str(recipe)]
    return subprocess.Popen(
        [*command, "--data", str(data), "--out", str(out)],
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.DEVNULL,
    )


def kill_after(process: subprocess.Popen[bytes], run: Path, rows: int, seconds: float) -> None:
    """Kill *process* some *seconds* after metrics.jsonl has *rows*."""
    metrics = run / "metrics.jsonl"
    while process.poll() is None and (
        not metrics.exists() or metrics.read_bytes().count(b"\n") < rows
    ):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.001)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.kill()
    assert process.wait() == -9, "it ended before it could be killed"


def result(run: Path) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor], list[str]]:
    """All that a run leaves, but for times."""
    rows = [dataclasses.asdict(row) for row in read_metrics(run / "metrics.jsonl")]
    for row in rows:
        del row["seconds"]
    found = read_checkpoint(run)
    tensors = {**found.weights, **found.optimizer_state}
    return rows, tensors, sorted(path.name for path in (run / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of all these runs, as a file."""
    path = tmp_path_factory.mktemp("kill") / "recipe.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def whole(recipe: Path, data: Path) -> Path:
    """The run that nobody killed."""
    out = recipe.parent / "whole"
    assert begin(recipe, data, out).wait() == 0
    return out


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_killed_run_ends_as_if_it_had_not_been(
    recipe: Path, data: Path, whole: Path, tmp_path: Path, seed: int
) -> None:
    """Killed twice: losses, evaluations, weights, optimizer state, averages and checkpoints are the same.

    A third of the time goes into checkpoints, so some kills fall into their writing.
    """
    draw = random.Random(seed)
    for first, last in ((0, STEPS // 2), (STEPS // 2, STEPS - 5)):
        process = begin(recipe, data, tmp_path / "run")
        kill_after(process, tmp_path / "run", draw.randint(first, last), draw.uniform(0, 0.03))
    assert begin(recipe, data, tmp_path / "run").wait() == 0
    there, here = result(whole), result(tmp_path / "run")

    assert here[0] == there[0]
    assert here[1].keys() == there[1].keys()
    assert all(torch.equal(here[1][name], there[1][name]) for name in there[1])
    assert here[2] == there[2]
