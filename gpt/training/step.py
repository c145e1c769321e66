"""`TrainStep`: one optimizer step. Accumulate the gradients of its rows, clip, update the weights.

It works the same in one process and in several. How long a run is, what it evaluates, and where it
is saved, is in `gpt.training.loop`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gpt.data.batch import Batch, Rows
from gpt.model.model import Model
from gpt.model.objectives.build import build_objective
from gpt.model.objectives.loss import Objective
from gpt.nn.dropout import set_dropout
from gpt.nn.mechanism import Mechanism
from gpt.optim.average import update_average
from gpt.optim.build import DROPOUT_SCHEDULES, SCHEDULES, build_optimizer, set_rate
from gpt.optim.parameters import saved_buffers
from gpt.parallel.memory import fitting_in_memory
from gpt.parallel.runtime import Runtime
from gpt.parallel.sharded import gathered
from gpt.parallel.world import World
from gpt.spec.recipe import Recipe
from gpt.training.engines import no_sync, parallelize
from gpt.training.tasks.task import Collector

WEIGHTS = (
    "the weights, their gradients and the optimizer state",
    "use a smaller model, or more processes with --parallel fsdp, and choose another --out",
)
"""What a run has in memory whatever its rows, and what to do if it does not fit."""


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
    figures: Mapping[str, float]
    """Further figures of the objective and of the rows, by name."""


class _Gradients(NamedTuple):
    """What the forward passes of a step give besides gradients, still on the device."""

    loss: Tensor
    """This process's part of the mean loss, float64 ()."""
    means: Mapping[str, Tensor]
    """Figures by name, each a sum and the number of its terms, float64 (2,)."""


class _StepRows(NamedTuple):
    """The rows of one step that a process trains on."""

    step: int
    batches: dict[int, Batch]
    """Batches on the device, one per forward pass, by their first row."""
    weight: float
    """The weight of the batches in the objective: of this process, or once exchanged of all."""


