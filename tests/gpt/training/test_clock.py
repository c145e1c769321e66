"""The decisions of a clock: fractions of a run, its end, and what is repeated."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt.runs.metrics import Row
from gpt.training.clock import Limits, Pace

Durations = Callable[[float], float]
"""From the training time used to the duration of the step that starts then."""


def run(pace: Pace, duration: Durations, made: list[Row] | None = None) -> list[Row]:
    """Return the rows of a run that `pace` ends, after those that it has *made*."""
    rows = list(made or [])
    while not rows or (rows[-1].fraction or 0.0) < 1:
        step, before = len(rows), rows[-1].seconds if rows else 0.0
        fraction = pace.fraction(step, before)
        seconds = pace.seconds_after(step, before, duration(before))
        rows.append(row(step + 1, seconds, fraction))
    return rows


def row(step: int, seconds: float, fraction: float | None) -> Row:
    """A row of the metrics whose other figures do not matter."""
    return Row(
        step=step, tokens=step, bytes=step, seconds=seconds, loss=1.0, lr=0.1, fraction=fraction
    )


def hog(start: float, end: float, times: float) -> Durations:
    """Steps of 0.2 seconds, *times* as long from *start* to *end*."""
    return lambda used: 0.2 * (times if start <= used < end else 1.0)


@pytest.mark.parametrize(
    "duration",
    [
        hog(0, 0, 1),
        hog(0, 15, 3),
        hog(15, 30, 3),
        hog(10, 20, 8),
        hog(29, 60, 4),
        lambda used: 0.1 + 0.3 * (used % 2 > 1),
        lambda used: 5.0 if used == 0 else 0.2,
    ],
    ids=["quiet", "at first", "at last", "between", "at the end", "on and off", "slow start"],
)
def test_a_budget_is_kept_beside_another_process(duration: Durations) -> None:
    """Within a tenth, whenever the other process comes and goes."""
    rows = run(Pace(Limits(None, 30.0), expected=0.2), duration)

    assert rows[-1].seconds == pytest.approx(30, rel=0.1)


@given(durations=st.lists(st.floats(0.05, 10), min_size=1), budget=st.floats(0.1, 20))
def test_fractions_never_fall_and_end_at_one(durations: list[float], budget: float) -> None:
    """Only the last step has 1, however irregular the steps are."""
    endless = itertools.cycle(durations)
    rows = run(Pace(Limits(None, budget)), lambda used: next(endless))
    fractions = [row.fraction or 0.0 for row in rows]

    assert fractions == sorted(fractions)
    assert [fraction for fraction in fractions if fraction >= 1] == [1.0]


def test_steps_of_one_duration_fill_the_budget_to_half_a_step() -> None:
    for budget in (1.0, 1.04, 1.06, 1.1):
        rows = run(Pace(Limits(None, budget), expected=0.1), lambda used: 0.1)

        assert abs(rows[-1].seconds - budget) <= 0.05 + 1e-9


def test_without_a_budget_the_fraction_is_that_of_the_steps() -> None:
    rows = run(Pace(Limits(4, None)), lambda used: used + 1)

    assert [row.fraction for row in rows] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(("steps", "seconds", "last"), [(5, 100.0, 5), (1000, 10.0, 10)])
def test_the_nearer_of_two_limits_ends_a_run(steps: int, seconds: float, last: int) -> None:
    rows = run(Pace(Limits(steps, seconds), expected=1.0), lambda used: 1.0)

    assert (len(rows), rows[-1].fraction) == (last, 1.0)


@pytest.mark.parametrize("saved", [1, 7, 20])
def test_lost_steps_are_repeated_as_they_were_decided(saved: int) -> None:
    """On a machine that is slower, too; later steps follow the clock, and the budget is kept."""
    whole = run(Pace(Limits(None, 10.0), expected=0.2), hog(2, 5, 2))
    again = Pace(Limits(None, 10.0), fraction=0.01, made=whole[:saved], recorded=whole[:30])
    rows = run(again, hog(0, 99, 2.5), whole[:saved])

    assert rows[:30] == whole[:30]
    assert rows[30] != whole[30]
    assert rows[-1].seconds == pytest.approx(10, rel=0.1)


def test_a_resumed_run_knows_how_long_its_steps_took() -> None:
    """So the first fraction after a resume is the one that it would have been."""
    rows = run(Pace(Limits(None, 10.0)), lambda used: 0.2)
    again = Pace(Limits(None, 10.0), fraction=0.01, made=rows[:20])

    assert again.fraction(20, rows[19].seconds) == rows[20].fraction


def test_the_first_step_of_a_process_predicts_no_other() -> None:
    """It may compile for longer than the rest of the budget."""
    rows = run(Pace(Limits(None, 10.0), expected=0.1), lambda used: 0.1 if used else 8.0)

    assert rows[-1].seconds == pytest.approx(10, rel=0.02)


def test_the_expected_number_of_steps_follows_the_clock() -> None:
    """With an hour left it is a guess; at the end it is the number of steps made."""
    pace = Pace(Limits(None, 20.0), expected=0.2)
    expected = [pace.steps_expected(0, 0.0)]
    used = 0.0
    for step in range(1000):
        fraction = pace.fraction(step, used)
        used = pace.seconds_after(step, used, 0.2 if step < 50 else 0.4)
        expected.append(pace.steps_expected(step + 1, used))
        if fraction == 1:
            break

    assert expected[0] == 100
    assert expected[40] == pytest.approx(100, abs=1)
    assert expected[-1] == len(expected) - 1 == pytest.approx(75, abs=1)
    assert fmean(expected[60:]) == pytest.approx(75, abs=1)
