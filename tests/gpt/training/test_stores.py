"""Runs in memory: equal to those in a folder, without a trace on the disk or in the process."""

from __future__ import annotations

import dataclasses
import gc
import multiprocessing
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

import gpt
from gpt.errors import CheckpointError, ConfigError, TrainingError
from gpt.report.page import Report
from gpt.report.samples import Sampler
from gpt.report.sessions import Sessions
from gpt.report.tensorboard import TensorBoard
from gpt.runs.metrics import Row
from gpt.runs.reading import read_checkpoint
from gpt.runs.store import Memory
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.tuning.run import tune
from tests.gpt.training.interrupted import StopAfter, StopDuringEvaluation, history
from tests.gpt.training.test_divergence import diverge
from tests.gpt.training.tuning import small_recipe


@pytest.fixture
def unsaved(recipe: Recipe) -> Recipe:
    """The run of `recipe` without a folder."""
    return dataclasses.replace(recipe, out=None)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is empty."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def rows_of(memory: Memory) -> list[dict[str, object]]:
    """The rows of *memory*, without their times."""
    rows = [dataclasses.asdict(row) for row in memory.rows]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize("changes", [{}, {"average": 0.9}, {"patience": 9}], ids=str)
def test_a_run_in_memory_equals_one_in_a_folder(
    recipe: Recipe, unsaved: Recipe, changes: dict[str, float]
) -> None:
    """Bit for bit: losses, evaluations, and the weights for readers."""
    train(dataclasses.replace(recipe, **changes))
    memory = Memory()
    outcome = train(dataclasses.replace(unsaved, **changes), store=memory)
    saved = read_checkpoint(recipe.out)

    assert rows_of(memory) == history(recipe.out)
    assert (outcome.finished, outcome.checkpoint) == (True, None)
    assert memory.state == outcome.state
    for name, weights in memory.model().named_parameters():
        assert torch.equal(weights, saved.weights[name])


def test_a_run_in_memory_makes_no_file(unsaved: Recipe, empty: Path) -> None:
    """With all reporters that write files."""
    shown: list[str] = []
    with ExitStack() as stack:
        board = stack.enter_context(TensorBoard())
        reporters = [Sampler(shown.append, tokens=4), Sessions(), Report(), board]
        for reporter in reporters:
            train(unsaved, store=Memory(), reporter=reporter)

    assert any("sample at step 12" in line for line in shown)
    assert not list(empty.iterdir())


def test_tuning_in_memory_makes_no_file(base: Path, chat: Path, empty: Path) -> None:
    """And is compared with its base as in a folder."""
    recipe = small_recipe(base, chat, empty / "run")
    tuned = tune(recipe, store=Memory())

    assert tuned.val is not None
    assert tuned.val.after == pytest.approx(tuned.outcome.state.score)
    assert not list(empty.iterdir())


def test_early_stopping_in_memory_keeps_the_best_weights(
    recipe: Recipe, unsaved: Recipe, measure: Callable[..., None]
) -> None:
    """Those of the second evaluation, after which two were worse."""
    patient = dataclasses.replace(unsaved, steps=40, patience=2)
    memory, best = Memory(), Memory()
    measure(3.0, 2.0, 2.5, 2.2)
    train(patient, store=memory)
    measure(3.0, 2.0)
    stop = StopAfter(10)
    train(patient, store=best, reporter=stop, stop=stop)

    assert (memory.state.step, memory.state.best_step) == (20, 10)
    for ours, theirs in zip(memory.model().parameters(), best.model().parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_best_model_is_kept_without_patience(
    unsaved: Recipe, measure: Callable[..., None]
) -> None:
    """Beside the last one, as RUN/best is."""
    memory, best = Memory(), Memory()
    measure(3.0, 4.0, 5.0)
    train(unsaved, store=memory)
    measure(3.0)
    stop = StopAfter(5)
    train(unsaved, store=best, reporter=stop, stop=stop)
    ours, last = memory.best_model().embedding.weight, memory.model().embedding.weight

    assert torch.equal(ours, best.model().embedding.weight)
    assert not torch.equal(ours, last)


def test_a_memory_holds_one_run(unsaved: Recipe) -> None:
    """It could not be resumed."""
    memory = Memory()
    with pytest.raises(CheckpointError, match="no such model yet"):
        memory.model()
    train(unsaved, store=memory)
    with pytest.raises(ConfigError, match="make another Memory"):
        train(unsaved, store=memory)


def test_a_run_needs_a_folder_or_a_store(unsaved: Recipe) -> None:
    """The message says how to set either."""
    with pytest.raises(ConfigError, match=r"set out in its recipe, or pass store=Memory\(\)"):
        train(unsaved)


def test_an_interrupted_evaluation_in_memory_is_missing(unsaved: Recipe) -> None:
    """The run is not finished, and its rows end with one that has no figures."""
    memory, stop = Memory(), StopDuringEvaluation(12)
    outcome = train(unsaved, store=memory, reporter=stop, stop=stop)

    assert (outcome.finished, memory.rows[-1].step, memory.rows[-1].val) == (False, 12, None)


def test_the_batch_of_a_diverged_step_is_kept(
    unsaved: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory, too."""
    diverge(monkeypatch, 2, "loss")
    memory = Memory()
    with pytest.raises(TrainingError, match=r"its batch is in Memory\.diverged"):
        train(unsaved, store=memory)

    assert memory.diverged["inputs"].shape == (4, 16)


def count_tensors() -> int:
    """Return the number of tensors that the process can reach."""
    gc.collect()
    # By the type: some modules have objects whose attributes warn.
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


def test_many_runs_in_one_process_leave_nothing(unsaved: Recipe, empty: Path) -> None:
    """No thread, no tensor, no file."""
    short = dataclasses.replace(unsaved, steps=2, average=0.9, patience=2)
    threads, counts = set(threading.enumerate()), {}
    for number in range(1, 21):
        train(short, store=Memory())
        if number in (3, 20):
            counts[number] = count_tensors()

    assert counts[20] == counts[3]
    assert set(threading.enumerate()) <= threads
    assert not list(empty.iterdir())


def test_a_run_in_memory_restores_the_state_of_the_caller(unsaved: Recipe) -> None:
    """The random state and the number of threads."""
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train(dataclasses.replace(unsaved, steps=2, threads=threads + 1), store=Memory())

    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def losses(recipe: Recipe) -> list[float]:
    """The losses of *recipe*, trained in memory."""
    memory = Memory()
    train(recipe, store=memory)
    return [row.loss for row in memory.rows]


def test_runs_in_worker_processes_equal_those_here(unsaved: Recipe) -> None:
    """A worker is started afresh, so all that it needs can be pickled."""
    recipes = [dataclasses.replace(unsaved, steps=3, seed=seed) for seed in (0, 1)]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(losses, recipes)

    assert found == [losses(recipe) for recipe in recipes]


def test_the_memory_is_a_name_of_the_package(unsaved: Recipe) -> None:
    """An experiment needs no module of the package."""
    memory = gpt.Memory()
    gpt.train(unsaved, store=memory)

    assert isinstance(memory.rows[0], Row)
