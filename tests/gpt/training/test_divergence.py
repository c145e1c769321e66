"""A run whose numbers are none any more: it ends, says where, and leaves what it was reading."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gpt.errors import TrainingError
from gpt.optim.build import SCHEDULES
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.step import TrainStep


def let_rate_be(monkeypatch: pytest.MonkeyPatch, recipe: Recipe, rates: dict[int, float]) -> None:
    """Have the *rates*, as shares of the peak, at these steps (from 0)."""
    monkeypatch.setitem(
        SCHEDULES, type(recipe.schedule), lambda spec, step, steps: rates.get(step, 0.1)
    )


def spoil(monkeypatch: pytest.MonkeyPatch, at: int, part: str) -> None:
    """Let the loss, or a gradient, of step *at* (from 0) be infinite."""
    gradients = TrainStep.gradients

    def spoilt(train_step: Any, step: int) -> float:
        loss = gradients(train_step, step)
        if step == at and part == "gradient":
            train_step.model.embedding.weight.grad[3, 5] = math.inf
        return math.nan if step == at and part == "loss" else loss

    monkeypatch.setattr(TrainStep, "gradients", spoilt)


@pytest.mark.parametrize(
    ("part", "words"),
    [("loss", "the loss is nan"), ("gradient", "gradient of embedding")],
)
def test_step_without_a_finite_number_is_not_made(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, part: str, words: str
) -> None:
    """The run says what, at which step, where its batch is, what is kept, and what to do."""
    spoil(monkeypatch, 6, part)
    with pytest.raises(TrainingError, match=rf"step 7 diverged: .*{words}.*diverged/step-00000007"):
        train(recipe)

    assert read_checkpoint(recipe.out).state.step == 5
    assert read_metrics(recipe.out / "metrics.jsonl")[-1].step == 6


def test_batch_of_the_step_is_kept(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that it read, and norms from before the gradient was clipped."""
    spoil(monkeypatch, 2, "gradient")
    with pytest.raises(TrainingError, match="there is no checkpoint yet"):
        train(dataclasses.replace(recipe, clip=1.0))
    left = load_file(recipe.out / "diverged" / "step-00000003.safetensors")

    assert left["inputs"].shape == left["targets"].shape == (4, 16)
    assert torch.equal(left["inputs"][:, 1:], left["targets"][:, :-1])
    assert left["gradient:embedding.weight"].isinf()
    others = [n for n in left if n.startswith("gradient:") and n != "gradient:embedding.weight"]
    assert others
    assert all(left[name].isfinite() for name in others)
    assert left["lr"] > 0


def test_weights_that_an_update_spoilt_are_never_kept(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finite gradient and too long a step: the checkpoint that is due is not written."""
    let_rate_be(monkeypatch, recipe, {7: math.inf})
    with pytest.raises(TrainingError, match=r"step 8 diverged: .* is not finite; .*-00000005 is"):
        train(recipe)

    assert read_checkpoint(recipe.out).state.step == 5


def test_loss_without_a_number_on_the_validation_split_is_never_the_best(
    recipe: Recipe, measure: Callable[..., None]
) -> None:
    """Though nothing was measured before it."""
    measure(math.nan, 3.0, 4.0)

    assert train(recipe).state.best_step == 10


def test_run_goes_on_as_if_it_had_not_diverged(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What spoilt it being gone, such as a fault of the machine."""
    whole = dataclasses.replace(recipe, out=recipe.out.with_name("whole"))
    train(whole)
    with monkeypatch.context() as patch:
        spoil(patch, 6, "loss")
        with pytest.raises(TrainingError):
            train(recipe)
    train(recipe)
    ours, theirs = (read_checkpoint(run.out).weights for run in (recipe, whole))

    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_batch_that_cannot_be_kept_hides_no_divergence(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is in the way of its folder."""
    recipe.out.mkdir()
    (recipe.out / "diverged").write_text("in the way")
    spoil(monkeypatch, 2, "loss")
    with pytest.raises(TrainingError, match=r"the loss is nan; its batch cannot be written"):
        train(recipe)
