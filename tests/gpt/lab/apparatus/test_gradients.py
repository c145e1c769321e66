"""Directions of gradients: known angles, and gradients that are those of the trainer."""

from __future__ import annotations

import pytest
import torch

from gpt.lab.apparatus.gradients import deviation, directions, variance
from gpt.lab.apparatus.training import Run, glorot, task_of
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery

AXES = torch.eye(3, dtype=torch.float64)
ARCHITECTURE = Architecture(
    context=16, layers=1, width=16, attention=GroupedQuery(heads=2, kv_heads=2)
)


def test_the_variance_is_that_of_known_angles() -> None:
    """0 if all are equal, 1/2 at right angles, 1 if opposite."""
    assert variance(AXES[:1].expand(3, 3)) == pytest.approx(0)
    assert variance(AXES) == pytest.approx(0.5)
    assert variance(torch.stack([AXES[0], -AXES[0]])) == pytest.approx(1)


def test_the_error_is_that_of_a_known_angle() -> None:
    """Of 60 degrees it is 1/4."""
    whole = torch.tensor([0.5, 3**0.5 / 2, 0.0], dtype=torch.float64)

    assert deviation(AXES[:1], whole) == pytest.approx(0.25)


def test_directions_are_measured_at_each_step_asked_for() -> None:
    """And the same for the same seed."""
    first, second = (
        directions(
            task_of(ARCHITECTURE, Run(steps=2, rows=2), seed=0, rate=1e-3),
            at=(1, 2),
            batches=3,
            some=2,
        )
        for _ in range(2)
    )

    assert first == second
    assert [len(each) for each in first] == [2, 2]


def test_the_first_weights_are_those_that_a_run_asks_for() -> None:
    """The trainer's last matrices are zero; Glorot's are not."""
    how = Run(steps=1, rows=2, initialize=glorot)
    gpt = task_of(ARCHITECTURE, how, seed=0, rate=1e-3).model()
    weight = gpt.get_parameter("blocks.0.mlp.output.weight")
    bound = (6 / sum(weight.shape)) ** 0.5

    assert 0.9 * bound < weight.abs().max() <= bound
