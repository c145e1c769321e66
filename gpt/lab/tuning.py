"""Trials that start from a base: a small model that each process trains once, then tunes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt.errors import TrainingError
from gpt.lab.texts import once
from gpt.lab.training import Run, task_of
from gpt.report.events import NullReporter
from gpt.runs.reading import Checkpoint
from gpt.runs.store import Memory
from gpt.spec.architecture import Architecture
from gpt.training.loop import run
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import tune


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
    """Tune *base* on *data* in memory; return the model, or None if it diverged.

    *planned* are arguments of `plan_tuning`: method, adapter, epochs, train_on; *changes* are
    fields of the recipe that replace what it plans: steps, objective, patience.
    """
    plan = plan_tuning(base, data=data, out=Path("runs"), lr=rate, seed=seed, **planned)
    how = {"device": device, "compile": device != "cpu", "threads": 1, **(changes or {})}
    store = Memory()
    try:
        tune(plan.replace(**how), store=store, reporter=NullReporter())
    except TrainingError:
        return None
    return store.read()
