"""What a run chooses by timing its steps, and keeps when it resumes."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from gpt.model.gpt import GPT
from gpt.parallel.runtime import COMPILE_PAYS
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.step import TrainStep
from tests.gpt.training.interrupted import history, renamed, train_until


@pytest.mark.parametrize("bound", ["seconds", "max_seconds"])
def test_a_time_budget_is_turned_into_steps_once(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """By timing at the start; the run resumes to the same step on a machine of any speed."""
    ticks = itertools.count()  # by this clock a step takes a second
    monkeypatch.setattr("gpt.training.loop.time.perf_counter", lambda: float(next(ticks)))
    timed = dataclasses.replace(recipe, **{bound: 5.0})  # type: ignore[arg-type]

    first = train_until(timed, 1)
    second = train(dataclasses.replace(timed, steps=99))

    assert (first.state.step, first.state.recipe.steps) == (1, 5)
    assert (second.state.step, second.finished) == (5, True)


def test_max_seconds_does_not_add_steps(recipe: Recipe) -> None:
    assert train(dataclasses.replace(recipe, max_seconds=1e6)).state.step == recipe.steps


@pytest.mark.parametrize(
    ("seconds", "chosen"), [({"bfloat16": 1, "float32": 9}, "bfloat16"), ({}, "float32")], ids=str
)
def test_the_faster_dtype_is_chosen(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, seconds: dict[str, int], chosen: str
) -> None:
    """By timing, if the processor supports both; a resumed run keeps the choice."""
    monkeypatch.setattr("gpt.parallel.runtime._has_bfloat16", lambda device: True)
    monkeypatch.setattr(TrainStep, "time", lambda self, *_: [seconds.get(self.runtime.name, 5)])
    if not seconds:
        seconds["bfloat16"] = 6
    either = dataclasses.replace(recipe, dtype="auto")
    first = train_until(either, 2).state.recipe.dtype
    monkeypatch.setattr(TrainStep, "time", lambda self, *_: [0.0])

    assert first == chosen
    assert train(either).state.recipe.dtype == chosen
    explicit = renamed(recipe, "explicit", dtype=chosen)
    train(explicit)
    assert history(explicit.out) == history(either.out)


@pytest.mark.parametrize(("pays", "chosen"), [(0.0, True), (1e9, False)])
def test_long_runs_are_compiled(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, pays: float, chosen: bool
) -> None:
    """By the time that their steps will take."""
    compiled: list[GPT] = []
    monkeypatch.setitem(COMPILE_PAYS, "cpu", pays)
    monkeypatch.setattr("torch.compile", lambda model: compiled.append(model) or model)
    outcome = train(dataclasses.replace(recipe, compile=None, steps=2))

    assert outcome.state.recipe.compile is chosen
    assert bool(compiled) is chosen
