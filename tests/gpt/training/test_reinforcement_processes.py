"""Reinforcement in several processes equals that in one: over gloo, with DDP and FSDP2."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import pytest
import torch

from gpt.data.problems.prompts import Prompts
from gpt.errors import DataError
from gpt.evaluation import problems as evaluation
from gpt.generation.rollouts import Completion, complete
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import World
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery, Latent
from gpt.spec.attention_base import Attention
from gpt.spec.convolution import Canon
from gpt.spec.linear_attention import LinearAttention
from gpt.spec.quantization import NF4
from gpt.spec.recipe import Recipe
from gpt.training.engines import parallelize
from gpt.training.loop import train
from gpt.training.rollouts import Rollouts
from gpt.training.tasks.build import build_task
from gpt.training.tuning.run import tune
from tests.gpt.models import perturbed
from tests.gpt.processes import in_processes, run_tuning
from tests.gpt.training.interrupted import renamed, tensors
from tests.gpt.training.test_reinforcement import KINDS, base, prompts, recipe_of

__all__ = ["base", "prompts"]

ROUND = 12
"""Completions of a step: four groups of three."""


def recipe(base: Path, prompts: Path, out: Path, kind: str = "adapters", **changes: Any) -> Recipe:
    """Four steps of four groups, two to a forward pass, with an evaluation after the second."""
    small = {"steps": 4, "eval_every": 2, "batch_size": 6, "accumulate": 2, "patience": None}
    fields = KINDS["adapters" if kind == "quantized" else kind]
    found = recipe_of(base, prompts, out, **(fields | small | changes))
    if kind == "quantized":
        task: Any = dataclasses.replace(found.task, quantize=NF4(block=32))
        found = dataclasses.replace(found, task=task)
    return dataclasses.replace(found, optimizer=dataclasses.replace(found.optimizer, lr=1e-3))


def assert_equal_runs(ours: Recipe, theirs: Recipe) -> None:
    """In losses, figures, evaluations and all tensors of the checkpoint, up to rounding."""
    rows, expected_rows = (read_metrics(each.out / "metrics.jsonl") for each in (ours, theirs))
    for row, expected in zip(rows, expected_rows, strict=True):
        assert row.tokens == expected.tokens
        assert row.loss == pytest.approx(expected.loss, rel=1e-4, abs=1e-6)
        assert row.figures == pytest.approx(expected.figures, rel=1e-3, abs=1e-5)
        assert row.val == (None if expected.val is None else pytest.approx(expected.val))
    found, wanted = (tensors(read_checkpoint(each.out)) for each in (ours, theirs))
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(
            found[name].reshape(tensor.shape), tensor, rtol=1e-3, atol=2e-5, msg=name
        )


@pytest.mark.parametrize(
    ("parallel", "kind", "count"),
    [
        ("ddp", "updates and KL", 2),
        ("fsdp", "updates and KL", 2),
        pytest.param("ddp", "adapters", 4, marks=pytest.mark.slow),
        pytest.param("ddp", "all weights and KL", 2, marks=pytest.mark.slow),
        pytest.param("fsdp", "all weights and KL", 2, marks=pytest.mark.slow),
        pytest.param("fsdp", "quantized", 2, marks=pytest.mark.slow),
    ],
)
def test_several_processes_equal_one(
    base: Path,
    prompts: Path,
    tmp_path: Path,
    parallel: Literal["ddp", "fsdp"],
    kind: str,
    count: int,
) -> None:
    """Whatever they divide: completions, rewards, log-probabilities, rows."""
    single = recipe(base, prompts, tmp_path / "single", kind)
    divided = renamed(single, "divided", parallel=parallel)
    expected = tune(single).outcome.state
    for seen in in_processes(count, run_tuning, divided):
        assert seen.score == pytest.approx(expected.score)

    assert_equal_runs(divided, single)


class Decoded(NamedTuple):
    """What a process has decoded."""

    rollouts: int
    held_out: int
    tokens: int
    """Of both."""


def decoded(recipe: Recipe) -> Decoded:
    """Train by *recipe*, and count what this process decodes."""
    found = [list[Completion](), list[Completion]()]

    def counted(*arguments: Any, copies: int, **options: Any) -> list[Completion]:
        completions = complete(*arguments, copies=copies, **options)
        found[copies == 1].extend(completions)
        return completions

    with patch.object(evaluation, "complete", counted), World.join() as world:
        train(recipe, world=world)
    rollouts, held_out = found
    return Decoded(len(rollouts), len(held_out), sum(len(each.ids) for each in rollouts + held_out))


@pytest.mark.parametrize(
    ("parallel", "parts"), [("ddp", 2), pytest.param("fsdp", 1, marks=pytest.mark.slow)]
)
def test_each_process_decodes_its_own_groups(
    base: Path, prompts: Path, tmp_path: Path, parallel: Literal["ddp", "fsdp"], parts: int
) -> None:
    """And its own held-out problems, before the first step and after the last.

    With a sharded model, all of them.
    """
    single = recipe(base, prompts, tmp_path / "single", steps=2)
    whole = decoded(single)
    found = in_processes(2, decoded, renamed(single, "divided", parallel=parallel))

    assert (whole.rollouts, whole.held_out) == (2 * ROUND, 2 * 4)
    assert {each.rollouts for each in found} == {whole.rollouts // parts}
    assert {each.held_out for each in found} == {whole.held_out // parts}
    assert sum(each.tokens for each in found) == whole.tokens * 2 // parts


STATES = [
    GroupedQuery(heads=2, kv_heads=1),
    Latent(heads=2),
    LinearAttention(heads=2, kv_heads=2),
]
"""Kinds of attention that keep different states of a row."""


def completions(attention: Attention, sharded: bool) -> list[Completion]:
    """What a model with *attention* and convolutions says, the likeliest tokens."""
    model = Architecture(
        context=16, layers=2, width=32, attention=attention, convolution=Canon(points="AC")
    )
    gpt: Any = perturbed(model.with_vocabulary(20), seed=3)
    with World.join() as world:
        if sharded:
            gpt = parallelize(gpt, "fsdp", world, torch.device("cpu"))
        return complete(gpt, [[1, 2, 3], [4, 5]], ends={0}, max_tokens=9)


@pytest.mark.parametrize("attention", STATES, ids=lambda each: type(each).__name__)
def test_a_sharded_model_generates_as_a_whole_one(attention: Attention) -> None:
    """With the states that decoding keeps, which are not sharded."""
    expected = completions(attention, sharded=False)

    assert in_processes(2, completions, attention, True) == [expected, expected]


def first_round(recipe: Recipe) -> dict[str, list[Any]]:
    """The rows of the first round, and the figures."""
    with World.join() as world:
        task = build_task(recipe)
        assert isinstance(task.collector, Rollouts)
        model, runtime = task.model(), Runtime.choose("cpu", "float32")
        figures = task.collector.collect(0, model, runtime, world)
        batch = task.rows.batch(0, ROUND)
    found = {name: tensor.tolist() for name, tensor in batch.tensors().items()}
    return found | {"figures": sorted(figures.items()), "tokens": [task.collector.tokens]}


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_all_have_the_rows_of_one_process(
    base: Path, prompts: Path, tmp_path: Path, count: int
) -> None:
    """The same tokens, advantages and figures; groups need not be divisible among processes."""
    run = recipe(base, prompts, tmp_path / "run", "updates and KL")
    expected = first_round(run)

    for found in in_processes(count, first_round, run):
        for name in ("old", "reference"):
            ours, theirs = torch.tensor(found.pop(name)), torch.tensor(expected[name])
            torch.testing.assert_close(ours, theirs)
        assert found == {name: expected[name] for name in found}


def test_a_round_is_resumed_by_another_number_of_processes(
    base: Path, prompts: Path, tmp_path: Path
) -> None:
    """Stopped by two after the second of three updates, continued by one."""
    whole = recipe(base, prompts, tmp_path / "whole", "updates and KL", eval_every=4)
    tune(whole)
    parts = renamed(whole, "parts")
    stopped = [seen.step for seen in in_processes(2, run_tuning, parts, 2)]
    resumed = tune(parts).outcome

    assert stopped == [2, 2]
    assert (resumed.finished, resumed.state.step) == (True, 4)
    assert_equal_runs(parts, whole)


def failing(recipe: Recipe) -> None:
    """Tune by *recipe*; the second process cannot compute its rewards of the second step."""
    rewards, calls = Prompts.rewards, iter(range(1, 100))

    def failing_rewards(*arguments: Any) -> list[float]:
        # The first model is evaluated before the first step.
        if next(calls) == 3 and os.environ["RANK"] == "1":
            raise DataError("no reward")
        return rewards(*arguments)

    Prompts.rewards = failing_rewards  # type: ignore[method-assign]
    run_tuning(recipe)


def test_a_reward_that_fails_in_one_process_loses_nothing(
    base: Path, prompts: Path, tmp_path: Path
) -> None:
    """All end with its error, and the steps before are in a checkpoint."""
    run = recipe(base, prompts, tmp_path / "run", checkpoint_every=100, eval_every=100)
    ends = in_processes(2, failing, run)

    assert sorted(type(each).__name__ for each in ends) == ["DataError", "PeerError"]
    assert "no reward" in map(str, ends)
    assert read_checkpoint(run.out).state.step == 1
