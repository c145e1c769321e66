"""What a recipe leaves open, chosen by timing steps on this machine: dtype and compile."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch

from gpt.parallel.runtime import Runtime
from gpt.runs.state import State
from gpt.spec.recipe import Recipe
from gpt.training.clock import Limits
from gpt.training.step import TrainStep

ROUNDS = 2
"""Rounds in which each dtype is timed, in turn, so that another process disturbs both of them."""
STEPS_EXPECTED = 2
"""Steps to time for the expected duration of the first: the faster one counts."""


def choose_by_timing(
    recipe: Recipe,
    train_step: TrainStep,
    check_stop: Callable[[], object],
    notice: Callable[[str], object],
) -> tuple[Recipe, float | None]:
    """Return *recipe* with what it leaves open; *train_step* computes in the dtype chosen.

    Also returns how many seconds a step takes, about, if that matters.

    The choices are saved with the run, so that it resumes with them on any machine:
    `keep_choices`. *check_stop* is called before each step that is timed, and can raise.
    """
    first = train_step.runtime
    if recipe.dtype == "auto":
        # Hardware support does not make bfloat16 the faster one for every model.
        if first.dtype == torch.bfloat16 and first.device.type == "cpu":
            plain = dataclasses.replace(first, dtype=torch.float32)
            train_step.compute_in(_fastest(train_step, (first, plain), check_stop))
            notice(f"dtype {train_step.runtime.name}: faster on this machine")
        recipe = dataclasses.replace(recipe, dtype=train_step.runtime.name)
    limits, expected = Limits.of(recipe), None
    if limits.seconds is not None or recipe.compile is None:
        expected = min(train_step.time(STEPS_EXPECTED, check_stop))
        steps = math.inf if limits.steps is None else limits.steps
        total = min(limits.seconds or math.inf, steps * expected)
        if recipe.compile is None:
            recipe = dataclasses.replace(recipe, compile=train_step.runtime.compile_pays(total))
    return recipe, expected


def _fastest(
    train_step: TrainStep, runtimes: Sequence[Runtime], check_stop: Callable[[], object]
) -> Runtime:
    """Return the one of *runtimes* whose steps are the fastest; disturbances only add time."""
    seconds = dict.fromkeys(runtimes, math.inf)
    for _ in range(ROUNDS):
        for runtime in runtimes:
            train_step.compute_in(runtime)
            seconds[runtime] = min(seconds[runtime], *train_step.time(1, check_stop))
    return min(seconds, key=seconds.__getitem__)


def keep_choices(recipe: Recipe, saved: State) -> Recipe:
    """Return *recipe* with what `choose_by_timing` chose when the run *saved* started."""
    before = saved.recipe
    if saved.fraction is None and Limits.of(before).seconds is not None:
        # An earlier version chose the number of steps at the start, by the time.
        recipe = dataclasses.replace(recipe, steps=before.steps, seconds=None, max_seconds=None)
    if recipe.compile is None:
        recipe = dataclasses.replace(recipe, compile=before.compile)
    if recipe.dtype == "auto":
        recipe = dataclasses.replace(recipe, dtype=before.dtype)
    return recipe
