"""Trials that start from a base: a small model that each process trains once, then tunes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt.errors import TrainingError
from gpt.lab.apparatus.texts import once
from gpt.lab.apparatus.training import Run, task_of
from gpt.report.events import NullReporter
from gpt.runs.reading import Checkpoint
from gpt.runs.store import Memory
from gpt.spec.architecture import Architecture
from gpt.training.loop import run
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import Change, tune


@dataclass(frozen=True, kw_only=True)
class TunedModel:
    """A model that was tuned, in memory."""

    checkpoint: Checkpoint
    losses: list[float]
    """Training loss of each step in nats per token."""
    val: Change
    """Score on the held-out part of its data, of the base and of the model."""
    base: Change
    """The same on that of the base's data: what was forgotten."""
    figures: Mapping[str, float]
    """Of the last evaluation, on the held-out part of its data."""


def base_run(
    name: str, architecture: Architecture, how: Run, *, seed: int = 0, rate: float = 3e-3
) -> Path:
    """Return the folder of a trained model, made once in each process.

    *name* says which model it is: two that differ have two names.
    """

    def make(folder: Path) -> None:
        task = task_of(architecture, how, seed=seed, rate=rate, out=folder / "run")
        run(task, reporter=NullReporter())

    return once(f"{name}-{how.steps}-{seed}", make) / "run"


def tuned_model(
    base: Path,
    data: Path,
    *,
    rate: float,
    seed: int,
    device: str = "cpu",
    changes: Mapping[str, Any] | None = None,
    **planned: Any,
) -> TunedModel | None:
    """Tune *base* on *data* in memory; return the model, or None if it diverged.

    *planned* are arguments of `plan_tuning`: method, adapter, epochs, train_on; *changes* are
    fields of the recipe that replace what it plans: steps, objective, patience.
    """
    plan = plan_tuning(base, data=data, out=Path("runs"), lr=rate, seed=seed, **planned)
    how = {**_machine(device), **(changes or {})}
    store = Memory()
    try:
        found = tune(plan.replace(**how), store=store, reporter=NullReporter())
    except TrainingError:
        return None
    last = store.rows[-1]
    assert found.val is not None
    assert found.base is not None
    assert last.val is not None
    return TunedModel(
        checkpoint=store.read(),
        losses=[row.loss for row in store.rows],
        val=found.val,
        base=found.base,
        figures=last.val,
    )


def tuned(
    base: Path,
    data: Path,
    *,
    rate: float,
    seed: int,
    device: str = "cpu",
    changes: Mapping[str, Any] | None = None,
    **planned: Any,
) -> Checkpoint | None:
    """Tune *base* on *data* in memory, as `tuned_model` does; return the model's checkpoint."""
    found = tuned_model(base, data, rate=rate, seed=seed, device=device, changes=changes, **planned)
    return None if found is None else found.checkpoint


def _machine(device: str) -> dict[str, Any]:
    """Return the fields of a recipe that must not be chosen by timing: results depend on them."""
    on_gpu = device != "cpu"
    dtype = "bfloat16" if on_gpu else "float32"
    return {"device": device, "dtype": dtype, "compile": on_gpu, "threads": 1}
