"""`TrainStep`: one optimizer step. Accumulate the gradients of its rows, clip, update the weights.

It works the same in one process and in several. How long a run is, what it evaluates, and where it
is saved, is in `gpt.training.loop`.
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
    """The loss or the gradient of a step is NaN or infinite; the weights were not updated."""


class StepResult(NamedTuple):
    """Figures of one optimizer step."""

    loss: float
    """Mean loss of its targets before the update, in nats per token."""
    gradient_norm: float
    """Norm of the gradient before clipping."""
    lr: float
    """Learning rate of the first parameter group."""


class TrainStep:
    """The optimizer steps of a model on the rows of a recipe.

    All processes of the world make the same calls.
    """

    optimizer: torch.optim.Optimizer
    runtime: Runtime

    def __init__(
        self, model: GPT, recipe: Recipe, rows: Rows, runtime: Runtime, world: World
    ) -> None:
        self.model = model
        self._recipe, self._rows, self._world = recipe, rows, world
        self._rows_of_rank = world.rows_of_rank(recipe.rows_per_step)
        self._forward: Any = parallelize(model, recipe.parallel, world, runtime.device)
        model.recompute = recipe.recompute
        self.compute_in(runtime)

    def compute_in(self, runtime: Runtime) -> None:
        """Use *runtime*, with a new optimizer, which multiplies matrices in the same dtype."""
        self.runtime = runtime
        self.optimizer = build_optimizer(self._recipe.optimizer, self.model, runtime.dtype)

    def compile(self) -> None:
        """Compile the forward and the backward pass with torch.compile."""
        self._forward = torch.compile(self._forward)

    def update(self, step: int, fraction: float) -> StepResult:
        """Make optimizer step *step* (from 0); raises NotFinite without an update.

        *fraction* is the part of the run that is over at its end; the schedule follows it.
        """
        recipe = self._recipe
        schedule = SCHEDULES[type(recipe.schedule)]
        lr = set_rate(self.optimizer, schedule(recipe.schedule, step, fraction))
        loss = self.gradients(step)
        norm = self._clip_gradient()
        # Checked before the update, so that the weights stay finite and can be saved.
        if not math.isfinite(loss) or not bool(norm.isfinite()):
            raise NotFinite
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if recipe.average is not None:
            update_average(self.optimizer, recipe.average, step)
        return StepResult(loss=loss, gradient_norm=norm.item(), lr=lr)

    def gradients(self, step: int) -> float:
        """Add the gradients of *step* to ``.grad`` of the parameters; return its mean loss."""
        recipe, loss = self._recipe, 0.0
        batches = self.batches(step, self._rows_of_rank)
        # Each target of the step has the same weight, in whichever batch and process it is.
        num_targets = max(1.0, self._world.sum(sum(b.num_targets for b in batches.values())))
        try:
            for row, batch in batches.items():
                inputs, targets, document_ids = batch.to(self.runtime.device)
                # Dropout depends on (seed, row) only, so a resumed run repeats it. A run has 2^32
                # row numbers, so no row has the random state of a row of another seed.
                torch.manual_seed((recipe.seed << 32) + row)
                with nullcontext() if row == max(batches) else no_sync(self._forward):
                    with self.runtime.autocast():
                        output = self._forward(inputs, targets, document_ids=document_ids)
                        part = output.loss * (batch.num_targets / num_targets)
                    part.backward()
                loss += part.item()
        except torch.OutOfMemoryError:
            raise TrainingError(
                f"{recipe.batch_size} rows of {recipe.model.context} tokens do not fit in the "
                "memory of the device; halve batch_size and double accumulate, and choose another "
                "--out"
            ) from None
        return self._world.sum(loss)

    def batches(self, step: int, rows: range) -> dict[int, Batch]:
        """Return the batches of *rows* of *step*, one per forward pass, by their first row."""
        first, size = step * self._recipe.rows_per_step, self._recipe.batch_size
        return {
            first + row: self._rows.batch(first + row, min(size, rows.stop - row))
            for row in rows[::size]
        }

    def time(
        self,
        steps: int,
        check_stop: Callable[[], object] = lambda: None,
        *,
        now: Callable[[], float] = time.perf_counter,
        warmup: int = 1,
    ) -> list[float]:
        """Return the seconds by *now* that each of *steps* steps takes, after *warmup* others.

        The weights do not change. *check_stop* is called before each step, and can raise.
        """
        set_rate(self.optimizer, 0.0)
        seconds = []
        for _ in range(warmup + steps):
            check_stop()
            start = now()
            self.gradients(0)
            self._clip_gradient()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            seconds.append(now() - start)
        self.optimizer.state.clear()
        # The clock of the main process, so that all processes make the same choices by it.
        return self._world.from_main(seconds[warmup:])

    def _clip_gradient(self) -> Tensor:
        """Clip the gradient norm to `Recipe.clip`, if set; return the norm before clipping."""
        limit = math.inf if self._recipe.clip is None else self._recipe.clip
        return gathered(torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit))
