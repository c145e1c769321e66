"""Stopped, killed and finished runs resume as if they had never been interrupted."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt.errors import ConfigError, DataError
from gpt.runs.reading import read_checkpoint
from gpt.spec.dropout import Dropout
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Cosine, EarlyDropout, LateDropout
from gpt.training.loop import train
from pytok import shards
from tests.gpt.training.interrupted import (
    KillAt,
    Killed,
    Notices,
    StopDuringEvaluation,
    history,
    renamed,
    tensors,
    train_until,
)


@pytest.mark.parametrize("optimizer", [AdamW(), Muon()], ids=lambda spec: type(spec).__name__)
@pytest.mark.parametrize("average", [None, 0.9])
@pytest.mark.parametrize("stop_at", [1, 4, 7, 11])
def test_a_stopped_run_resumes_bit_for_bit(
    recipe: Recipe, stop_at: int, average: float | None, optimizer: Any
) -> None:
    """Its metrics, weights, averages and optimizer state equal those of an uninterrupted run."""
    recipe = dataclasses.replace(recipe, optimizer=optimizer, average=average)
    uninterrupted = renamed(recipe, "uninterrupted")
    train(uninterrupted)
    stopped = train_until(recipe, stop_at)
    resumed = train(recipe)
    expected, found = (tensors(read_checkpoint(each.out)) for each in (uninterrupted, recipe))

    assert (stopped.finished, stopped.state.step, resumed.finished) == (False, stop_at, True)
    assert history(recipe.out) == history(uninterrupted.out)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("schedule", [EarlyDropout(cutoff=0.7), LateDropout(start=0.4)], ids=str)
def test_a_run_with_scheduled_dropout_resumes_bit_for_bit(recipe: Recipe, schedule: Any) -> None:
    """Its schedule follows the run, not the process; it differs from constant dropout."""
    dropout = Dropout(rate=0.2, hidden=0.2, path=0.2)
    model = dataclasses.replace(recipe.model, dropout=dropout)
    recipe = dataclasses.replace(recipe, model=model, dropout_schedule=schedule)
    uninterrupted = renamed(recipe, "uninterrupted")
    constant = dataclasses.replace(renamed(recipe, "constant"), dropout_schedule=None)
    train(uninterrupted)
    train(constant)
    train_until(recipe, 6)
    train(recipe)

    assert history(recipe.out) == history(uninterrupted.out)
    assert history(recipe.out) != history(constant.out)


def test_a_killed_run_resumes_from_its_last_checkpoint(
    recipe: Recipe, uninterrupted: Recipe
) -> None:
    """Later metrics, an incomplete line and a partial checkpoint are dropped."""
    with pytest.raises(Killed):
        train(recipe, reporter=KillAt(7))
    with (recipe.out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "tok')
    partial = recipe.out / "checkpoints" / "step-00000008.partial"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    assert read_checkpoint(recipe.out).state.step == 5
    train(recipe)

    assert history(recipe.out) == history(uninterrupted.out)
    assert not partial.exists()


@pytest.mark.parametrize("writes", [0, 1, 5, 7, 8])
def test_a_kill_during_a_checkpoint_leaves_a_complete_one(
    recipe: Recipe, uninterrupted: Recipe, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """After 0 to 8 writes to the disk, the run has its last checkpoint or the new one."""
    train_until(recipe, 4)
    remaining = iter(range(writes))

    def fsync(descriptor: int) -> None:
        if next(remaining, None) is None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fsync)
        with pytest.raises(KeyboardInterrupt):
            train(recipe)
    survived = read_checkpoint(recipe.out).state.step
    train(recipe)

    assert survived == (5 if writes == 8 else 4)
    assert history(recipe.out) == history(uninterrupted.out)


@pytest.mark.parametrize("at", [5, 10, 12])
def test_a_stop_during_an_evaluation_loses_nothing(
    recipe: Recipe, uninterrupted: Recipe, at: int
) -> None:
    """The step has its checkpoint, and the evaluation is made when the run resumes."""
    stop = StopDuringEvaluation(at)
    stopped = train(recipe, reporter=stop, stop=stop)
    last_row = history(recipe.out)[-1]
    resumed = train(recipe)
    ours, expected = (read_checkpoint(each.out).state for each in (recipe, uninterrupted))

    assert (stopped.finished, stopped.state.step, resumed.finished) == (False, at, True)
    assert ours.score == expected.score
    assert (last_row["step"], last_row["val"]) == (at, None)
    assert history(recipe.out) == history(uninterrupted.out)
    assert resumed.state.best_step == expected.best_step


@pytest.mark.parametrize("at", [5, 10, 12])
def test_an_evaluation_made_on_resuming_is_in_the_checkpoint(recipe: Recipe, at: int) -> None:
    """With the weights that were found best, even if the run is killed right after it."""
    recipe = dataclasses.replace(recipe, patience=9, keep=9)
    uninterrupted = renamed(recipe, "uninterrupted")
    train(uninterrupted)
    stop = StopDuringEvaluation(at)
    train(recipe, reporter=stop, stop=stop)
    with pytest.raises(Killed):
        train(recipe, reporter=KillAt(at))
    expected = read_checkpoint(uninterrupted.out / "checkpoints" / f"step-{at:08}")
    best = read_checkpoint(recipe.out / "best")

    assert (best.state.step, best.state.best_step) == (at, expected.state.best_step)
    assert best.state.score == expected.state.score
    assert all(torch.equal(best.weights[name], expected.weights[name]) for name in expected.weights)


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_kill_while_a_checkpoint_is_replaced_keeps_one(
    recipe: Recipe, uninterrupted: Recipe, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """After 0, 1 or 2 of the renames; the resumed run removes the leftovers."""
    stop = StopDuringEvaluation(12)
    train(recipe, reporter=stop, stop=stop)
    remaining, rename = iter(range(renames)), Path.rename

    def rename_or_kill(path: Path, target: Path | None = None) -> Path:
        if target is None or next(remaining, None) is None:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename_or_kill)
        patch.setattr("shutil.rmtree", rename_or_kill)
        with pytest.raises(KeyboardInterrupt):
            train(recipe)
    survived = read_checkpoint(recipe.out).state
    train(recipe)

    assert (survived.step, survived.best_step == 12) == (12, renames == 2)
    assert history(recipe.out) == history(uninterrupted.out)
    assert all(
        path.name.removeprefix("step-").isdigit() for path in (recipe.out / "checkpoints").iterdir()
    )


@pytest.mark.parametrize("compile", [None, False])
def test_a_run_stopped_before_its_first_step_has_no_checkpoint(
    recipe: Recipe, compile: bool | None
) -> None:
    """While it times steps, or after; the same command starts it again."""
    recipe = dataclasses.replace(recipe, compile=compile)
    outcome = train(recipe, stop=lambda: True)

    assert (outcome.finished, outcome.state.step, outcome.checkpoint) == (False, 0, None)
    assert train(recipe).finished


def test_a_finished_run_continues_with_more_steps(recipe: Recipe) -> None:
    """A notice says that the schedule changes."""
    notices = Notices()
    train(recipe)
    longer = dataclasses.replace(recipe, steps=15)
    outcome = train(longer, reporter=notices)

    assert outcome.state.step == 15
    assert [row["step"] for row in history(recipe.out)] == list(range(1, 16))
    assert "12 steps -> 15 steps" in notices


def test_two_processes_cannot_train_in_one_folder(recipe: Recipe) -> None:
    """The second would remove checkpoints of the first."""

    def train_again() -> bool:
        with pytest.raises(ConfigError, match="another process is training in"):
            train(recipe)
        return True

    assert train(recipe, stop=train_again).state.step == 0


def test_a_finished_run_makes_no_further_step(uninterrupted: Recipe) -> None:
    before = history(uninterrupted.out)

    assert train(uninterrupted).finished
    assert history(uninterrupted.out) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": Muon(lr=0.1)}, r"optimizer\.lr = 0.0"),
        ({"schedule": Cosine()}, r"schedule\."),
        ({"seed": 5}, "seed = 0"),
        ({"steps": 3}, "3"),
    ],
)
def test_a_resumed_run_with_another_recipe_is_rejected(
    uninterrupted: Recipe, changes: dict[str, Any], words: str
) -> None:
    """The message names the field and its old value."""
    with pytest.raises(ConfigError, match=words):
        train(dataclasses.replace(uninterrupted, **changes))


@pytest.mark.parametrize("end", [256, 300])
def test_a_resumed_run_on_other_data_is_rejected(
    uninterrupted: Recipe, tokenizer: Any, tmp_path: Path, end: int
) -> None:
    """Data of another tokenizer, or of the same tokenizer and another length."""
    (tmp_path / "other.txt").write_text("something else entirely, and not much of it\n" * 9)
    shards.write(tmp_path / "other.txt", type(tokenizer)(end), tmp_path / "other")
    with pytest.raises(DataError, match="another --out"):
        train(dataclasses.replace(uninterrupted, data=tmp_path / "other"))


@pytest.mark.gpu
def test_a_cuda_run_resumes(recipe: Recipe) -> None:
    """The optimizer state is restored to the device."""
    on_gpu = dataclasses.replace(recipe, device="cuda")
    train_until(on_gpu, 5)

    assert train(on_gpu).finished
