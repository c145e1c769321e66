"""The one loop: set the rate, accumulate, clip, step, evaluate, log, checkpoint.

`train` begins with a new model, `gpt.tuning.tune` with another run's; both are `run`, each with a
task of its own (`gpt.tasks`).

A run is a function of its recipe and its data. Chance (dropout) is seeded anew at every step from
(seed, step), and batches are a function of the same, so a run that stopped goes on as if it had
not: on one machine, in float32 on CPU, bit for bit.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from gpt.adapt import merged
from gpt.checkpoint import State, find_checkpoint, read_checkpoint, write_checkpoint
from gpt.errors import ConfigError, DataError, TrainingError
from gpt.metrics import MetricsFile, Row
from gpt.optim import SCHEDULES, build_optimizer, set_rate
from gpt.optim.average import averaged, update_average
from gpt.optim.best import keep_best
from gpt.plot import write_plot
from gpt.presets import described
from gpt.recipe import Recipe, check_resumable
from gpt.runtime import Runtime
from gpt.tasks import Pretraining, Task

TIMED_STEPS = 3
"""Timed to choose the number of steps: they differ by some percent."""
PROBED_STEPS = 2
"""Timed to choose the type of products: the right one is twice as fast, or many times."""
COMPILE_PAYS = 900.0
"""Seconds of training from which torch.compile pays: it takes some 40 and saves about a tenth."""


class Reporter(Protocol):
    """Who is told of a run as it goes."""

    def notice(self, text: str) -> None:
        """Something worth a line, such as that a run is resumed."""

    def row(self, row: Row, steps: int) -> None:
        """Hear that a step of *steps* was made."""


class Silent:
    """A reporter that tells nobody."""

    def notice(self, text: str) -> None:
        """Say nothing."""

    def row(self, row: Row, steps: int) -> None:
        """Say nothing."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a call of `train` ended."""

    finished: bool
    """All steps were made, or patience was at its end; False where *stop* asked before."""
    state: State
    """What the last checkpoint holds."""
    checkpoint: Path
    """Its folder."""


