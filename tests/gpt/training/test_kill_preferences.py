"""Real processes that learn from preferences, killed at random moments and resumed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.gpt.training.test_kill import kill_after, result
from tests.gpt.training.test_preference_task import PAIRS, write

STEPS = 40
SETTINGS = {
    "steps": STEPS,
    "batch_size": 4,
    "eval_every": 10,
    "checkpoint_every": 3,
    "patience": "none",
    "device": "cpu",
    "dtype": "float32",
    "compile": "false",
    "threads": 1,
    "optimizer.lr": 1e-3,
}


def start(base: Path, data: Path, out: Path, method: str) -> subprocess.Popen[bytes]:
    """Start the command that starts or resumes the run."""
    fields = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    paths = [str(base), "--data", str(data), "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-m", "gpt", "tune", *paths, "--objective", method, *fields],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_killed_run_ends_as_an_uninterrupted_one(base: Path, tmp_path: Path, seed: int) -> None:
    """After two kills, metrics, weights, optimizer state and checkpoints are the same."""
    method, randomness = ("dpo", "orpo", "kto")[seed % 3], random.Random(seed)
    data, run = write(tmp_path / "pairs.jsonl", PAIRS), tmp_path / "run"
    assert start(base, data, tmp_path / "uninterrupted", method).wait() == 0
    for first, last in ((0, STEPS // 2), (STEPS // 2, STEPS - 5)):
        process = start(base, data, run, method)
        kill_after(process, run, randomness.randint(first, last), randomness.uniform(0, 0.03))
    assert start(base, data, run, method).wait() == 0
    rows, found, checkpoints = result(run)
    expected_rows, expected, expected_checkpoints = result(tmp_path / "uninterrupted")

    assert rows == expected_rows
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert checkpoints == expected_checkpoints
