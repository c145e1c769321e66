"""How long steps take on a machine, measured or estimated."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt.spec.machine import Machine, Shape

SMALL, LARGE = Shape(2, 128, 128, 4096, 2048), Shape(4, 256, 128, 4096, 2048)
XEON = {
    "float32": {(2, 128): 0.101, (2, 192): 0.174, (2, 256): 0.241, (3, 192): 0.234}
    | {(4, 256): 0.424, (6, 384): 1.148},
    "bfloat16": {(2, 128): 0.080, (2, 192): 0.123, (2, 256): 0.167, (3, 192): 0.149}
    | {(4, 256): 0.238, (6, 384): 0.637},
}
"""Seconds of a step of 2,048 tokens on two cores of a Xeon with AMX, by dtype, layers and width."""


@pytest.mark.parametrize("dtype", list(XEON))
def test_two_measured_steps_predict_others(dtype: str) -> None:
    """Real durations on a Xeon, within an eighth."""
    seconds = XEON[dtype]
    machine = dataclasses.replace(Machine.cpu(2), products={dtype: 2e11})
    for size in ((2, 128), (4, 256)):
        machine = machine.measured(dtype, Shape(*size, 128, 4096, 2048), seconds[size])

    for size, measured in seconds.items():
        estimate = machine.step_seconds(Shape(*size, 128, 4096, 2048))
        assert estimate == pytest.approx(measured, rel=0.125)


def test_measured_step_is_not_estimated() -> None:
    machine = Machine.cpu(2).measured("float32", SMALL, 0.5).measured("float32", LARGE, 0.7)

    assert [machine.step_seconds(shape) for shape in (SMALL, LARGE)] == [0.5, 0.7]
    assert machine.is_measured(SMALL)
    assert not machine.is_measured(dataclasses.replace(SMALL, tokens=4096))


def test_faster_dtype_counts() -> None:
    """By what was measured, whatever the products promise."""
    machine = Machine(seconds=1.0, products={"float32": 1e11, "bfloat16": 1e12}, other=1e11)
    slow = machine.measured("bfloat16", SMALL, 0.2).measured("float32", SMALL, 0.1)

    assert machine.dtype(SMALL) == "bfloat16"
    assert (slow.dtype(SMALL), slow.step_seconds(SMALL)) == ("float32", 0.1)


def test_step_that_does_not_fit_into_memory_is_never_chosen() -> None:
    """It says nothing of other steps."""
    machine = Machine.cuda().measured("bfloat16", LARGE, float("inf"))

    assert machine.step_seconds(LARGE) == float("inf")
    assert machine.step_seconds(SMALL) == Machine.cuda().step_seconds(SMALL)


@given(
    measured=st.lists(st.tuples(st.integers(1, 12), st.floats(0.001, 10)), max_size=4),
    layers=st.integers(1, 24),
)
def test_estimates_are_positive_and_do_not_fall(
    measured: list[tuple[int, float]], layers: int
) -> None:
    """However contradictory the measurements are, a deeper model is not estimated faster."""
    machine = Machine.cpu(2)
    for depth, seconds in measured:
        machine = machine.measured("float32", dataclasses.replace(SMALL, layers=depth), seconds)
    known = {shape.layers for _, shape in machine.steps}
    durations = [
        machine.step_seconds(dataclasses.replace(SMALL, layers=depth))
        for depth in (layers, layers + 1)
    ]

    assert min(durations) > 0
    assert durations[0] <= durations[1] * (1 + 1e-9) or known & {layers, layers + 1}