def train(
    recipe: Recipe,
    *,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train the model of *recipe*, from its newest checkpoint if ``recipe.out`` holds one.

    *stop* is asked after every step; when it says True the run writes a checkpoint and returns.
    The caller's random state and number of threads are left as they were. Raises ConfigError for a
    recipe that does not fit the run found, DataError for data that does not fit, CheckpointError
    for a damaged checkpoint, TrainingError where the loss is no longer a number (the last
    checkpoint is kept).
    """
    return run(Pretraining(recipe), reporter=reporter, stop=stop)


def run(
    task: Task,
    *,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Make the run of *task*; all else is as in `train`."""
    recipe = task.recipe
    runtime = Runtime.choose(recipe.device, recipe.dtype)
    recipe.out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(recipe.out / ".lock", blocking=False)
    threads = torch.get_num_threads()
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    reporter = reporter or Silent()
    cuda = [runtime.device] if runtime.device.type == "cuda" else []
    try:
        with lock, torch.random.fork_rng(devices=cuda):
            going = _Run(task, runtime, reporter)
            try:
                return going.go(stop)
            finally:
                going.metrics.close()
    except Timeout:
        raise ConfigError(
            f"another process is training in {recipe.out}; wait for it, or choose another --out"
        ) from None
    finally:
        torch.set_num_threads(threads)


class _Run:
    """A run in progress: the model, its optimizer, its data, and how far it is."""

    def __init__(self, task: Task, runtime: Runtime, reporter: Reporter) -> None:
        self.task, self.recipe, self.reporter = task, task.recipe, reporter
        self.model = task.model().to(runtime.device)
        self.model.recompute = self.recipe.recompute
        self._compute_in(runtime)
        self.state = State(
            config=self.model.config,
            recipe=self.recipe,
            step=0,
            seconds=0.0,
            fingerprint=task.fingerprint,
            train_tokens=task.train_tokens,
        )
        self.forward: Any = self.model
        if find_checkpoint(self.recipe.out) is not None:
            self._resume()
        else:
            self._settle()
        if self.recipe.compile:
            self.forward = torch.compile(self.model)
        self.metrics = MetricsFile(self.recipe.out / "metrics.jsonl", keep=self.state.step)

    def go(self, stop: Callable[[], bool]) -> Outcome:
        """Make the steps that are left."""
        recipe = self.recipe
        self.reporter.notice(f"{recipe.out}: {described(recipe)}")
        self.model.train()
        stopped = False
        while not self._finished() and not stopped:
            row = self._step()
            last = row.step == recipe.steps
            if last or row.step % recipe.eval_every == 0:
                row = self._evaluate(row)
            self.metrics.append(row)
            self.reporter.row(row, recipe.steps)
            stopped = stop()
            if last or stopped or row.step % recipe.checkpoint_every == 0:
                self._checkpoint()
        folder = self._checkpoint()
        write_plot(recipe.out)
        return Outcome(finished=self._finished(), state=self.state, checkpoint=folder)

    def _finished(self) -> bool:
        """Whether all steps were made, or as many evaluations without a better one as may be."""
        recipe, step, best = self.recipe, self.state.step, self.state.best_step
        if recipe.patience is None or best is None:
            return step >= recipe.steps
        vain = step // recipe.eval_every - best // recipe.eval_every
        return step >= recipe.steps or vain >= recipe.patience

    def _step(self) -> Row:
        """One update of the weights."""
        recipe, step = self.recipe, self.state.step
        began = time.perf_counter()
        share = SCHEDULES[type(recipe.schedule)](recipe.schedule, step, recipe.steps)
        rate = set_rate(self.optimizer, share)
        # A run has 2^32 seeds, so that its steps never share one with those of another seed.
        torch.manual_seed((recipe.seed << 32) + step)
        loss = self._gradients(step)
        norm = self._clip()
        if not math.isfinite(loss) or not bool(norm.isfinite()):
            self._diverged(loss)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if recipe.average is not None:
            update_average(self.optimizer, recipe.average, step)
        seconds = self.state.seconds + time.perf_counter() - began
        self.state = dataclasses.replace(self.state, step=step + 1, seconds=seconds)
        tokens, size = self.task.seen((step + 1) * recipe.rows_per_step)
        return Row(
            step=step + 1,
            tokens=tokens,
            bytes=size,
            seconds=seconds,
            loss=loss,
            lr=rate,
        )

    def _gradients(self, step: int) -> float:
        """Add up the gradients of *step*; return its loss."""
        recipe, loss = self.recipe, 0.0
        first = step * recipe.rows_per_step
        rows = range(first, first + recipe.rows_per_step, recipe.batch_size)
        batches = [self.task.rows.batch(row, recipe.batch_size) for row in rows]
        learnt = max(1, sum(batch.learnt for batch in batches))
        try:
            for batch in batches:
                inputs, targets, documents = batch.to(self.runtime.device)
                with self.runtime.autocast():
                    output = self.forward(inputs, targets, documents=documents)
                    part = output.loss * (batch.learnt / learnt)
                part.backward()
                loss += part.item()
        except torch.OutOfMemoryError:
            raise TrainingError(
                f"{recipe.batch_size} rows of {recipe.model.context} tokens do not fit in the "
                "memory of the device; halve batch_size and double accumulate, into another --out"
            ) from None
        return loss

    def _settle(self) -> None:
        """Choose by the clock what the recipe leaves open; the run keeps it when it resumes."""
        recipe = self.recipe
        if recipe.dtype == "auto":
            if self.runtime.dtype == torch.bfloat16 and self.runtime.device.type == "cpu":
                plain = dataclasses.replace(self.runtime, dtype=torch.float32)
                self._compute_in(min((self.runtime, plain), key=self._probe))
                self.reporter.notice(f"{self.runtime.name} is the faster type here")
            recipe = dataclasses.replace(recipe, dtype=self.runtime.name)
        if recipe.seconds is not None:
            steps = max(1, round(recipe.seconds / fmean(self._time(TIMED_STEPS))))
            recipe = dataclasses.replace(recipe, steps=steps)
            self.reporter.notice(f"{steps} steps fill about {recipe.seconds:g} seconds here")
        if recipe.compile is None:
            seconds = recipe.seconds or recipe.steps * fmean(self._time(1))
            recipe = dataclasses.replace(recipe, compile=seconds >= COMPILE_PAYS)
        self.recipe = recipe
        self.state = dataclasses.replace(self.state, recipe=recipe)

    def _probe(self, runtime: Runtime) -> float:
        """Seconds of a step in *runtime*; the least, since what disturbs a step lengthens it."""
        self._compute_in(runtime)
        return min(self._time(PROBED_STEPS))

    def _compute_in(self, runtime: Runtime) -> None:
        """Take *runtime*, with a new optimizer, which multiplies matrices in its type, too."""
        self.runtime = runtime
        self.optimizer = build_optimizer(self.recipe.optimizer, self.model, runtime.dtype)

    def _time(self, steps: int) -> list[float]:
        """Seconds of each of *steps* that leave the weights as they were, after one to warm up."""
        set_rate(self.optimizer, 0.0)
        seconds = []
        for _ in range(1 + steps):
            began = time.perf_counter()
            self._gradients(0)
            self._clip()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            seconds.append(time.perf_counter() - began)
        self.optimizer.state.clear()
        return seconds[1:]

    def _clip(self) -> Tensor:
        """Shorten the gradient where the recipe bounds it; return its norm before."""
        longest = math.inf if self.recipe.clip is None else self.recipe.clip
        return torch.nn.utils.clip_grad_norm_(self.model.parameters(), longest)

    def _evaluate(self, row: Row) -> Row:
        """*row* with the bits per byte on what was held out, if anything was."""
        with averaged(self.optimizer), merged(self.model):
            result = self.task.measure(self.model, self.runtime)
        if result is None:
            return row
        best = self.state.best_val_bpb
        if best is None or result < best:
            self.state = dataclasses.replace(self.state, best_val_bpb=result, best_step=row.step)
            if self.recipe.patience is not None:
                keep_best(self.optimizer)
        self.state = dataclasses.replace(self.state, val_bpb=result)
        return dataclasses.replace(row, val_bpb=result)

    def _checkpoint(self) -> Path:
        self.metrics.sync()
        return write_checkpoint(
            self.recipe.out, self.model, self.optimizer, self.state, self.task.companions
        )

    def _resume(self) -> None:
        """Take up the run that ``recipe.out`` holds."""
        found = read_checkpoint(self.recipe.out)
        saved = found.state
        self._keep_what_was_settled(saved.recipe)
        check_resumable(saved.recipe, self.recipe)
        if saved.fingerprint != self.state.fingerprint:
            raise DataError(
                f"{self.recipe.data} was written with another tokenizer than the run in "
                f"{self.recipe.out} has learnt; give the data of that run, or another --out"
            )
        if saved.train_tokens != self.state.train_tokens:
            raise DataError(
                f"{self.recipe.data} has {self.state.train_tokens:,} training tokens, and the run "
                f"in {self.recipe.out} began on {saved.train_tokens:,}; give it the data it began "
                "on, or another --out"
            )
        if saved.step > self.recipe.steps:
            raise ConfigError(
                f"{self.recipe.out} is at step {saved.step} already, past steps = "
                f"{self.recipe.steps}; ask for more steps, or another --out"
            )
        found.restore(self.model, self.optimizer)
        self.state = dataclasses.replace(saved, recipe=self.recipe)
        self.reporter.notice(f"resuming {self.recipe.out} at step {saved.step}")
        if saved.recipe.steps != self.recipe.steps:
            self.reporter.notice(
                f"steps {saved.recipe.steps} -> {self.recipe.steps}: "
                "the learning rate follows the new schedule from here"
            )

    def _keep_what_was_settled(self, saved: Recipe) -> None:
        """Fill in what the recipe leaves open with what the clock chose when the run began."""
        if self.recipe.seconds is not None:
            self.recipe = dataclasses.replace(self.recipe, steps=saved.steps)
        if self.recipe.compile is None:
            self.recipe = dataclasses.replace(self.recipe, compile=saved.compile)
        if self.recipe.dtype == "auto":
            self.recipe = dataclasses.replace(self.recipe, dtype=saved.dtype)
            self._compute_in(Runtime.choose(self.recipe.device, saved.dtype))

    def _diverged(self, loss: float) -> None:
        kept = find_checkpoint(self.recipe.out)
        rescue = f"the checkpoint {kept.name} is kept" if kept else "there is no checkpoint yet"
        raise TrainingError(
            f"the loss is {loss} at step {self.state.step + 1} (or its gradient is not finite); "
            f"{rescue}; lower lr, or raise warmup, and train into another --out"
        )
