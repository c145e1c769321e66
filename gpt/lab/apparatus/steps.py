"""Optimizer steps by themselves, for what is measured of one: time, and bytes of tensors."""

from __future__ import annotations

import dataclasses
import gc
import json
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from gpt.data.shards import TrainingRows
from gpt.lab.apparatus.training import Run, recipe_of
from gpt.lab.experiment import Figures, Setting
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE
from gpt.report.events import NullReporter
from gpt.runs.store import Memory
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
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


def process_peak(recipe: Recipe) -> float:
    """Return the bytes by which a new process grows at the peak of two steps of *recipe*.

    It returns what it frees to the system at once, as far as glibc lets it. NaN but on Linux.
    """
    environment = {
        **os.environ,
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    found = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import print_peak; print_peak()"],
        input=json.dumps(recipe.to_dict()),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(found.stdout)


def print_peak() -> None:
    """Read a recipe from standard input, and print how much this process grows by its steps."""
    recipe = Recipe.from_dict(json.load(sys.stdin))
    torch.set_num_threads(1)
    assert isinstance(recipe.model, Architecture)
    small = dataclasses.replace(recipe.model, layers=1, width=32)
    for each in (dataclasses.replace(recipe, model=small, batch_size=1), recipe):
        # The first loads libraries, and fills caches that are none of the steps'.
        before = _resident("VmRSS")
        if CLEAR.exists():
            CLEAR.write_text("5", encoding="ascii")  # the peak begins again
        step = step_of(each)
        for number in range(2):
            step.update(number, 0.5)
        peak = _resident("VmHWM")
        del step
        gc.collect()
    print(peak - before)


CLEAR = Path("/proc/self/clear_refs")
SMOOTHING = 0.1
"""Fraction of the way to the loss of a step by which the smoothed one moves, as documented."""


def _resident(name: str) -> float:
    """Return a size of this process in bytes, as Linux says it; NaN elsewhere."""
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    fields = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
    return 1024.0 * int(fields[name].split()[0])


def ending(setting: Setting) -> Figures:
    """Train with a loss to stop at, or without; return the steps made, and the one that is due."""
    limit, most = setting.size["loss"], setting.size["most"]
    stop = limit if setting.arm == "stopped" else None
    recipe = recipe_for(setting, steps=most, eval_every=most, stop_at_loss=stop)
    store = Memory()
    train(recipe, store=store, reporter=NullReporter())
    smoothed: list[float] = []
    for row in store.rows:
        last = smoothed[-1] if smoothed else row.loss
        smoothed.append(last + SMOOTHING * (row.loss - last))
    reached = [step for step, loss in enumerate(smoothed, 1) if loss <= limit]
    due = reached[0] if reached else most
    return {"steps": float(len(smoothed)), "late": float(len(smoothed) - due)}


def overlapping(setting: Setting) -> Figures:
    """Count how often an epoch has each token, with rows that overlap by the tokens of an arm."""
    recipe = recipe_for(setting, overlap=int(setting.arm))
    rows = build_task(recipe).rows
    assert isinstance(rows, TrainingRows)
    counts = Counter[int]()
    for number in range(rows.per_epoch):
        begin = rows.start(number)
        counts.update(range(begin, begin + rows.context))
    # The ends of the text are in fewer rows.
    inner = [counts[at] for at in range(2 * rows.context, len(rows.tokens) - 2 * rows.context)]
    return {"least": float(min(inner)), "most": float(max(inner))}
