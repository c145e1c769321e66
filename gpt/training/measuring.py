"""Planning by measuring: the steps of this machine, before the first step of a run.

A plan is made for what is known of the machine, then a step of the model that it proposes is
measured, and so on until the proposed one is measured. At first only products are known.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import torch

from gpt.errors import TrainingError
from gpt.parallel.runtime import Runtime, torch_threads
from gpt.parallel.world import ALONE, World
from gpt.report.peak_flops import card_flops, product_flops
from gpt.spec.machine import Dtype, Machine, Shape
from gpt.spec.recipe import Recipe
from gpt.training.step import TrainStep
from gpt.training.tasks.build import build_task

SPENT = 0.05
"""Part of the time of a run that may be spent on measuring steps."""
LEAST = 1.0
"""Seconds that may be spent in any case; two small models take about one."""
ROUGHLY = 3.0
"""How much more the first step may be expected to take: nothing else is known of the machine."""
SERIAL = 0.05
"""Part of a step that more threads do not speed up (Amdahl): two threads are 1.9 times as fast as
one; measured 1.8 to 2.0 on two cores."""
FASTER = 1.5
"""Advantage of a dtype from which larger models are measured in it alone: they gain more."""
ROWS, WIDTH = 2048, 256
"""Tokens of a step and width of a model, as most plans for a CPU have; they multiply matrices of
these sizes."""

Draw = Callable[[Machine], Recipe]
"""Makes the plan for a machine."""


def measured_plan(
    draw: Draw,
    *,
    vocab_size: int,
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
    world: World = ALONE,
    now: Callable[[], float] = time.perf_counter,
) -> tuple[Recipe, Machine]:
    """Return the plan that *draw* makes for this machine, and what was measured of it.

    All processes of *world* call this. *vocab_size* is that of the data, the other arguments are
    fields of the recipe. The random state of the caller stays as it is.
    """
    cuda = [Runtime.choose(device).device] if Runtime.choose(device).device.type == "cuda" else []
    with torch_threads(threads), torch.random.fork_rng(devices=cuda):
        machine = world.from_main(machine_here(device, dtype))
        begin = now()
        if len({str(draw(machine.times(factor))) for factor in (1 / 8, 1, 8)}) == 1:
            return draw(machine), machine  # all that depends on the machine is given
        while True:
            recipe = draw(machine)
            shape = shape_of(recipe, vocab_size, world.size)
            if machine.is_measured(shape):
                return recipe, machine
            steps = 2 + 2 * torch.get_num_threads()  # those on a single thread take longer
            expected = steps * machine.step_seconds(shape) * len(machine.products)
            allowed = max(LEAST, SPENT * (recipe.seconds or machine.seconds))
            if not machine.steps:
                allowed *= ROUGHLY
            if world.from_main(now() - begin + expected) > allowed:
                return recipe, machine
            machine = with_step(machine, shape, recipe, world)


def machine_here(device: str = "auto", dtype: str = "auto") -> Machine:
    """Return this machine with the speed of its products; no step is measured.

    With *dtype* it multiplies in that one only.
    """
    runtime = Runtime.choose(device, dtype)
    if runtime.device.type == "cuda":
        peak = card_flops(torch.cuda.get_device_name(runtime.device))
        machine = Machine.cuda() if peak is None else Machine.cuda(peak)
        return dataclasses.replace(machine, products={runtime.name: machine.products["bfloat16"]})
    cores = torch.get_num_threads()
    dtypes: set[Dtype] = {"float32", runtime.name}
    flops: dict[Dtype, float] = {
        name: cores * product_flops(getattr(torch, name), ROWS, WIDTH, 4 * WIDTH) for name in dtypes
    }
    return dataclasses.replace(
        Machine.cpu(cores),
        products=flops if dtype == "auto" else {runtime.name: flops[runtime.name]},
        other=flops["float32"],
    )


def shape_of(recipe: Recipe, vocab_size: int, processes: int = 1) -> Shape:
    """Return the shape of a step of *recipe*, of which each of *processes* makes its part."""
    model = recipe.model
    tokens = recipe.rows_per_step * model.context
    return Shape(model.layers, model.width, model.context, vocab_size, tokens)


def with_step(machine: Machine, shape: Shape, recipe: Recipe, world: World = ALONE) -> Machine:
    """Measure a step of *recipe* in the dtypes of *machine* that may be the faster one."""
    dtypes = sorted(machine.products, key=lambda dtype: machine.in_dtype(dtype, shape))
    if machine.steps and len(dtypes) > 1:
        first, second = (machine.in_dtype(dtype, shape) for dtype in dtypes)
        dtypes = dtypes[:1] if second > FASTER * first else dtypes
    task = build_task(recipe)
    runtimes = {dtype: Runtime.choose(recipe.device, dtype) for dtype in dtypes}
    model, runtime = task.model().train(), runtimes[dtypes[0]]
    step = TrainStep(model, recipe, task.rows, runtime, world, objective=task.objective)
    for dtype in dtypes:
        try:
            step.compute_in(runtimes[dtype])
            seconds = _step_seconds(step)
        except TrainingError:  # out of memory, which the plan then avoids
            seconds = math.inf
        machine = machine.measured(dtype, shape, seconds)
    return machine


def _step_seconds(step: TrainStep) -> float:
    """Return the seconds of a step when nothing else runs, also if something else does.

    Another process slows all threads of a step down, since they wait for each other, but hardly
    changes the processor time of a single thread.
    """
    (seconds,) = step.time(1)
    if step.runtime.device.type == "cuda":
        return seconds
    with torch_threads(1):
        single = min(step.time(2, now=time.thread_time, warmup=0))
    return min(seconds, single * (SERIAL + (1 - SERIAL) / torch.get_num_threads()))
