"""The one loop: set the rate, accumulate, clip, step, evaluate, log, checkpoint.

`train` begins with a new model, `gpt.training.finetune.tune` with another run's; both are `run`,
each with a
task of its own (`gpt.training.task`).

A run is a function of its recipe and its data. Batches are a function of (seed, row), and chance
(dropout) is seeded anew from the same in every forward pass, so a run that stopped goes on as if it
had not: on one machine, in float32 on CPU, bit for bit. In several processes only sums round apart.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NoReturn

import torch
from filelock import FileLock, Timeout

from gpt.adapt.wrapping import merged
from gpt.errors import ConfigError
from gpt.evaluation.bits_per_byte import Evaluation
from gpt.model.gpt import GPT
from gpt.optim.average import averaged
from gpt.optim.best import keep_best
from gpt.parallel.runtime import Runtime
from gpt.parallel.sharded import is_sharded
from gpt.parallel.world import ALONE, World
from gpt.report.events import NullReporter, Reporter, Start
from gpt.runs.metrics import Row, open_metrics
from gpt.runs.reading import read_checkpoint
from gpt.runs.retention import find_checkpoint
from gpt.runs.state import State, check_fits
from gpt.runs.writing import write_checkpoint
from gpt.spec.planning import described
from gpt.spec.recipe import Recipe
from gpt.training.divergence import divergence_error, first_non_finite
from gpt.training.step import NotFinite, TrainStep
from gpt.training.task import Pretraining, Task

TIMED_STEPS = 3
"""Timed to choose the number of steps: they differ by some percent."""
PROBED_STEPS = 2
"""Timed to choose the type of products: the right one is twice as fast, or many times."""
COMPILE_PAYS = 900.0
"""Seconds of training from which torch.compile pays: it takes some 40 and saves about a tenth."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a call of `train` ended."""

    finished: bool
    """All steps were made, or patience was at its end, and the model was measured; False where
    *stop* asked before."""
    state: State
    """What the last checkpoint holds."""
    checkpoint: Path | None
    """Its folder; None where the run was stopped before its first step."""

    @property
    def stopped(self) -> str:
        """Where a run that is not finished stands, and what the same command then does."""
        if self.checkpoint is None:
            return "stopped before the first step; to begin again"
        state = self.state
        return f"stopped at step {state.step} of {state.recipe.steps}, checkpoint written; to go on"


class _Stopped(Exception):
    """Somebody asks for an end, in the middle of work that can be dropped."""


def train(
    recipe: Recipe,
    *,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    world: World = ALONE,
) -> Outcome:
    """Train the model of *recipe*, from its newest checkpoint if ``recipe.out`` holds one.

    *stop* is asked before every step, and before every batch of an evaluation, which is made when
    the run goes on; when it says True the run writes a checkpoint and returns. All processes of
    *world* call this and any may stop it; the recipe is the main one's, which alone reports and
    writes. The caller's random state and number of threads are left as they were. Raises
    ConfigError for a recipe that does not fit the run found, DataError for data that does not fit,
    CheckpointError for a damaged checkpoint or one that cannot be written, TrainingError where the
    loss, a gradient or a weight is no number any more (the last checkpoint is kept, and the batch).
    """
    return run(Pretraining(world.from_main(recipe)), reporter=reporter, stop=stop, world=world)


def run(
    task: Task,
    *,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    world: World = ALONE,
) -> Outcome:
    """Make the run of *task*; all else is as in `train`."""
    recipe = task.recipe
    runtime = Runtime.choose(recipe.device, recipe.dtype)
    try:
        recipe.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{recipe.out}: no place for a run: {error.strerror}; choose another --out"
        ) from error
    lock = FileLock(recipe.out / ".lock", blocking=False) if world.is_main else nullcontext()
    threads = torch.get_num_threads()
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    reporter = reporter if reporter and world.is_main else NullReporter()
    cuda = [runtime.device] if runtime.device.type == "cuda" else []
    try:
        with lock, torch.random.fork_rng(devices=cuda):
            return _Run(task, runtime, reporter, stop, world).go()
    except Timeout:
        raise ConfigError(
            f"another process is training in {recipe.out}; wait for it, or choose another --out"
        ) from None
    finally:
        torch.set_num_threads(threads)


