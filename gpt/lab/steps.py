"""Optimizer steps by themselves, for what is measured of one: time, and bytes of tensors."""

from __future__ import annotations

import dataclasses
from typing import Any

from gpt.lab.experiment import Setting
from gpt.lab.training import Run, recipe_of
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.recipe import Recipe
from gpt.training.memory import LiveTensors
from gpt.training.step import TrainStep
from gpt.training.tasks.build import build_task


def model_of(setting: Setting, layers: int | None = None) -> Architecture:
    """Return a model of the size of *setting*, with *layers* layers."""
    return Architecture(
        context=setting.size["context"],
        layers=layers or setting.size["layers"],
        width=setting.size["width"],
        attention=GroupedQuery(heads=4, kv_heads=4),
    )


def recipe_for(
    setting: Setting,
    layers: int | None = None,
    optimizer: AdamW | Muon | None = None,
    **changes: Any,
) -> Recipe:
    """Return the recipe of a run of the size of *setting*, with *changes* of its fields."""
    how = Run(
        steps=1,
        rows=setting.size["rows"],
        optimizer=optimizer or AdamW(),
        device=setting.device,
    )
    recipe = recipe_of(model_of(setting, layers), how, seed=setting.seed, rate=1e-3)
    return dataclasses.replace(recipe, **changes)


def step_of(recipe: Recipe) -> TrainStep:
    """Return the steps of a new run of *recipe*."""
    task = build_task(recipe)
    runtime = Runtime.choose(recipe.device, recipe.dtype)
    model = task.model()
    model.train()
    return TrainStep(model, recipe, task.rows, runtime, ALONE, task.objective)


def peak_bytes(step: TrainStep) -> tuple[int, int]:
    """Return the bytes of the model, and those of all tensors at the peak of two steps."""
    model = step.model
    with LiveTensors([*model.parameters(), *model.buffers()]) as live:
        weights = live.bytes
        for number in range(2):  # the second has the state of the optimizer
            step.update(number, 0.5)
        return weights, live.peak
