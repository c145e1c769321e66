"""Several processes make the run that one would: on gloo, with DDP and with FSDP2."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from gpt.errors import ConfigError, PeerError, TrainingError
from gpt.parallel.world import World
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.recipe import Recipe
from gpt.spec.wiring import Lambdas
from tests.gpt.processes import command, in_processes, run, run_killed, run_out_of_memory


@pytest.fixture
def recipe(recipe: Recipe) -> Recipe:
    """Four rows a step, and all that makes several processes differ from one if it is forgotten."""
    model = dataclasses.replace(
        recipe.model, value_embedding=ValueEmbedding(), residual=Lambdas(), layers=3
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


def moved(recipe: Recipe, name: str, **changes: Any) -> Recipe:
    """*recipe* into another folder beside its own."""
    return dataclasses.replace(recipe, out=recipe.out.with_name(name), **changes)


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
def test_two_processes_make_the_gradients_and_updates_of_one(
    recipe: Recipe, parallel: Literal["ddp", "fsdp"], optimizer: AdamW | Muon
) -> None:
    """Gradients, weights, optimizer state, averages and bits per byte, with dropout, up to rounding."""
    alone = moved(recipe, "alone", optimizer=optimizer, steps=3)
    shared = moved(alone, "shared", parallel=parallel, recompute=parallel == "fsdp")
    expected = run(alone)
    there = read_checkpoint(alone.out)
    for seen in in_processes(2, run, shared):
        for ours, theirs in zip(seen.gradients, expected.gradients, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        assert seen.val_bpb == pytest.approx(expected.val_bpb, rel=1e-5)
    here = read_checkpoint(shared.out)

    assert losses(shared) == pytest.approx(losses(alone), rel=1e-5)
    for ours, theirs in (
        (here.weights, there.weights),
        (here.optimizer_state, there.optimizer_state),
    ):
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_allclose(
                ours[name].reshape(theirs[name].shape), theirs[name], rtol=1e-3, atol=2e-5
            )


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_run_goes_on_in_any_number_of_processes(
    recipe: Recipe, parallel: Literal["ddp", "fsdp"]
) -> None:
    """Saved by 2, resumed by 4, then by 1, then by 2: the losses of one that never stopped."""
    recipe = dataclasses.replace(recipe, eval_every=6)
    whole, parts = moved(recipe, "whole"), moved(recipe, "parts")
    shared = dataclasses.replace(parts, parallel=parallel)
    run(whole)
    stops = [
        [seen.step for seen in in_processes(2, run, shared, 2)],
        [seen.step for seen in in_processes(4, run, shared, 1)],
        [run(parts, 1).step],
        [seen.step for seen in in_processes(2, run, shared)],
    ]

    assert stops == [[2, 2], [3, 3, 3, 3], [4], [6, 6]]
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-5)


def test_failure_of_one_process_ends_all(recipe: Recipe) -> None:
    """It says why, and the others, which would wait for it, say that it did."""
    main, other = in_processes(2, run_out_of_memory, recipe)

    assert isinstance(other, TrainingError)
    assert "do not fit in the memory" in str(other)
    assert isinstance(main, PeerError)


def test_death_of_one_process_ends_all(recipe: Recipe) -> None:
    """Those that are left say so."""
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
def test_what_is_wrong_with_a_command_is_told_once(
    options: list[str], code: int, words: str, recipe: Recipe, data: Path
) -> None:
    """All processes of torchrun have the same words, and end with the same exit code."""
    arguments = ["train", "--data", str(data), "--out", str(recipe.out), "--device", "cpu"]
    ends = in_processes(2, command, [*arguments, *options])

    assert [found for found, _ in ends] == [code, code]
    assert sorted(bool(printed) for _, printed in ends) == [False, True]
    assert "".join(printed for _, printed in ends).count(words) == 1


def test_rows_are_divided_in_order() -> None:
    """Each row of a step is one process's."""
    shares = [World(rank=rank, size=3).rows_of_rank(12) for rank in range(3)]

    assert [row for share in shares for row in share] == list(range(12))


@pytest.mark.parametrize(
    ("rows", "size", "words"),
    [(16, 3, "start 2 or 4, or"), (2, 4, "start 2, or"), (7, 2, "1 or 7")],
)
def test_rows_that_cannot_be_divided_are_refused(rows: int, size: int, words: str) -> None:
    """With the numbers of processes that could."""
    with pytest.raises(ConfigError, match=words):
        World(size=size).rows_of_rank(rows)


@pytest.mark.slow
def test_torchrun_trains_and_says_so_once(recipe: Recipe, data: Path) -> None:
    """By the command, whose main process alone speaks."""
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