class _Run:
    """A run in progress: the model, its optimizer, its data, and how far it is."""

    def __init__(
        self,
        task: Task,
        runtime: Runtime,
        reporter: Reporter,
        stop: Callable[[], bool],
        world: World,
    ) -> None:
        self.task, self.recipe, self.reporter, self.world = task, task.recipe, reporter, world
        self.stop, self.stopped, self.cut_off = stop, False, False
        self.model = task.model()
        self.train_step = TrainStep(self.model, self.recipe, task.rows, runtime, world)
        self.state = State(
            config=self.model.config,
            recipe=self.recipe,
            step=0,
            seconds=0.0,
            fingerprint=task.fingerprint,
            train_tokens=task.train_tokens,
        )

    def go(self) -> Outcome:
        """Make the steps that are left."""
        self.model.train()
        if self.world.from_main(find_checkpoint(self.recipe.out)) is not None:
            self._resume()
        else:
            try:
                self._settle()
                if self.task.starts_from_checkpoint:
                    self._measure_first()
            except _Stopped:
                return Outcome(finished=False, state=self.state, checkpoint=None)
        recipe = self.recipe
        if recipe.compile:
            self.train_step.compile()
        self.reporter.notice(f"{recipe.out}: {described(recipe)}")
        self.reporter.began(
            Start(
                recipe=recipe,
                runtime=self.train_step.runtime,
                processes=self.world.size,
                step=self.state.step,
                borrow_model=None if is_sharded(self.model.parameters()) else self._borrow_model,
            )
        )
        metrics = open_metrics(recipe.out, keep=self.state.step, write=self.world.is_main)
        with closing(metrics) as self.metrics:
            self._make_up_for_evaluation()
            while not self._finished() and not self._asked():
                row = self._evaluated(self._step())
                self.metrics.append(row)
                self.reporter.row(row, recipe.steps)
                if row.step % recipe.checkpoint_every == 0 or row.step == self.state.best_step:
                    self._checkpoint()
            folder = self._checkpoint() if self.state.step else None
        if folder is not None:
            self.reporter.ended()
        finished = self._finished() and not self.cut_off
        return Outcome(finished=finished, state=self.state, checkpoint=folder)

    def _finished(self) -> bool:
        """Whether all steps were made, or as many evaluations without a better one as may be."""
        recipe, step, best = self.recipe, self.state.step, self.state.best_step
        if recipe.patience is None or best is None:
            return step >= recipe.steps
        vain = step // recipe.eval_every - best // recipe.eval_every
        return step >= recipe.steps or vain >= recipe.patience

    def _asked(self) -> bool:
        """Whether somebody asks for an end, of any process; once asked, it stays so."""
        self.stopped = self.stopped or self.world.any(self.stop())
        return self.stopped

    def _drop_if_asked(self, *progress: int) -> None:
        if self._asked():
            raise _Stopped

    def _step(self) -> Row:
        """One update of the weights."""
        recipe, step = self.recipe, self.state.step
        began = time.perf_counter()
        try:
            update = self.train_step.update(step, recipe.steps)
        except NotFinite:
            self._diverged(step)
        seconds = self.state.seconds + time.perf_counter() - began
        self.state = dataclasses.replace(self.state, step=step + 1, seconds=seconds)
        tokens, size = self.task.seen((step + 1) * recipe.rows_per_step)
        return Row(
            step=step + 1,
            tokens=tokens,
            bytes=size,
            seconds=seconds,
            loss=update.loss,
            lr=update.lr,
            gradient_norm=update.norm,
        )

    def _settle(self) -> None:
        """Choose by the clock what the recipe leaves open; the run keeps it when it resumes."""
        recipe, first = self.recipe, self.train_step.runtime
        if recipe.dtype == "auto":
            if first.dtype == torch.bfloat16 and first.device.type == "cpu":
                plain = dataclasses.replace(first, dtype=torch.float32)
                self.train_step.compute_in(min((first, plain), key=self._probe))
                self.reporter.notice(f"{self.train_step.runtime.name} is the faster type here")
            recipe = dataclasses.replace(recipe, dtype=self.train_step.runtime.name)
        budget = recipe.seconds or recipe.max_seconds
        if budget is not None:
            steps = max(1, round(budget / fmean(self._timed(TIMED_STEPS))))
            if recipe.seconds is not None or steps < recipe.steps:
                recipe = dataclasses.replace(recipe, steps=steps)
                self.reporter.notice(f"steps {steps}: they fill about {budget:g} seconds here")
        if recipe.compile is None:
            seconds = recipe.seconds or recipe.steps * fmean(self._timed(1))
            recipe = dataclasses.replace(recipe, compile=seconds >= COMPILE_PAYS)
        self.recipe, self.state = recipe, dataclasses.replace(self.state, recipe=recipe)

    def _probe(self, runtime: Runtime) -> float:
        """Seconds of a step in *runtime*; the least, since what disturbs a step lengthens it."""
        self.train_step.compute_in(runtime)
        return min(self._timed(PROBED_STEPS))

    def _timed(self, steps: int) -> list[float]:
        return self.train_step.time(steps, self._drop_if_asked)

    def _make_up_for_evaluation(self) -> None:
        """Make the evaluation of the last step, if the run was stopped in the middle of it."""
        row = self.world.from_main(self.metrics.last)
        if row is not None and row.step == self.state.step and row.val_bpb is None:
            row = self._evaluated(row)
            if row.val_bpb is not None:
                # First of all, since what the metrics have is not made again.
                self._checkpoint()
                self.metrics.replace_last(row)
                self.reporter.row(row, self.recipe.steps)

    def _measure_first(self) -> None:
        """Measure the model before the first step; where the best is kept, it may be that."""
        found = self._measured()
        if found is None:
            return
        bits = found.bits_per_byte
        self.state = dataclasses.replace(self.state, first_val_bpb=bits)
        self.reporter.notice(f"before the first step: {bits:.4f} bits per byte held out")
        if self.recipe.patience is not None:
            self._keep_if_best(bits, 0)

    def _evaluated(self, row: Row) -> Row:
        """*row* with the bits per byte on what was held out, where it is their time."""
        due = row.step == self.recipe.steps or row.step % self.recipe.eval_every == 0
        if not due:
            return row
        try:
            found = self._measured()
        except _Stopped:
            self.cut_off = True
            return row
        if found is None:
            return row
        bits = found.bits_per_byte
        self._keep_if_best(bits, row.step)
        self.state = dataclasses.replace(self.state, val_bpb=bits)
        return dataclasses.replace(row, val_bpb=bits, val_loss=found.nats_per_token)

    def _measured(self) -> Evaluation | None:
        """Evaluate the model as whoever reads the run has it; raises _Stopped."""
        with averaged(self.train_step.optimizer), merged(self.model):
            return self.task.measure(
                self.model, self.train_step.runtime, self._drop_if_asked, self.world
            )

    def _keep_if_best(self, bits: float, step: int) -> None:
        best = self.state.best_val_bpb
        if math.isfinite(bits) and (best is None or bits < best):
            self.state = dataclasses.replace(self.state, best_val_bpb=bits, best_step=step)
            if self.recipe.patience is not None:
                keep_best(self.train_step.optimizer)

    @contextmanager
    def _borrow_model(self) -> Iterator[GPT]:
        """Lend the model as it is measured; the next step finds it as it was."""
        with averaged(self.train_step.optimizer), merged(self.model):
            self.model.eval()
            try:
                yield self.model
            finally:
                self.model.train()

    def _checkpoint(self) -> Path:
        """Write a checkpoint, unless the last update produced non-finite values."""
        if first_non_finite(self.model, self.train_step.optimizer) is not None:
            self._diverged(self.state.step - 1)
        self.metrics.sync()
        return write_checkpoint(
            self.recipe.out,
            self.model,
            self.train_step.optimizer,
            self.state,
            self.task.data_files,
            self.world,
        )

    def _resume(self) -> None:
        """Take up the run that ``recipe.out`` holds."""
        found = read_checkpoint(self.recipe.out)
        saved = found.state
        self._keep_what_was_settled(saved.recipe)
        check_fits(saved, dataclasses.replace(self.state, recipe=self.recipe))
        found.restore(self.model, self.train_step.optimizer)
        self.state = dataclasses.replace(saved, recipe=self.recipe)
        self.reporter.notice(f"resuming {self.recipe.out} at step {saved.step}")
        if saved.recipe.steps != self.recipe.steps:
            self.reporter.notice(
                f"steps {saved.recipe.steps} -> {self.recipe.steps}: "
                "the learning rate follows the new schedule from here"
            )

    def _keep_what_was_settled(self, saved: Recipe) -> None:
        """Fill in what the recipe leaves open with what the clock chose when the run began."""
        if self.recipe.seconds is not None or self.recipe.max_seconds is not None:
            self.recipe = dataclasses.replace(self.recipe, steps=saved.steps)
        if self.recipe.compile is None:
            self.recipe = dataclasses.replace(self.recipe, compile=saved.compile)
        if self.recipe.dtype == "auto":
            self.recipe = dataclasses.replace(self.recipe, dtype=saved.dtype)
            self.train_step.compute_in(Runtime.choose(self.recipe.device, saved.dtype))

    def _diverged(self, step: int) -> NoReturn:
        """End the run because of *step* (from 0)."""
        # The gradients once more, since clipping has first_non_finite them.
        self.train_step.optimizer.zero_grad(set_to_none=True)
        loss = self.train_step.gradients(step)
        raise divergence_error(
            self.recipe.out,
            step + 1,
            list(self.train_step.batches(step, range(self.recipe.rows_per_step)).values()),
            self.model,
            self.train_step.optimizer,
            loss=loss,
            checkpoint=find_checkpoint(self.recipe.out),
            world=self.world,
        )
