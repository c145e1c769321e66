"""The estimate of the memory of a run equals what torch allocates for its steps."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from gpt.parallel.memory import free_memory
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE
from gpt.runs.store import Memory
from gpt.spec.adapter import LoRA
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.memory import MemoryEstimate, estimate_memory
from gpt.training.step import TrainStep
from gpt.training.tasks.build import build_task
from tests.gpt.training.interrupted import Notices
from tests.gpt.training.tuning import small_recipe

CASES: dict[str, dict[str, Any]] = {
    "AdamW": {"optimizer": AdamW()},
    "Muon": {"optimizer": Muon()},
    "recompute": {"recompute": True},
    "lora": {"adapter": LoRA(targets=("query",))},
}


def step_of(recipe: Recipe) -> TrainStep:
    task = build_task(recipe)
    runtime = Runtime.choose("cpu", "float32")
    step = TrainStep(task.model(), recipe, task.rows, runtime, ALONE)
    step.model.train()
    return step


def allocated(step: TrainStep) -> int:
    """The largest sum of bytes that torch's allocator had given out in the second of two steps."""
    step.update(0, 0.1)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step.update(1, 0.2)
    events = profiler.profiler.kineto_results.events()
    total = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            total += event.nbytes()
            peak = max(peak, total)
    before = [*step.model.parameters(), *step.model.buffers()]
    state = [
        part
        for state in step.optimizer.state.values()
        for part in state.values()
        if isinstance(part, torch.Tensor)
    ]
    return peak + sum(each.numel() * each.itemsize for each in (*before, *state))


@pytest.mark.parametrize("name", CASES)
def test_the_estimate_is_what_torch_allocates(base: Path, tmp_path: Path, name: str) -> None:
    """Within a tenth, for eight rows, of which two and four were tried."""
    changes = dict(CASES[name])
    adapter = changes.pop("adapter", None)
    data = base.parent / "data"
    recipe = small_recipe(base, data, tmp_path, batch_size=8, patience=None, **changes)
    task: Any = dataclasses.replace(recipe.task, adapter=adapter)
    step = step_of(dataclasses.replace(recipe, task=task))
    weights = {key: part.clone() for key, part in step.model.state_dict().items()}
    found = estimate_memory(step, recipe)
    after = step.model.state_dict()

    assert found is not None
    assert all(torch.equal(after[key], weights[key]) for key in weights)
    assert not step.optimizer.state
    total = found._replace(evaluation=0).total
    assert total == pytest.approx(allocated(step), rel=0.1)


def test_a_run_reports_the_estimate_first(recipe: Recipe) -> None:
    """And computes the same with it."""
    notices, stores = Notices(), [Memory(), Memory()]
    train(recipe, store=stores[0], reporter=notices, estimate=True)
    train(recipe, store=stores[1])
    ours, theirs = (store.model().state_dict() for store in stores)

    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert notices.lines[0].startswith("memory: about ")
    assert "activations" in notices.lines[0]


def test_too_little_memory_is_a_warning() -> None:
    """With what to do."""
    free = free_memory(torch.device("cpu"))
    small = MemoryEstimate(100, 100, 200, 300, 0, torch.device("cpu"))
    large = small._replace(activations=10 * (free or 0))

    assert free is None or free > 10_000_000
    assert small.warning() is None
    assert free is None or "halve batch_size" in str(large.warning())
