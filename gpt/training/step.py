"""One update of the weights: the gradients of a step's rows, shortened, and what they move.

All that a step computes, in one process or in several, and nothing of how long a run is, what it
measures, or where it is kept: that is `gpt.training.loop`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gpt.data.batch import Batch, Rows
from gpt.errors import TrainingError
from gpt.model.gpt import GPT
from gpt.optim.average import update_average
from gpt.optim.build import SCHEDULES, build_optimizer, set_rate
from gpt.parallel.runtime import Runtime
from gpt.parallel.sharded import gathered
from gpt.parallel.world import World
from gpt.spec.recipe import Recipe
from gpt.training.engines import no_sync, parallelize


class NotFinite(Exception):
    """The loss or the gradient of a step is no number; the weights are as they were before it."""


class Update(NamedTuple):
    """What one update was."""

    loss: float
    """Of the rows it learnt, in nats per token, before it."""
    norm: float
    """Of the gradient, before it was shortened."""
    lr: float
    """Rate of the first group of weights."""


class TrainStep:
    """A model and its optimizer, which learn the rows of a recipe.

    All processes of a world make the same calls.
    """

    optimizer: torch.optim.Optimizer
    runtime: Runtime

    def __init__(
        self, model: GPT, recipe: Recipe, rows: Rows, runtime: Runtime, world: World
    ) -> None:
        self.model = model
        self._recipe, self._rows, self._world = recipe, rows, world
        self._rows_here = world.rows_of_rank(recipe.rows_per_step)
        self._forward: Any = parallelize(model, recipe.parallel, world, runtime.device)
        model.recompute = recipe.recompute
        self.compute_in(runtime)

    def compute_in(self, runtime: Runtime) -> None:
        """Take *runtime*, with a new optimizer, which multiplies matrices in its type, too."""
        self.runtime = runtime
        self.optimizer = build_optimizer(self._recipe.optimizer, self.model, runtime.dtype)

    def compile(self) -> None:
        """Have torch.compile make the forward and the backward pass."""
        self._forward = torch.compile(self._forward)

    def update(self, step: int, steps: int) -> Update:
        """Make *step* (from 0) of *steps*; raises NotFinite instead."""
        recipe = self._recipe
        share = SCHEDULES[type(recipe.schedule)](recipe.schedule, step, steps)
        rate = set_rate(self.optimizer, share)
        loss = self.gradients(step)
        norm = self._clip()
        if not math.isfinite(loss) or not bool(norm.isfinite()):
            raise NotFinite
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if recipe.average is not None:
            update_average(self.optimizer, recipe.average, step)
        return Update(loss=loss, norm=norm.item(), lr=rate)

    def gradients(self, step: int) -> float:
        """Add up the gradients of *step*; return its loss."""
        recipe, loss, batches = self._recipe, 0.0, self.batches(step, self._rows_here)
        learnt = max(1.0, self._world.sum(sum(batch.num_targets for batch in batches.values())))
        try:
            for row, batch in batches.items():
                inputs, targets, document_ids = batch.to(self.runtime.device)
                # A run has 2^32 seeds, so that its rows never share one with those of another seed.
                torch.manual_seed((recipe.seed << 32) + row)
                with nullcontext() if row == max(batches) else no_sync(self._forward):
                    with self.runtime.autocast():
                        output = self._forward(inputs, targets, document_ids=document_ids)
                        part = output.loss * (batch.num_targets / learnt)
                    part.backward()
                loss += part.item()
        except torch.OutOfMemoryError:
            raise TrainingError(
                f"{recipe.batch_size} rows of {recipe.model.context} tokens do not fit in the "
                "memory of the device; halve batch_size and double accumulate, into another --out"
            ) from None
        return self._world.sum(loss)

    def batches(self, step: int, share: range) -> dict[int, Batch]:
        """What *step* learns from *share* of its rows: a forward pass each, by its first row."""
        first, size = step * self._recipe.rows_per_step, self._recipe.batch_size
        return {
            first + row: self._rows.batch(first + row, min(size, share.stop - row))
            for row in share[::size]
        }

    def time(self, steps: int, ask: Callable[[], object]) -> list[float]:
        """Seconds of each of *steps* that leave the weights as they were, after one to warm up.

        *ask* is called before each, and may raise.
        """
        set_rate(self.optimizer, 0.0)
        seconds = []
        for _ in range(1 + steps):
            ask()
            began = time.perf_counter()
            self.gradients(0)
            self._clip()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            seconds.append(time.perf_counter() - began)
        self.optimizer.state.clear()
        return self._world.from_main(seconds[1:])  # one clock, so that all choose alike

    def _clip(self) -> Tensor:
        """Shorten the gradient where the recipe bounds it; return its norm before."""
        longest = math.inf if self._recipe.clip is None else self._recipe.clip
        return gathered(torch.nn.utils.clip_grad_norm_(self.model.parameters(), longest))
