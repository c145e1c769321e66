"""What a run chooses by timing its steps, and keeps when it resumes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from gpt.model.gpt import GPT
from gpt.parallel.runtime import COMPILE_PAYS
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.recipe import Recipe
from gpt.training.clock import Clock, replay
from gpt.training.loop import train
from gpt.training.step import TrainStep
from tests.gpt.training.interrupted import (
    KillAt,
    Killed,
    Notices,
    history,
    renamed,
    tensors,
    train_until,
)


@pytest.fixture
def timed(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A run of ten seconds, with checkpoints, whose steps are expected to take half a second."""
    monkeypatch.setattr(TrainStep, "time", lambda self, steps, check_stop: [0.5] * steps)
    return dataclasses.replace(recipe, steps=None, seconds=10.0, checkpoint_every=4, eval_every=5)


def ticks(durations: Iterator[float]) -> Callable[[], float]:
    """A clock by which the times between two readings are *durations*, and 0 in turn."""
    times = itertools.accumulate(itertools.chain.from_iterable((0.0, each) for each in durations))
    return lambda: next(times)


def clock(*hog: float, usual: float = 0.5) -> Clock:
    """A clock by which the first steps take the times of *hog*, later ones the *usual* time."""
    return Clock(now=ticks(itertools.chain(hog, itertools.repeat(usual))))


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The tensors of the newest checkpoint of *run*."""
    return tensors(read_checkpoint(run))


def same(first: Recipe, second: Recipe) -> bool:
    """Whether two runs have the same metrics, times included, weights and optimizer state."""
    one, other = (weights(recipe.out) for recipe in (first, second))
    rows = [read_metrics(recipe.out / "metrics.jsonl") for recipe in (first, second)]
    return rows[0] == rows[1] and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("hog", [(), (1.5,) * 4, (0.5,) * 8 + (2.0,) * 3])
def test_a_time_budget_is_kept(timed: Recipe, hog: tuple[float, ...]) -> None:
    """Within a tenth, while another process comes and goes; the last learning rate is zero."""
    outcome = train(timed, clock=clock(*hog))
    last = read_metrics(timed.out / "metrics.jsonl")[-1]

    assert outcome.finished
    assert outcome.state.seconds == pytest.approx(10, rel=0.1)
    assert (last.fraction, last.lr) == (1.0, 0.0)
    assert last.val is not None


@pytest.mark.parametrize("bound", ["seconds", "max_seconds"])
def test_the_nearer_limit_ends_a_run(timed: Recipe, bound: str) -> None:
    """The time or the steps."""
    limits = {"seconds": None, "max_seconds": None, bound: 3.0}
    by_time = dataclasses.replace(timed, steps=40, **limits)  # type: ignore[arg-type]
    by_steps = renamed(by_time, "steps", steps=4)

    assert train(by_time, clock=clock()).state.step == 6
    assert train(by_steps, clock=clock()).state.step == 4


@pytest.mark.parametrize("kills", [(3,), (7,), (11, 10), (15,)], ids=str)
def test_a_killed_run_repeats_what_the_clock_had_decided(
    timed: Recipe, kills: tuple[int, ...]
) -> None:
    """Bit for bit, on a slower machine and after two kills; then it follows the clock again."""
    whole = renamed(timed, "whole", eval_every=50, checkpoint_every=50)
    train(whole, clock=clock(0.5, 1.5, 0.5, 1.0))
    killed = renamed(whole, "killed")
    for number, step in enumerate(kills):
        times = (0.5, 1.5, 0.5, 1.0) if not number else ()
        with pytest.raises(Killed):
            train(killed, clock=clock(*times, usual=0.5 + number), reporter=KillAt(step))
    train(killed, clock=clock(usual=0.7))
    rows, expected = (read_metrics(run.out / "metrics.jsonl") for run in (killed, whole))

    assert rows[: max(kills)] == expected[: max(kills)]
    assert rows[-1].seconds == pytest.approx(10, rel=0.1)
    assert not (killed.out / "lost.jsonl").exists()


def test_a_run_resumes_bit_for_bit_under_the_same_clock(timed: Recipe) -> None:
    """Weights, optimizer state, metrics and times."""
    whole, stopped = renamed(timed, "whole"), renamed(timed, "stopped")
    train(whole, clock=clock())
    with pytest.raises(Killed):
        train(stopped, clock=clock(), reporter=KillAt(9))
    train(stopped, clock=clock())

    assert same(whole, stopped)


def test_a_recorded_run_can_be_replayed(timed: Recipe) -> None:
    """From scratch, bit for bit, by a clock that says otherwise."""
    again = renamed(timed, "again")
    train(timed, clock=clock(1.0, 0.3, 2.0))
    record = replay(timed.out).record
    train(again, clock=Clock(now=clock(usual=0.1).now, record=record))

    assert same(timed, again)
    assert not same(timed, _trained(renamed(timed, "other"), clock(usual=0.4)))


def _trained(recipe: Recipe, clock: Clock) -> Recipe:
    train(recipe, clock=clock)
    return recipe


def test_a_finished_run_continues_with_more_time(timed: Recipe) -> None:
    """A notice says that the schedule changes."""
    notices = Notices()
    train(timed, clock=clock())
    longer = dataclasses.replace(timed, seconds=20.0)
    outcome = train(longer, clock=clock(), reporter=notices)

    assert outcome.state.seconds == pytest.approx(20, rel=0.1)
    assert "10 seconds -> 20 seconds" in notices


def test_a_run_whose_steps_were_chosen_by_time_ends_at_these(
    timed: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As earlier versions did: their checkpoints have no fraction."""
    chosen = dataclasses.replace(timed, steps=9)
    state = train_until(dataclasses.replace(timed, steps=9, seconds=None), 4).state
    old = dataclasses.replace(state, recipe=chosen, fraction=None)
    monkeypatch.setattr("gpt.runs.reading.read_state", lambda folder: old)

    assert train(chosen, clock=clock(usual=9.0)).state.step == 9


def test_a_stopped_run_says_how_much_of_its_time_is_over(timed: Recipe) -> None:
    assert "stopped at step 3, 2 of 10 s, " in train_until(timed, 3, clock()).stopped


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
