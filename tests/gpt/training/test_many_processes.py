"""Runs in several processes equal those in one: over gloo, with DDP and FSDP2."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from gpt.errors import ConfigError, PeerError, TrainingError
from gpt.parallel.world import World
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.experts import BalanceBias, Experts
from gpt.spec.mlp import MLP
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.recipe import Recipe
from gpt.spec.wiring import Lambdas
from tests.gpt.processes import (
    command,
    in_processes,
    run,
    run_in_memory,
    run_killed,
    run_out_of_memory,
)
from tests.gpt.training.interrupted import renamed, tensors


@pytest.fixture
def recipe(recipe: Recipe) -> Recipe:
    """Four rows per step, with everything that several processes could compute differently."""
    model = dataclasses.replace(
        recipe.model,
        value_embedding=ValueEmbedding(),
        residual=Lambdas(),
        layers=3,
        mlp=Experts(expert=MLP(hidden=32), count=3, first_dense=1, balance=BalanceBias()),
    )
    return dataclasses.replace(
        recipe,
        steps=6,
        batch_size=1,
        accumulate=4,
        clip=0.5,
        average=0.9,
        model=model,
        eval_every=3,
    )


def losses(recipe: Recipe) -> list[float]:
    return [row.loss for row in read_metrics(recipe.out / "metrics.jsonl")]


@pytest.mark.parametrize(
    ("parallel", "optimizer"),
    [
        pytest.param("ddp", AdamW(), marks=pytest.mark.slow),
        ("ddp", Muon()),
        ("fsdp", AdamW()),
        ("fsdp", Muon()),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_two_processes_equal_one(
    recipe: Recipe, parallel: Literal["ddp", "fsdp"], optimizer: AdamW | Muon
) -> None:
    """In gradients, weights, optimizer state, averages and evaluations, up to rounding."""
    single = renamed(recipe, "single", optimizer=optimizer, steps=3)
    divided = renamed(single, "divided", parallel=parallel, recompute=parallel == "fsdp")
    expected = run(single)
    expected_checkpoint = read_checkpoint(single.out)
    for seen in in_processes(2, run, divided):
        for ours, theirs in zip(seen.gradients, expected.gradients, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        assert seen.score == pytest.approx(expected.score, rel=1e-5)
    found_checkpoint = read_checkpoint(divided.out)

    assert losses(divided) == pytest.approx(losses(single), rel=1e-5)
    ours, theirs = tensors(found_checkpoint), tensors(expected_checkpoint)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_allclose(
            ours[name].reshape(theirs[name].shape), theirs[name], rtol=1e-3, atol=2e-5
        )


def test_every_process_has_the_model_of_a_run_in_memory(recipe: Recipe) -> None:
    """Complete, also if the model is sharded in training."""
    saved = renamed(recipe, "saved", steps=3)
    run(saved)
    expected = read_checkpoint(saved.out).weights

    for found in in_processes(
        2, run_in_memory, dataclasses.replace(saved, out=None, parallel="fsdp")
    ):
        for name, weight in found.items():
            np.testing.assert_allclose(weight, expected[name], rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_a_run_resumes_in_any_number_of_processes(
    recipe: Recipe, parallel: Literal["ddp", "fsdp"]
) -> None:
    """Started by 2, resumed by 4, then 1, then 2: the losses are those of an uninterrupted run."""
    recipe = dataclasses.replace(recipe, eval_every=6)
    uninterrupted, resumed = renamed(recipe, "uninterrupted"), renamed(recipe, "resumed")
    divided = dataclasses.replace(resumed, parallel=parallel)
    run(uninterrupted)
    stops = [
        [seen.step for seen in in_processes(2, run, divided, 2)],
        [seen.step for seen in in_processes(4, run, divided, 1)],
        [run(resumed, 1).step],
        [seen.step for seen in in_processes(2, run, divided)],
    ]

    assert stops == [[2, 2], [3, 3, 3, 3], [4], [6, 6]]
    assert losses(resumed) == pytest.approx(losses(uninterrupted), rel=1e-5)


def test_a_failed_process_ends_the_others(recipe: Recipe) -> None:
    """It reports the reason; the others, which would wait for it, report that a process failed."""
    main, other = in_processes(2, run_out_of_memory, recipe)

    assert isinstance(other, TrainingError)
    assert "do not fit in the memory" in str(other)
    assert isinstance(main, PeerError)


def test_a_killed_process_ends_the_others(recipe: Recipe) -> None:
    """The others report it."""
    main, other = in_processes(2, run_killed, recipe)

    assert isinstance(main, TrainingError)
    assert "was killed" in str(main)
    assert other is None


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--steps", "many"], 2, "many"),
        (["--steps", "0"], 2, "steps must be at least 1"),
        (["--data", "nowhere"], 1, "nowhere: no token shards"),
    ],
)
def test_an_error_of_the_command_is_printed_once(
    options: list[str], code: int, words: str, recipe: Recipe, data: Path
) -> None:
    """All processes exit with the same code, and one prints the message."""
    arguments = ["train", "--data", str(data), "--out", str(recipe.out), "--device", "cpu"]
    ends = in_processes(2, command, [*arguments, *options])

    assert [found for found, _ in ends] == [code, code]
    assert sorted(bool(printed) for _, printed in ends) == [False, True]
    assert "".join(printed for _, printed in ends).count(words) == 1


def test_rows_are_divided_in_order() -> None:
    """Each row of a step belongs to one process."""
    parts = [World(rank=rank, size=3).rows_of_rank(12) for rank in range(3)]

    assert [row for part in parts for row in part] == list(range(12))


@pytest.mark.parametrize(("count", "size"), [(7, 3), (2, 4), (0, 2)])
def test_parts_of_any_number_differ_by_one(count: int, size: int) -> None:
    """In order, and complete."""
    parts = [World(rank=rank, size=size).part(count) for rank in range(size)]
    lengths = [len(part) for part in parts]

    assert [index for part in parts for index in part] == list(range(count))
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("rows", "size", "words"),
    [(16, 3, "start 2 or 4, or"), (2, 4, "start 2, or"), (7, 2, "1 or 7")],
)
def test_rows_that_cannot_be_divided_are_an_error(rows: int, size: int, words: str) -> None:
    """The message has the numbers of processes that divide them."""
    with pytest.raises(ConfigError, match=words):
        World(size=size).rows_of_rank(rows)


@pytest.mark.slow
def test_torchrun_trains_and_prints_once(recipe: Recipe, data: Path) -> None:
    """Only the main process prints."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "gpt"]
    options = ["train", "--data", data, "--out", recipe.out, "--steps", "4", "--device", "cpu"]
    done = subprocess.run(
        [*command, *options, "--depth", "1", "--compile", "False"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )

    assert done.stderr.count("4 steps in") == 1
    assert read_checkpoint(recipe.out).state.step == 4
