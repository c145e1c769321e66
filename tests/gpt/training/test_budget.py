"""What of the time of a run is for training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gpt.errors import ConfigError
from gpt.spec.machine import Machine, Shape
from gpt.spec.recipe import Recipe
from gpt.training.budget import described_time, evaluating_seconds, training_seconds, with_overhead
from gpt.training.clock import Limits

RECIPE = Recipe(data=Path("d"), steps=None, seconds=20.0, eval_every=5)
SHAPE = Shape(2, 64, 32, 512, 1024)
MACHINE = Machine.cpu(2).measured("float32", SHAPE, 0.5)


@pytest.mark.parametrize(
    ("fields", "budget"),
    [
        ({}, 20.0),
        ({"overhead": 6.0}, 14.0),
        ({"overhead": 19.0}, 10.0),
        ({"overhead": 6.0, "max_seconds": 15.0}, 9.0),
        ({"overhead": 6.0, "steps": 3, "seconds": None}, None),
    ],
)
def test_training_has_what_the_overhead_leaves(
    fields: dict[str, float | None], budget: float | None
) -> None:
    """At least half of the time; the clock ends the run by it."""
    recipe = dataclasses.replace(RECIPE, **fields)  # type: ignore[arg-type]

    assert recipe.budget == budget
    assert Limits.of(recipe).seconds == budget


def test_a_negative_overhead_is_an_error() -> None:
    """Which names the field."""
    with pytest.raises(ConfigError, match="overhead must be 0 or more"):
        dataclasses.replace(RECIPE, overhead=-1.0)


def test_evaluations_take_a_third_of_a_step_for_as_many_tokens() -> None:
    """20 seconds are 40 steps with 9 evaluations; samples and the report add to them."""
    of_one, of_three = (
        evaluating_seconds(RECIPE, MACHINE, SHAPE, val_tokens=n * SHAPE.tokens, samples=False)
        for n in (1, 3)
    )

    assert of_three - of_one == pytest.approx(9 * 2 * 0.5 / 3)


def test_the_nearest_limit_ends_the_training() -> None:
    """Four steps of half a second end before the time is over."""
    assert training_seconds(RECIPE, MACHINE, SHAPE) == 20
    assert training_seconds(dataclasses.replace(RECIPE, steps=4), MACHINE, SHAPE) == 2


def test_the_line_has_the_whole_time_and_its_parts() -> None:
    """As a person counts it who has typed 20 seconds."""
    line = described_time(with_overhead(RECIPE, 6.04), MACHINE, SHAPE)

    assert line == (
        "about 20 seconds: 14 seconds of training, 6 seconds of planning and evaluation"
    )