class TrainStep:
    """The optimizer steps of a model on the rows of a recipe.

    All processes of the world make the same calls.
    """

    optimizer: torch.optim.Optimizer
    runtime: Runtime

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        rows: Rows,
        runtime: Runtime,
        world: World,
        objective: Objective | None = None,
        collector: Collector | None = None,
    ) -> None:
        self.model = model
        self._collector = collector
        self._collected: Mapping[str, tuple[float, float]] = {}
        self._recipe, self._rows, self._world = recipe, rows, world
        self._objective = objective or build_objective(recipe.objective, model.config)
        self._rows_of_rank = world.rows_of_rank(recipe.rows_per_step)
        with fitting_in_memory(*WEIGHTS):
            self._forward: Any = parallelize(model, recipe.parallel, world, runtime.device)
        model.recompute = recipe.recompute
        self._ahead: _StepRows | None = None
        """The rows of the step after the last one, if they could be made."""
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

        *fraction* is the part of the run that is over at its end; the schedules follow it.
        """
        recipe = self._recipe
        schedule = SCHEDULES[type(recipe.schedule)]
        lr = set_rate(self.optimizer, schedule(recipe.schedule, step, fraction))
        if recipe.dropout_schedule is not None:
            dropout = DROPOUT_SCHEDULES[type(recipe.dropout_schedule)]
            set_dropout(self.model, dropout(recipe.dropout_schedule, fraction))
        loss, norm, figures = self._compute(step, following=step + 1)
        # Checked before the update, so that the weights stay finite and can be saved.
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise NotFinite
        self._apply()
        if recipe.average is not None:
            update_average(self.model, self.optimizer, recipe.average, step)
        return StepResult(loss=loss, gradient_norm=norm, lr=lr, figures=figures)

    def gradients(self, step: int) -> float:
        """Add the gradients of *step* to ``.grad`` of the parameters; return its mean loss."""
        return self._world.sum(self._accumulate(self._rows_of(step)).loss.item())

    def batches(self, step: int, rows: range) -> dict[int, Batch]:
        """Return the batches of *rows* of *step*, one per forward pass, by their first row."""
        first, size = step * self._recipe.rows_per_step, self._recipe.batch_size
        return {
            first + row: self._rows.batch(first + row, min(size, rows.stop - row))
            for row in rows[::size]
        }

    @contextmanager
    def trials(self) -> Iterator[None]:
        """Return a context in which steps change no weights, and after which nothing has changed.

        The optimizer keeps its state until the end of the context.
        """
        set_rate(self.optimizer, 0.0)
        buffers = {buffer: buffer.clone() for buffer in saved_buffers(self.model).values()}
        try:
            yield
        finally:
            self.optimizer.state.clear()
            for buffer, before in buffers.items():
                buffer.copy_(before)

    def try_gradients(self, rows: int) -> None:
        """Compute the gradients of the first *rows* rows, at most a batch, inside of `trials`."""
        batch = self._rows.batch(0, rows).to(self.runtime.device)
        weight = self._objective.weight(batch)
        self._accumulate(_StepRows(step=0, batches={0: batch}, weight=weight))

    def try_update(self) -> None:
        """Update the weights by these gradients, inside of `trials`."""
        self._clip_gradient()
        self._apply()

    @property
    def collects_rows(self) -> bool:
        """Whether the model makes the rows of its steps itself."""
        return self._collector is not None

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
        seconds = []
        with self.trials():
            for _ in range(warmup + steps):
                check_stop()
                self.runtime.synchronize()
                start = now()
                self._compute(0, following=0)
                self._apply()
                self.runtime.synchronize()
                seconds.append(now() - start)
        # The clock of the main process, so that all processes make the same choices by it.
        return self._world.from_main(seconds[warmup:])

    def _compute(self, step: int, following: int) -> tuple[float, float, Mapping[str, float]]:
        """Compute the gradients of *step*.

        Returns its mean loss, the norm of the gradient before clipping, and further figures.

        The rows of the step *following* are made while the device computes. Loss and norm are then
        read together: it is the only time in a step that the host waits for the device, or for the
        other processes.
        """
        loss, means = self._accumulate(self._rows_of(step))
        norm = self._clip_gradient()
        ahead = self._prepare_ahead(following)
        names, of_rows = sorted(means), sorted(self._collected.items())
        read = torch.cat((torch.stack((loss, norm.to(loss.dtype))), *(means[n] for n in names)))
        part, gradient_norm, *pairs = read.tolist()
        pairs += [value for _, pair in of_rows for value in pair]
        ahead_weight = math.nan if ahead is None else ahead.weight
        total, weight, *pairs = self._world.sums([part, ahead_weight, *pairs])
        if ahead is not None and not math.isnan(weight):
            self._ahead = ahead._replace(weight=weight)
        names += [name for name, _ in of_rows]
        figures = zip(names, pairs[::2], pairs[1::2], strict=True)
        return total, gradient_norm, {name: sum / n for name, sum, n in figures if n}

    def _accumulate(self, rows: _StepRows) -> _Gradients:
        """Add the gradients of *rows* to ``.grad``; the device may still compute the result."""
        recipe = self._recipe
        # In float64, so that the sum is that of the passes' losses, whatever their number.
        loss = torch.zeros((), dtype=torch.float64, device=self.runtime.device)
        means: dict[str, Tensor] = {}
        # Each target of the step has the same weight, in whichever batch and process it is.
        weight = rows.weight or 1.0
        fitting = fitting_in_memory(
            f"{recipe.batch_size} rows of {recipe.model.context} tokens",
            "halve batch_size and double accumulate, and choose another --out",
        )
        with fitting:
            for row, batch in rows.batches.items():
                # Dropout depends on (seed, row) only, so a resumed run repeats it. A run has 2^32
                # row numbers, so no row has the random state of a row of another seed.
                torch.manual_seed((recipe.seed << 32) + row)
                last = row == max(rows.batches)
                with nullcontext() if last else no_sync(self._forward):
                    with self.runtime.autocast():
                        value = self._forward(batch, self._objective)
                        part = value.sum / weight
                    part.backward()
                loss += part.detach()
                for name, pair in value.means.items():
                    means[name] = means.get(name, 0) + pair.double()
        return _Gradients(loss, means)

    def _rows_of(self, step: int) -> _StepRows:
        """Return the rows of *step* of this process, and the weight of all."""
        if self._collector is not None:
            self._collected = self._collector.collect(step, self.model, self.runtime, self._world)
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.step == step:
            return ahead
        rows = self._prepare(step)
        return rows._replace(weight=self._world.sum(rows.weight))

    def _prepare_ahead(self, step: int) -> _StepRows | None:
        """Make the rows of *step* before it starts; None if they cannot be made."""
        if self._collector is not None:  # they depend on the update that is to come
            return None
        try:
            return self._prepare(step)
        except Exception:
            # Rows are a function of their numbers, so the step raises it again if it is ever made.
            return None

    def _prepare(self, step: int) -> _StepRows:
        """Make the rows of *step* of this process, and start to copy them to the device."""
        batches = self.batches(step, self._rows_of_rank)
        return _StepRows(
            step=step,
            batches={row: batch.to(self.runtime.device) for row, batch in batches.items()},
            weight=sum(self._objective.weight(batch) for batch in batches.values()),
        )

    def _apply(self) -> None:
        """Update the weights by their gradients, which are deleted, and then the buffers."""
        with fitting_in_memory(*WEIGHTS):
            self.optimizer.step()
        for module in self.model.modules():
            if isinstance(module, Mechanism):
                module.after_step()
        self.optimizer.zero_grad(set_to_none=True)

    def _clip_gradient(self) -> Tensor:
        """Clip the gradient norm to `Recipe.clip`, if set; return the norm before clipping."""
        limit = math.inf if self._recipe.clip is None else self._recipe.clip
        return gathered(torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit))
