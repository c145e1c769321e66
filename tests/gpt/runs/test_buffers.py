"""Buffers, such as the statistics of BatchNorm, are saved, restored and averaged as weights are."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from gpt.model.vocabulary import grow_vocabulary
from gpt.optim.parameters import saved_buffers
from gpt.runs.reading import read_checkpoint
from gpt.spec.experts import BalanceBias, Experts
from gpt.spec.norm import BatchNorm
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from tests.gpt.training.interrupted import train_until


@pytest.fixture(params=[{}, {"average": 0.5}, {"patience": 3}], ids=str)
def run(recipe: Recipe, request: pytest.FixtureRequest) -> Recipe:
    """A run with BatchNorm, without and with averages and the best weights."""
    model = dataclasses.replace(recipe.model, norm=BatchNorm(leaks=True))
    changes: dict[str, Any] = request.param
    return dataclasses.replace(recipe, model=model, **changes)


@pytest.mark.parametrize("average", [None, 0.5])
def test_a_resumed_run_has_the_same_biases_of_experts(
    recipe: Recipe, average: float | None
) -> None:
    """They follow the load of each step, in which activations may be recomputed."""
    model = dataclasses.replace(recipe.model, mlp=Experts(count=4, balance=BalanceBias()))
    run = dataclasses.replace(recipe, model=model, average=average, recompute=True)
    other = dataclasses.replace(run, out=run.out.with_name("other"))
    train(run)
    train_until(other, other.steps // 2)
    train(other)
    expected, resumed = final(run), final(other)

    assert expected["blocks.0.mlp.router.balance.bias"].any()
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def final(run: Recipe) -> dict[str, Tensor]:
    """The tensors of the last checkpoint, those of the optimizer included."""
    checkpoint = read_checkpoint(run.out)
    return {**checkpoint.weights, **checkpoint.optimizer_state}


def test_a_resumed_run_has_the_same_buffers(run: Recipe) -> None:
    """Bit for bit, with their averages, as an uninterrupted one."""
    other = dataclasses.replace(run, out=run.out.with_name("other"))
    train(run)
    train_until(other, other.steps // 2)
    train(other)
    expected, resumed = final(run), final(other)

    assert "blocks.0.mlp_norm.variance" in expected
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_statistics_are_those_of_training(recipe: Recipe) -> None:
    """Steps that are timed before the first one do not count."""
    model = dataclasses.replace(recipe.model, norm=BatchNorm(leaks=True, momentum=0.5))
    plain = dataclasses.replace(recipe, model=model)
    timed = dataclasses.replace(plain, out=recipe.out.with_name("timed"), compile=None)
    train(plain)
    train(timed)

    torch.testing.assert_close(final(timed)["norm.mean"], final(plain)["norm.mean"])


def test_averages_of_buffers_are_what_readers_get(recipe: Recipe) -> None:
    """The buffer itself, with which training continues, is beside the optimizer's tensors."""
    model = dataclasses.replace(recipe.model, norm=BatchNorm(leaks=True))
    train(dataclasses.replace(recipe, model=model, average=0.5))
    checkpoint = read_checkpoint(recipe.out)
    saved = checkpoint.optimizer_state

    assert torch.equal(
        dict(checkpoint.model().named_buffers())["norm.mean"], checkpoint.weights["norm.mean"]
    )
    assert torch.equal(checkpoint.weights["norm.mean"], saved["norm.mean:average"])
    assert not torch.equal(checkpoint.weights["norm.mean"], saved["norm.mean:weight"])


def test_a_grown_model_has_the_buffers_of_the_old(recipe: Recipe) -> None:
    """New rows change no statistics."""
    model = dataclasses.replace(recipe.model, norm=BatchNorm(leaks=True))
    train(dataclasses.replace(recipe, model=model))
    old = read_checkpoint(recipe.out).model()
    grown = grow_vocabulary(old, dataclasses.replace(old.config, vocab_size=300), seed=0)

    for name, buffer in saved_buffers(old).items():
        assert torch.equal(saved_buffers(grown)[name], buffer)
