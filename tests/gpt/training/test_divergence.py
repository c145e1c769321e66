"""Diverged runs: the error, the saved batch, and the checkpoint that is kept."""

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


def set_rates(monkeypatch: pytest.MonkeyPatch, recipe: Recipe, rates: dict[int, float]) -> None:
    """Set the learning rates of steps (from 0) to *rates*, as fractions of the peak."""
    monkeypatch.setitem(
        SCHEDULES, type(recipe.schedule), lambda spec, step, fraction: rates.get(step, 0.1)
    )


def diverge(monkeypatch: pytest.MonkeyPatch, at: int, part: str) -> None:
    """Make the "loss" of step *at* (from 0) NaN, or a "gradient" infinite."""
    accumulate = TrainStep._accumulate

    def diverged(train_step: Any, rows: Any) -> Any:
        gradients = accumulate(train_step, rows)
        if rows.step == at and part == "gradient":
            train_step.model.embedding.weight.grad[3, 5] = math.inf
        factor = math.nan if rows.step == at and part == "loss" else 1.0
        return gradients._replace(loss=gradients.loss * factor)

    monkeypatch.setattr(TrainStep, "_accumulate", diverged)


@pytest.mark.parametrize(
    ("part", "words"),
    [("loss", "the loss is nan"), ("gradient", "gradient of embedding")],
)
def test_a_step_with_a_non_finite_loss_or_gradient_is_not_made(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, part: str, words: str
) -> None:
    """The message names the step, the cause, the saved batch and the checkpoint."""
    diverge(monkeypatch, 6, part)
    with pytest.raises(TrainingError, match=rf"step 7 diverged: .*{words}.*diverged/step-00000007"):
        train(recipe)

    assert read_checkpoint(recipe.out).state.step == 5
    assert read_metrics(recipe.out / "metrics.jsonl")[-1].step == 6


def test_the_batch_of_a_diverged_step_is_saved(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the norms of gradients before clipping."""
    diverge(monkeypatch, 2, "gradient")
    with pytest.raises(TrainingError, match="there is no checkpoint yet"):
        train(dataclasses.replace(recipe, clip=1.0))
    saved = load_file(recipe.out / "diverged" / "step-00000003.safetensors")

    assert saved["inputs"].shape == saved["targets"].shape == (4, 16)
    assert torch.equal(saved["inputs"][:, 1:], saved["targets"][:, :-1])
    assert saved["gradient:embedding.weight"].isinf()
    others = [n for n in saved if n.startswith("gradient:") and n != "gradient:embedding.weight"]
    assert others
    assert all(saved[name].isfinite() for name in others)
    assert saved["lr"] > 0


def test_non_finite_weights_are_not_saved(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient is finite and the learning rate is not: the checkpoint due is not written."""
    set_rates(monkeypatch, recipe, {7: math.inf})
    with pytest.raises(TrainingError, match=r"step 8 diverged: .* is not finite; .*-00000005 is"):
        train(recipe)

    assert read_checkpoint(recipe.out).state.step == 5


def test_a_nan_evaluation_is_never_the_best(recipe: Recipe, measure: Callable[..., None]) -> None:
    """Even if it is the first one."""
    measure(math.nan, 3.0, 4.0)

    assert train(recipe).state.best_step == 10


def test_a_run_resumes_after_a_divergence(
    recipe: Recipe, uninterrupted: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If its cause is gone, such as a hardware fault, the result is that of a run without it."""
    with monkeypatch.context() as patch:
        diverge(patch, 6, "loss")
        with pytest.raises(TrainingError):
            train(recipe)
    train(recipe)
    ours, theirs = (read_checkpoint(run.out).weights for run in (recipe, uninterrupted))

    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_batch_that_cannot_be_saved_does_not_hide_the_divergence(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file has the name of its folder."""
    recipe.out.mkdir()
    (recipe.out / "diverged").write_text("in the way")
    diverge(monkeypatch, 2, "loss")
    with pytest.raises(TrainingError, match=r"the loss is nan; its batch cannot be written"):
        train(recipe)
