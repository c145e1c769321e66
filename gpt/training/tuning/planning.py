"""Plans of runs that start from a base: a complete recipe by the base, the method and the data."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt.errors import ConfigError
from gpt.runs.reading import Checkpoint
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.architecture import Architecture
from gpt.spec.dropout import Dropout
from gpt.spec.optimizer import AdamW
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Cosine
from gpt.training.tasks.starting import (
    STEP_TOKENS,
    StartingPoint,
    TuningData,
    base_of,
    open_start,
)
from gpt.training.tasks.task import Task
from gpt.training.tasks.tuning import open_base, open_tuning
from gpt.training.tuning.methods import METHODS

DEFAULT_ADAPTER = LoRA()
PASS_TOKENS = 16_384
"""Most tokens of a forward pass, if the data says how many rows a step has."""
ADAPTER_RATE = 8
"""Learning rate of adapters as a multiple of that of all weights."""
STEPS_PER_EPOCH = 32
"""Fewest optimizer steps per epoch: with fewer, a few epochs have too few steps to learn from."""


@dataclass(frozen=True, kw_only=True)
class TuningPlan:
    """A recipe with its base and its data open: neither is read again when the run starts."""

    recipe: Recipe
    base: Checkpoint
    data: TuningData

    @classmethod
    def open(cls, recipe: Recipe) -> TuningPlan:
        """Verify the base of *recipe* and read its data; raises what `tune` raises for them."""
        base = open_base(recipe)
        return cls(recipe=recipe, base=base, data=open_tuning(recipe, base))

    def replace(self, **changes: Any) -> TuningPlan:
        """Return the plan with these fields of the recipe changed."""
        return self.with_recipe(dataclasses.replace(self.recipe, **changes))

    def with_recipe(self, recipe: Recipe) -> TuningPlan:
        """Return the plan of *recipe*, opened again only if what is read from the disk differs."""
        if _read_by(recipe) == _read_by(self.recipe):
            return dataclasses.replace(self, recipe=recipe)
        return TuningPlan.open(recipe)

    def task(self) -> Task:
        """Return the task of the run."""
        return self.data.task(self.recipe)


def _read_by(recipe: Recipe) -> list[Any]:
    """Return the fields of *recipe* on which it depends what is read."""
    task = base_of(recipe)
    return [type(task), recipe.data, *(getattr(task, name) for name in task.READS)]


def plan_tuning(
    base: Path,
    *,
    data: Path,
    out: Path,
    method: str = "sft",
    adapter: LoRA | DoRA | None = DEFAULT_ADAPTER,
    epochs: float | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int = 0,
    overlap: int = 0,
    processes: int = 1,
    **fields: Any,
) -> TuningPlan:
    """Choose a complete recipe by the base, the method and the size of the data.

    *method* is a name of `gpt.training.tuning.methods.METHODS`. *fields* are fields of its task;
    those omitted are chosen by the data where it has a say: of a chat, ``train_on`` is "mine" if
    the chat says who is me, otherwise "all", and rows are as long as 95% of the conversations;
    those of a text have the context, but at most `STEP_TOKENS`, and half the text. A step has up
    to `STEP_TOKENS` tokens, fewer if an epoch would have less than `STEPS_PER_EPOCH` steps; small
    data gets more epochs, until evaluations improve no more (`patience`). The rows of a step can be
    divided among *processes*. Learning rates fall with
    the width from 256 on, and are eight times as high for adapters (Schulman 2025, LoRA without
    regret: ten times). With an ``initial_adapter``, its spec replaces *adapter*. Raises what `tune`
    raises for *base* and *data*, and ConfigError for values out of range.
    """
    if epochs is not None and not 0 < epochs < math.inf:
        raise ConfigError(f"epochs must be above 0; got {epochs}")
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1; got {batch_size}")
    checkpoint, kind = open_start(base, fields.get("initial_adapter")), METHODS[method]
    if isinstance(checkpoint, StartingPoint):
        adapter = checkpoint.initial.spec
    model = checkpoint.config
    architecture = Architecture(
        **{each.name: getattr(model, each.name) for each in dataclasses.fields(Architecture)}
    )
    chosen = {name: value for name, value in fields.items() if value is not None}
    recipe = Recipe(
        data=data,
        out=out,
        task=kind.task(base=base, adapter=adapter, **chosen),
        objective=kind.objective(),
        score=kind.score(),
        model=architecture,
        seed=seed,
        overlap=overlap,
    )
    opened = open_tuning(recipe, checkpoint, chosen)
    task, rows, length, step_rows = opened.layout(recipe, frozenset(chosen))
    tokens = rows * length
    epochs = epochs or kind.epochs or (8 if tokens < 200_000 else 4 if tokens < 2_000_000 else 2)
    accumulate = 1
    if batch_size is None:
        # The largest power of two within both limits.
        most = min(STEP_TOKENS // length, rows // STEPS_PER_EPOCH)
        batch_size = max(kind.rows, 1 << max(0, most.bit_length() - 1))
        if step_rows is None:
            batch_size = -(-batch_size // processes) * processes
        else:
            most = max(batch_size, 1 << (PASS_TOKENS // length).bit_length() - 1)
            batch_size = math.gcd(step_rows, most)
            accumulate = step_rows // batch_size
    steps = max(1, math.ceil(epochs * rows / (batch_size * accumulate)))
    whole = 1e-3 * min(1.0, 256 / model.width) * kind.rate
    rate = whole * (1 if adapter is None else ADAPTER_RATE) if lr is None else lr
    # Tables of which all rows are trained are no adapters.
    of_tables = rate / ADAPTER_RATE if adapter and task.train_rows == "all" else None
    # Twice an epoch: overfitting can start within one.
    interval = max(1, steps // (kind.evaluations or math.ceil(2 * epochs)))
    recipe = dataclasses.replace(
        recipe,
        task=task,
        model=dataclasses.replace(
            architecture, dropout=Dropout(rate=kind.dropout if adapter is None else 0.0)
        ),
        steps=steps,
        batch_size=batch_size,
        accumulate=accumulate,
        optimizer=AdamW(
            lr=rate,
            embedding_lr=of_tables,
            head_lr=of_tables,
            weight_decay=0.01 if adapter is None else 0.0,
            betas=(0.9, 0.99),
        ),
        schedule=Cosine(floor=0.1),
        clip=1.0,
        eval_every=interval,
        checkpoint_every=interval,
        patience=kind.patience,
    )
    return TuningPlan(recipe=recipe, base=checkpoint, data=opened)
