"""A run that ends at a training loss, and rows of a text that overlap."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from gpt.errors import ConfigError
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import tune
from tests.gpt.training.interrupted import Notices, StopAfter, history, renamed, tensors
from tests.gpt.training.tuning import small_recipe


def smoothed(losses: list[float]) -> list[float]:
    """The documented moving average after each of *losses*."""
    values = losses[:1]
    for loss in losses[1:]:
        values.append(0.9 * values[-1] + 0.1 * loss)
    return values


def losses(out: Path) -> list[float]:
    return [row.loss for row in read_metrics(out / "metrics.jsonl")]


def test_a_run_ends_once_its_smoothed_loss_is_low_enough(recipe: Recipe) -> None:
    """At the first such step, with an evaluation, and it says why."""
    train(renamed(recipe, "whole"))
    averages = smoothed(losses(recipe.out.parent / "whole"))
    limit = (averages[6] + averages[7]) / 2
    stopping = renamed(recipe, "stopping", stop_at_loss=limit)
    notices = Notices()
    outcome = train(stopping, reporter=notices)

    assert averages[6] > limit
    assert (outcome.finished, outcome.state.step) == (True, 8)
    assert outcome.state.smoothed_loss == pytest.approx(averages[7])
    assert read_metrics(stopping.out / "metrics.jsonl")[-1].val is not None
    assert f"has reached stop_at_loss = {limit:g} at step 8" in notices.lines[-1]


def test_a_run_that_ends_at_a_loss_resumes_bit_for_bit(recipe: Recipe) -> None:
    """The moving average is in the state of a checkpoint."""
    train(renamed(recipe, "whole"))
    limit = smoothed(losses(recipe.out.parent / "whole"))[9]
    whole, parts = (renamed(recipe, name, stop_at_loss=limit) for name in ("all", "parts"))
    train(whole)
    stop = StopAfter(5)
    train(parts, reporter=stop, stop=stop)
    train(parts)
    ours, theirs = (tensors(read_checkpoint(each.out)) for each in (parts, whole))

    assert history(parts.out) == history(whole.out)
    assert read_checkpoint(parts.out).state.step == 10
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_run_that_has_ended_at_a_loss_continues_with_a_lower_one(recipe: Recipe) -> None:
    """The limit may change when a run is resumed."""
    train(dataclasses.replace(recipe, stop_at_loss=100.0))
    outcome = train(dataclasses.replace(recipe, stop_at_loss=1e-3))

    assert losses(recipe.out)[0] < 100
    assert outcome.state.step == 12


def test_tuning_ends_at_a_loss(base: Path, chat: Path, tmp_path: Path) -> None:
    """At once, if it is high enough."""
    recipe = small_recipe(base, chat, tmp_path / "run", stop_at_loss=50.0)

    assert tune(recipe).outcome.state.step == 1


def test_an_epoch_of_overlapping_rows_is_longer(base: Path, tmp_path: Path) -> None:
    """The plan of tuning on a text counts them."""
    data = base.parent / "data"
    plans = [
        plan_tuning(base, data=data, out=tmp_path / "run", epochs=2, batch_size=1, overlap=overlap)
        for overlap in (0, 24)
    ]

    assert plans[1].recipe.steps == pytest.approx(4 * plans[0].recipe.steps, rel=0.05)


def test_overlap_is_for_texts(base: Path, chat: Path, tmp_path: Path) -> None:
    """A conversation is cut only where it is longer than a row."""
    with pytest.raises(ConfigError, match="overlap = 3: only a text is cut into windows"):
        plan_tuning(base, data=chat, out=tmp_path / "run", overlap=3)
