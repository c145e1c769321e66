"""One step: the rows of the next are made before its loss is read, and messages are joined."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from gpt.data.batch import Batch
from gpt.errors import DataError, TrainingError
from gpt.model.objectives.loss import Loss
from gpt.model.objectives.next_token import CrossEntropy
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World
from gpt.runs.store import Memory
from gpt.spec.optimizer import Muon
from gpt.spec.recipe import Recipe
from gpt.training.loop import run, train
from gpt.training.step import TrainStep
from gpt.training.tasks.build import build_task
from gpt.training.tasks.task import Task
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

    def damaged(
        step: TrainStep, model: Any, recipe: Any, rows: Any, *rest: Any, **options: Any
    ) -> None:
        create(step, model, recipe, LoggedRows(rows, missing=rows_per_run), *rest, **options)

    monkeypatch.setattr(TrainStep, "__init__", damaged)

    assert train(dataclasses.replace(recipe, steps=2)).finished


class Collected:
    """Collects rows that count how often they were collected, by a model in training mode."""

    def __init__(self) -> None:
        self.steps = list[int]()

    def collect(
        self, step: int, model: Any, runtime: Runtime, world: World
    ) -> dict[str, tuple[float, float]]:
        """Return the figure reward, 1 in two of three rows."""
        self.steps.append(step)
        return {"reward": (2.0, 3.0)}

    def save(self) -> bytes:
        """Return the steps."""
        return bytes(self.steps)

    def restore(self, content: bytes) -> None:
        """Take up the steps."""
        self.steps = list(content)


def collecting(recipe: Recipe) -> Task:
    """The task of *recipe*, with rows that are collected."""
    return dataclasses.replace(build_task(recipe), collector=Collected())


def test_rows_of_a_collector_are_collected_before_their_step(recipe: Recipe) -> None:
    """Not before the update that they depend on."""
    task = collecting(dataclasses.replace(recipe, steps=3))
    run(task)

    assert isinstance(task.collector, Collected)
    assert task.collector.steps == [0, 1, 2]


def test_a_resumed_run_goes_on_with_what_was_collected(recipe: Recipe) -> None:
    """It is in the checkpoint."""
    run(collecting(dataclasses.replace(recipe, steps=2)))
    task = collecting(dataclasses.replace(recipe, steps=3))
    run(task)

    assert isinstance(task.collector, Collected)
    assert task.collector.steps == [0, 1, 2]


def test_figures_of_the_rows_are_means(recipe: Recipe) -> None:
    """Sums divided by the numbers of their terms."""
    store = Memory()
    run(collecting(dataclasses.replace(recipe, steps=1)), store=store)

    assert store.rows[0].figures == {"reward": pytest.approx(2 / 3)}


def test_figures_of_an_objective_are_means_over_the_step(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over two batches, here of the number of their targets."""
    objective = CrossEntropy.__call__

    def with_figure(self: CrossEntropy, model: Any, batch: Batch) -> Loss:
        targets = torch.tensor([float(batch.num_targets), 1.0])
        return objective(self, model, batch)._replace(means={"targets": targets})

    monkeypatch.setattr(CrossEntropy, "__call__", with_figure)
    store = Memory()
    run(build_task(dataclasses.replace(recipe, steps=1)), store=store)
    targets = recipe.batch_size * recipe.model.context

    assert store.rows[0].figures == {"targets": targets}


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
