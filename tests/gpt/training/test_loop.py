"""The training loop: what a run learns, evaluates and reports."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt.errors import TrainingError
from gpt.evaluation.bits_per_byte import evaluate
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.dropout import Dropout
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from pytok import shards
from tests.gpt.training.interrupted import history, renamed


def test_averaged_weights_are_evaluated_and_saved(recipe: Recipe) -> None:
    """The model of a checkpoint has the averages; training continues from the other weights."""
    outcome = train(dataclasses.replace(recipe, average=0.9))
    checkpoint = read_checkpoint(recipe.out)
    used = checkpoint.model().embedding.weight
    result = evaluate(
        checkpoint.model(),
        shards.open_shards(recipe.data).splits["val"],
        runtime=Runtime.choose("cpu", "float32"),
    )

    assert result.bits_per_byte == pytest.approx(outcome.state.score)
    assert torch.equal(used, checkpoint.optimizer_state["embedding.weight:average"])
    assert torch.equal(used, checkpoint.weights["embedding.weight"])
    assert not torch.equal(used, checkpoint.optimizer_state["embedding.weight:weight"])


def test_a_small_text_is_memorized(recipe: Recipe) -> None:
    """150 steps on a few sentences: the loss falls from ln 257 to nearly 0."""
    small = dataclasses.replace(
        recipe.model, context=32, width=64, dropout=Dropout(), attention=recipe.model.attention
    )
    outcome = train(renamed(recipe, "small", steps=150, batch_size=8, accumulate=1, model=small))
    losses = [row.loss for row in read_metrics(outcome.checkpoint.parent.parent / "metrics.jsonl")]

    assert losses[0] == pytest.approx(5.55, abs=0.3)
    assert losses[-1] < 0.35
    assert outcome.state.score is not None
    assert outcome.state.score < 0.6


def test_accumulated_gradients_equal_those_of_one_batch(recipe: Recipe) -> None:
    """Two half batches give the same weights as one batch, up to rounding."""
    no_dropout = dataclasses.replace(recipe.model, dropout=Dropout())
    halves = renamed(recipe, "halves", steps=3, model=no_dropout)
    at_once = renamed(recipe, "at-once", steps=3, model=no_dropout, batch_size=4, accumulate=1)
    train(halves)
    train(at_once)

    ours, theirs = read_checkpoint(halves.out).weights, read_checkpoint(at_once.out).weights
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_metrics_count_tokens_and_bytes(uninterrupted: Recipe, data: Path) -> None:
    """64 tokens per step, with the split's mean bytes; evaluations at 5, 10 and the last step."""
    rows = read_metrics(uninterrupted.out / "metrics.jsonl")
    split = shards.open_shards(data).splits["train"]

    assert [row.tokens for row in rows] == [64 * step for step in range(1, 13)]
    assert rows[-1].bytes == round(64 * 12 * split.bytes / len(split))
    assert [row.step for row in rows if row.val is not None] == [5, 10, 12]
    assert [row.seconds for row in rows] == sorted(row.seconds for row in rows)


def test_a_run_without_a_validation_split_is_not_evaluated(
    recipe: Recipe, tokenizer: Any, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("no split is held out of this\n" * 9)
    shards.write(tmp_path / "text.txt", tokenizer, tmp_path / "all", val=0)

    assert train(dataclasses.replace(recipe, data=tmp_path / "all")).state.score is None


def test_a_batch_too_large_for_the_memory_is_an_error(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which fields to change."""

    def run_out_of_memory(*arguments: object, **options: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(GPT, "forward", run_out_of_memory)
    with pytest.raises(TrainingError, match="halve batch_size and double accumulate"):
        train(recipe)


def test_training_restores_the_random_state_of_the_caller(recipe: Recipe) -> None:
    """The caller's next random numbers do not depend on it."""
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(renamed(recipe, "other", steps=2))

    assert torch.equal(torch.rand(3), expected)


def test_a_bfloat16_run_learns(recipe: Recipe) -> None:
    """Autocast on the CPU, emulated if the processor does not support it."""
    train(dataclasses.replace(recipe, dtype="bfloat16", steps=30))
    losses = [row["loss"] for row in history(recipe.out)]

    assert losses[-1] < losses[0] - 1


@pytest.mark.slow
def test_a_compiled_run_equals_an_eager_one(recipe: Recipe) -> None:
    """Up to rounding; its checkpoints have the same names."""
    no_dropout = dataclasses.replace(recipe.model, dropout=Dropout())
    eager, compiled = (
        renamed(recipe, "eager", model=no_dropout),
        renamed(recipe, "compiled", model=no_dropout),
    )
    train(eager)
    train(dataclasses.replace(compiled, compile=True))
    losses = [[row["loss"] for row in history(run.out)] for run in (eager, compiled)]

    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert read_checkpoint(compiled.out).weights.keys() == read_checkpoint(eager.out).weights.keys()
