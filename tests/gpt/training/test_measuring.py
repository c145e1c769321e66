"""Plans that measure: which steps are timed, and what a plan makes of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt.spec.machine import Machine, Shape
from gpt.spec.planning import plan
from gpt.spec.recipe import Recipe
from gpt.training.measuring import machine_here, measured_plan, shape_of
from gpt.training.step import TrainStep

Seconds = Callable[[Shape, str], float]
"""From a shape and a dtype to the duration of a step."""


class FakeMachine:
    """Steps take the time of a function; what is measured, and the time that passes, is kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: Seconds) -> None:
        self.measured: list[tuple[Shape, str]] = []
        self.time = 0.0
        self.single = 2.0
        """Duration of a step on one thread, by its processor time, as a multiple."""

        def timed(step: Any, steps: int, *, warmup: int = 1, **clock: Any) -> list[float]:
            shape, dtype = shape_of(step._recipe, 257), step.runtime.name
            duration = seconds(shape, dtype) * (self.single if clock else 1.0)
            self.time += (warmup + steps) * duration
            if warmup:
                self.measured.append((shape, dtype))
            return [duration] * steps

        monkeypatch.setattr(TrainStep, "time", timed)
        monkeypatch.setattr("gpt.parallel.runtime._has_bfloat16", lambda device: True)
        flops = {torch.float32: 5e10, torch.bfloat16: 1e11}
        monkeypatch.setattr(
            "gpt.training.measuring.product_flops", lambda dtype, *sizes: flops[dtype]
        )

    def plan(self, data: Path, **given: Any) -> tuple[Recipe, Machine]:
        """Return the plan for 10 million tokens, and the machine."""

        def draw(machine: Machine) -> Recipe:
            return plan(
                data=data,
                out=data / "run",
                tokens=10**7,
                vocab_size=257,
                machine=machine,
                preset="fast",
                depth=None,
                given=given,
            )

        return measured_plan(draw, vocab_size=257, threads=2, now=lambda: self.time)


def line(shape: Shape, dtype: str) -> float:
    """A machine of 1e11 FLOP/s in float32, twice as fast in bfloat16, and 10 ms a step."""
    return 0.01 + shape.flops / (2e11 if dtype == "bfloat16" else 1e11)


@pytest.mark.parametrize("seconds", [60.0, 600.0])
def test_the_planned_model_was_measured(
    data: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """In the dtype that is faster, which is planned with it."""
    fake = FakeMachine(monkeypatch, line)
    recipe, machine = fake.plan(data, seconds=seconds)

    assert (shape_of(recipe, 257), "bfloat16") in fake.measured
    assert recipe.dtype == "bfloat16"
    assert machine.step_seconds(shape_of(recipe, 257)) == line(shape_of(recipe, 257), "bfloat16")


def test_measuring_takes_a_small_part_of_the_time(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that is ten times as slow as its products promise, too."""
    fake = FakeMachine(monkeypatch, lambda shape, dtype: 10 * line(shape, dtype))
    fake.plan(data, seconds=600.0)

    assert 0 < fake.time < 60


def test_a_dtype_that_is_slower_in_steps_is_not_planned(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its products are faster."""
    fake = FakeMachine(
        monkeypatch, lambda shape, dtype: line(shape, "float32") * (1 + 2 * (dtype == "bfloat16"))
    )

    assert fake.plan(data, seconds=60.0)[0].dtype == "float32"


def test_a_plan_beside_another_process_is_that_of_a_quiet_machine(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps on all threads take thrice as long then; the processor time of one stays the same."""
    quiet = FakeMachine(monkeypatch, line)
    expected = quiet.plan(data, seconds=60.0)[0].model
    loaded = FakeMachine(monkeypatch, lambda shape, dtype: 3 * line(shape, dtype))
    loaded.single = 2 / 3

    assert loaded.plan(data, seconds=60.0)[0].model == expected


def test_nothing_is_measured_if_all_is_given(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan would be the same on any machine."""
    fake = FakeMachine(monkeypatch, line)
    sizes = {"model.layers": 2, "model.width": 64, "model.context": 16, "batch_size": 4}
    recipe, _ = fake.plan(data, steps=10, **sizes)

    assert not fake.measured
    assert (recipe.steps, recipe.dtype) == (10, "auto")


def test_measuring_leaves_the_random_state_and_threads(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the steps are real ones."""
    monkeypatch.setattr("gpt.training.measuring.LEAST", 0.01)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    recipe, machine = measured_plan(
        lambda machine: plan(
            data=data,
            out=data / "run",
            tokens=10**4,
            vocab_size=257,
            machine=machine,
            preset="fast",
            depth=None,
            given={"seconds": 1.0, "model.layers": 1, "model.width": 32},
        ),
        vocab_size=257,
        dtype="float32",
        threads=1,
    )

    assert all(seconds > 0 for seconds in machine.steps.values())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert recipe.dtype in ("auto", "float32")


def test_products_are_measured_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its processor time: a clock by which a product takes a millisecond says so."""
    ticks = itertools.count()
    monkeypatch.setattr("gpt.report.peak_flops.time.thread_time", lambda: next(ticks) / 1000)
    machine = machine_here("cpu", "float32")

    assert machine.products == {
        "float32": pytest.approx(torch.get_num_threads() * 2 * 2048 * 256 * 1024 / 0.001)
    }
