"""Runs of reinforcement that are killed at random moments: in rollouts, in updates, in checkpoints.

``python -m tests.gpt.training.killing BASE PROMPTS FOLDER RUNS`` starts and kills that many runs,
and compares each with one that was not killed. The processes are forked after the imports, which
take longer than a run.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

import torch

from gpt.runs.reading import read_checkpoint
from gpt.spec.recipe import Recipe
from gpt.training.rollouts import Rollouts
from gpt.training.tuning.run import tune
from tests.gpt.training.interrupted import history, tensors
from tests.gpt.training.test_reinforcement import recipe_of

STEPS = 16


def start(recipe: Recipe, is_rolling: Any) -> multiprocessing.Process:
    """Start or resume the run of *recipe*; *is_rolling* is set while it makes rollouts."""

    def main() -> None:
        collect = Rollouts.collect

        def marked(*arguments: Any) -> Any:
            is_rolling.value = 1
            try:
                return collect(*arguments)
            finally:
                is_rolling.value = 0

        Rollouts.collect = marked  # type: ignore[method-assign]
        tune(recipe)

    process = multiprocessing.get_context("fork").Process(target=main)
    process.start()
    return process


def result(recipe: Recipe) -> tuple[Any, dict[str, torch.Tensor]]:
    """The metrics without times, and all tensors."""
    assert recipe.out is not None
    return history(recipe.out), tensors(read_checkpoint(recipe.out))


def killed(recipe: Recipe, rng: random.Random, seconds: float, is_rolling: Any) -> list[str]:
    """Kill the run of *recipe* twice, then let it end; return what it was doing at each kill."""
    found = []
    for _ in range(2):
        process = start(recipe, is_rolling)
        time.sleep(rng.uniform(0.1, 0.9) * seconds)
        if process.is_alive():
            assert process.pid is not None
            found.append("rollouts" if is_rolling.value else "updates")
            os.kill(process.pid, signal.SIGKILL)
        process.join()
    process = start(recipe, is_rolling)
    process.join()
    assert process.exitcode == 0
    return found


def main(base: str, prompts: str, folder: str, runs: str) -> None:
    """Print, as JSON, how many kills there were of each kind, and which runs differ."""

    def recipe(name: str) -> Recipe:
        fields = {"updates": 2, "beta": 0.1, "checkpoint_every": 3, "steps": STEPS}
        return recipe_of(Path(base), Path(prompts), Path(folder) / name, **fields)

    is_rolling, begin = RawValue(ctypes.c_int, 0), time.monotonic()
    start(recipe("whole"), is_rolling).join()
    seconds = time.monotonic() - begin
    rows, expected = result(recipe("whole"))
    kills, differ = {"rollouts": 0, "updates": 0}, []
    for seed in range(int(runs)):
        run = recipe(f"run-{seed}")
        for kind in killed(run, random.Random(seed), seconds, is_rolling):
            kills[kind] += 1
        found_rows, found = result(run)
        same = found.keys() == expected.keys() and found_rows == rows
        if not same or not all(torch.equal(found[name], expected[name]) for name in expected):
            differ.append(seed)
    print(json.dumps({"kills": kills, "differ": differ, "rows": len(rows)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
