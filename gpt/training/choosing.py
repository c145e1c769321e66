"""What a recipe leaves open, chosen by timing steps on this machine: dtype, steps, compile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from statistics import fmean

import torch

from gpt.parallel.runtime import Runtime
from gpt.spec.recipe import Recipe
from gpt.training.step import TrainStep

STEPS_FOR_BUDGET = 3
"""Steps to time before a run with a time budget: single steps differ by some percent."""
STEPS_FOR_DTYPE = 2
"""Steps to time in each dtype: the faster one is at least twice as fast."""


def choose_by_timing(
    recipe: Recipe,
    train_step: TrainStep,
    check_stop: Callable[[], object],
    notice: Callable[[str], object],
) -> Recipe:
    """Return *recipe* with what it leaves open; *train_step* computes in the dtype chosen.

    The choices are saved with the run, so that it resumes with them on any machine:
    `keep_choices`. *check_stop* is called before each step that is timed, and can raise.
    """
    first = train_step.runtime
    if recipe.dtype == "auto":
        # Hardware support does not make bfloat16 the faster one for every model.
        if first.dtype == torch.bfloat16 and first.device.type == "cpu":
            plain = dataclasses.replace(first, dtype=torch.float32)
            seconds = {each: step_seconds(train_step, each, check_stop) for each in (first, plain)}
            train_step.compute_in(min(seconds, key=seconds.__getitem__))
            notice(f"dtype {train_step.runtime.name}: faster on this machine")
        recipe = dataclasses.replace(recipe, dtype=train_step.runtime.name)
    budget = recipe.seconds or recipe.max_seconds
    if budget is not None:
        steps = max(1, round(budget / fmean(train_step.time(STEPS_FOR_BUDGET, check_stop))))
        if recipe.seconds is not None or steps < recipe.steps:
            recipe = dataclasses.replace(recipe, steps=steps)
            notice(f"steps {steps}: about {budget:g} seconds on this machine")
    if recipe.compile is None:
        total = recipe.seconds or recipe.steps * fmean(train_step.time(1, check_stop))
        recipe = dataclasses.replace(recipe, compile=train_step.runtime.compile_pays(total))
    return recipe


def step_seconds(
    train_step: TrainStep, runtime: Runtime, check_stop: Callable[[], object]
) -> float:
    """Return the seconds of a step in *runtime*: the minimum, as disturbances only add time."""
    train_step.compute_in(runtime)
    return min(train_step.time(STEPS_FOR_DTYPE, check_stop))


def keep_choices(recipe: Recipe, saved: Recipe) -> Recipe:
    """Return *recipe* with what `choose_by_timing` chose when the run *saved* started."""
    if recipe.seconds is not None or recipe.max_seconds is not None:
        recipe = dataclasses.replace(recipe, steps=saved.steps)
    if recipe.compile is None:
        recipe = dataclasses.replace(recipe, compile=saved.compile)
    if recipe.dtype == "auto":
        recipe = dataclasses.replace(recipe, dtype=saved.dtype)
    return recipe
