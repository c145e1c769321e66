"""One step: the rows of the next are made before its loss is read, and messages are joined."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from gpt.data.batch import Batch
from gpt.errors import DataError, TrainingError
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World
from gpt.spec.optimizer import Muon
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.step import TrainStep
from gpt.training.tasks.build import build_task
from tests.gpt.processes import in_processes


class LoggedRows:
    """Rows that are logged when they are made; that of number *missing* cannot be made."""

    def __init__(self, rows: Any, missing: int | None = None) -> None:
        self.rows, self.missing, self.log = rows, missing, list[Any]()

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1."""
        self.log.append(first)
        if self.missing in range(first, first + count):
            raise DataError(f"row {self.missing} is damaged")
        batch: Batch = self.rows.batch(first, count)
        return batch


def step_of(recipe: Recipe, missing: int | None = None, world: World = ALONE) -> TrainStep:
    """The steps of *recipe*, of two batches of two rows each."""
    task = build_task(recipe)
    rows = LoggedRows(task.rows, missing)
    runtime = Runtime.choose("cpu", "float32")
    return TrainStep(task.model(), recipe, rows, runtime, world)


def test_the_next_rows_are_made_before_the_loss_is_read(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a device computes meanwhile; and they are made once."""
    step = step_of(recipe)
    log = step._rows.log
    read = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda loss: log.append("read") or read(loss))
    for index in range(3):
        step._compute(index, following=index + 1)

    assert log == [0, 2, 4, 6, "read", 8, 10, "read", 12, 14, "read"]


def test_rows_that_cannot_be_made_end_the_step_that_needs_them(recipe: Recipe) -> None:
    """Not the one before, during which they are made."""
    step = step_of(recipe, missing=5)
    step._compute(0, following=1)
    with pytest.raises(DataError, match="row 5 is damaged"):
        step._compute(1, following=2)


def test_rows_past_the_end_of_a_run_may_be_missing(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step needs them."""
    create = TrainStep.__init__
    rows_per_run = 2 * recipe.rows_per_step

    def damaged(step: TrainStep, model: Any, recipe: Any, rows: Any, *rest: Any) -> None:
        create(step, model, recipe, LoggedRows(rows, missing=rows_per_run), *rest)

    monkeypatch.setattr(TrainStep, "__init__", damaged)

    assert train(dataclasses.replace(recipe, steps=2)).finished


def messages_of_steps(recipe: Recipe) -> list[int]:
    """Return the length of each message that three steps exchange among the processes."""
    sent: list[int] = []
    with World.join("cpu") as world, pytest.MonkeyPatch.context() as patch:
        step = step_of(recipe, world=world)
        sums = World.sums
        patch.setattr(World, "sums", lambda *found: sent.append(len(found[1])) or sums(*found))
        for index in range(3):
            step._compute(index, following=index + 1)
            step._apply()
    return sent


def test_processes_exchange_one_message_a_step(recipe: Recipe) -> None:
    """The loss with the weight of the next rows; before the first step, the weight of its own."""
    assert in_processes(2, messages_of_steps, recipe) == [[1, 2, 2, 2]] * 2


def test_an_optimizer_state_that_does_not_fit_is_an_error(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made in the first step, after the gradients have fitted."""

    def fail(*arguments: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("gpt.optim.muon.Muon.step", fail)
    with pytest.raises(TrainingError, match="the optimizer state do not fit in the memory"):
        train(dataclasses.replace(recipe, optimizer=Muon()))
