"""What of the time of a run is not training: planning, evaluations, samples and the report."""

from __future__ import annotations

import dataclasses

from gpt.spec.machine import Machine, Shape
from gpt.spec.recipe import Recipe
from pytok.counted import duration

FORWARD = 1 / 3
"""Part of a training step that its forward pass takes."""
SAMPLE = 0.3
"""Seconds of a sample, about: 64 tokens, one at a time."""
REPORT = 2.0
"""Seconds at the end, about: most of them import what draws the plot."""


def evaluating_seconds(
    recipe: Recipe, machine: Machine, shape: Shape, *, val_tokens: int, samples: bool
) -> float:
    """Return about how long evaluations, their *samples* and the report of a run take.

    Each of the evaluations reads the *val_tokens* of the validation split once.
    """
    step = machine.step_seconds(shape)
    count = 1 + training_seconds(recipe, machine, shape) / step // recipe.eval_every
    evaluation = FORWARD * step * val_tokens / shape.tokens
    return REPORT + count * (evaluation + SAMPLE * samples)


def training_seconds(recipe: Recipe, machine: Machine, shape: Shape) -> float:
    """Return about how long the steps of *recipe* take, whichever of its limits is the nearest."""
    by_steps = [] if recipe.steps is None else [recipe.steps * machine.step_seconds(shape)]
    by_time = [] if recipe.budget is None else [recipe.budget]
    return min([*by_steps, *by_time])


def with_overhead(recipe: Recipe, overhead: float) -> Recipe:
    """Return *recipe* with *overhead* in seconds, to a tenth."""
    return dataclasses.replace(recipe, overhead=round(overhead, 1))


def described_time(recipe: Recipe, machine: Machine, shape: Shape) -> str:
    """Return one line: how long the run takes, about, and how much of it is training."""
    training = training_seconds(recipe, machine, shape)
    return (
        f"about {duration(training + recipe.overhead)}: {duration(training)} of training, "
        f"{duration(recipe.overhead)} of planning and evaluation"
    )
