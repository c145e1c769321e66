"""The training loop: step, evaluate, log, checkpoint.

`train` opens the task of a recipe (`gpt.training.tasks.build`) and calls `run`;
`gpt.training.tuning.run.tune` calls `run` with a task that is planned and open, and then compares
the model with its base. Where a run is kept is the store's business (`gpt.runs.store`).

A run is a function of its recipe and its data: batches follow from (seed, row), as does the random
state of dropout, which is set before every forward pass. So a resumed run equals an uninterrupted
one: bit for bit in float32 on the CPU of one machine, up to the rounding of sums in several
processes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch

from gpt.adapt.wrapping import merged
from gpt.errors import DataError
from gpt.evaluation.score import Figures, score_of
from gpt.model.model import Model
from gpt.optim.average import averaged
from gpt.optim.best import keep_best
from gpt.parallel.memory import fitting_in_memory
from gpt.parallel.runtime import Runtime, torch_threads
from gpt.parallel.sharded import is_sharded
from gpt.parallel.world import ALONE, World
from gpt.report.events import NullReporter, Reporter, Start
from gpt.report.notebook import default_reporter
from gpt.report.parts import announced
from gpt.runs.metrics import Row
from gpt.runs.reading import COLLECTED
from gpt.runs.state import State, check_fits
from gpt.runs.store import Store, default_store
from gpt.spec.recipe import Recipe
from gpt.training.choosing import choose_by_timing, keep_choices
from gpt.training.clock import MACHINE, Clock, Limits, Pace
from gpt.training.divergence import divergence_error, first_non_finite
from gpt.training.memory import report_memory
from gpt.training.outcome import Outcome
from gpt.training.step import WEIGHTS, NotFinite, TrainStep
from gpt.training.tasks.build import build_task
from gpt.training.tasks.task import Task


class _Stopped(Exception):
    """Raised by a requested stop in the middle of work whose result can be dropped."""


def train(
    recipe: Recipe,
    *,
    store: Store | None = None,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    world: World = ALONE,
    clock: Clock = MACHINE,
    estimate: bool = False,
) -> Outcome:
    """Train the model of *recipe*; resume if *store* holds a checkpoint.

    *store* is where the run is kept, by default the folder ``recipe.out``; in a
    `gpt.runs.store.Memory` it touches no disk. *stop* is called before every step and before every
    batch of an evaluation. If it returns True, the run writes a checkpoint and returns; an
    interrupted evaluation is made when the run resumes. All processes of *world* call this, and
    each can stop the run; the recipe, the reports and the files are those of the main process. The
    caller's random state and number of threads are restored. *clock* is where the run reads the
    time; `gpt.training.clock.replay` returns one that repeats a recorded run. With
    *estimate*, a run in one process first reports how much memory it takes, about.

    Raises ConfigError for a recipe that does not fit the existing run, DataError for data that does
    not fit, CheckpointError for a checkpoint that is damaged or cannot be written, and
    TrainingError if the device is out of memory or if the loss, a gradient or a weight is NaN or
    infinite (the last checkpoint is kept, and the batch is saved).
    """
    task = build_task(world.from_main(recipe))
    options: dict[str, Any] = {"world": world, "clock": clock, "estimate": estimate}
    return run(task, store=store, reporter=reporter, stop=stop, **options)


def run(
    task: Task,
    *,
    store: Store | None = None,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    world: World = ALONE,
    clock: Clock = MACHINE,
    estimate: bool = False,
) -> Outcome:
    """Train on *task*; arguments and errors are those of `train`."""
    recipe = task.recipe
    store = store or default_store(recipe)
    runtime = Runtime.choose(recipe.device, recipe.dtype)
    reporter = (reporter or default_reporter()) if world.is_main else NullReporter()
    cuda = [runtime.device] if runtime.device.type == "cuda" else []
    with store.hold(world), torch.random.fork_rng(devices=cuda), torch_threads(recipe.threads):
        prepared = _Run(task, store, runtime, reporter, stop, world, clock)
        if estimate and world.size == 1:
            report_memory(prepared.train_step, prepared.recipe, reporter.notice)
        return prepared.train()


class _Run:
    """A run in progress: its model, optimizer, data and state."""

    def __init__(
        self,
        task: Task,
        store: Store,
        runtime: Runtime,
        reporter: Reporter,
        stop: Callable[[], bool],
        world: World,
        clock: Clock,
    ) -> None:
        self.task, self.store, self.reporter, self.world = task, store, reporter, world
        self.clock, self.limits_changed = clock, False
        self.expected_seconds: float | None = None
        self.recipe = dataclasses.replace(task.recipe, out=store.folder)
        self.score = score_of(self.recipe.score)
        self.stop, self.stopping, self.evaluation_interrupted = stop, False, False
        self.model = task.model()
        if task.collector is not None:
            task.collector.notice = self.reporter.notice
            task.collector.watch = self._watch
        self.train_step = TrainStep(
            self.model, self.recipe, task.rows, runtime, world, task.objective, task.collector
        )
        self.state = State(
            config=self.model.config,
            recipe=self.recipe,
            step=0,
            seconds=0.0,
            fraction=0.0,
            fingerprint=task.fingerprint,
            train_tokens=task.train_tokens,
            replayed_tokens=task.replayed_tokens,
        )

    def train(self) -> Outcome:
        """Make the remaining steps."""
        self.model.train()
        if self.world.from_main(self.store.newest()) is not None:
            self._resume()
        else:
            # Nothing is saved before the first step: if stopped here, a run starts again.
            try:
                recipe, self.expected_seconds = choose_by_timing(
                    self.recipe, self.train_step, self._check_stop, self.reporter.notice
                )
                self.recipe, self.state = recipe, dataclasses.replace(self.state, recipe=recipe)
                if self.task.starts_from_checkpoint:
                    self._evaluate_first_model()
            except _Stopped:
                return Outcome(finished=False, state=self.state, checkpoint=None)
        recipe = self.recipe
        if recipe.compile:
            self.train_step.compile()
        remark = self.train_step.runtime.remark
        for text in (*announced(self.store, self.model, recipe), self.task.cost, remark):
            if text:
                self.reporter.notice(text)
        self.reporter.began(
            Start(
                recipe=recipe,
                folder=self.store.folder,
                runtime=self.train_step.runtime,
                processes=self.world.size,
                step=self.state.step,
                step_seconds=self.expected_seconds,
                borrow_model=None if is_sharded(self.model.parameters()) else self._borrow_model,
            )
        )
        metrics = self.store.open_metrics(keep=self.state.step, write=self.world.is_main)
        with closing(metrics) as self.metrics:
            self._start_pace()
            self._complete_interrupted_evaluation()
            while not self._is_finished() and not self._is_stopping():
                try:
                    row = self._evaluate_if_due(self._make_step())
                except _Stopped:  # while the rows of the step were made: it is made on resuming
                    break
                # Metrics before checkpoints: a killed run drops rows past its checkpoint, but
                # could not restore missing ones.
                self.metrics.append(row)
                self._report(row)
                if self._is_checkpoint_due():
                    self._write_checkpoint()
            folder = self._write_checkpoint() if self.state.step else None
        if self.state.has_reached_loss:
            self.reporter.notice(self.state.ending)
        if self.state.step:
            self.reporter.ended()
        finished = self._is_finished() and not self.evaluation_interrupted
        return Outcome(finished=finished, state=self.state, checkpoint=folder)

    def _is_finished(self) -> bool:
        """Return whether a limit was reached, or evaluations have run out of patience."""
        return self.state.is_over or self.state.is_out_of_patience

    def _is_checkpoint_due(self) -> bool:
        """Return whether the step has a checkpoint: at intervals, and if it is the best so far.

        The first one records what was measured and planned for a time, which a run that starts
        again would choose differently.
        """
        step, best = self.state.step, self.state.best_step
        first = None if self.pace.limits.seconds is None else 1
        return step % self.recipe.checkpoint_every == 0 or step in (best, first)

    def _is_stopping(self) -> bool:
        """Return whether any process was asked to stop, now or before."""
        self.stopping = self.stopping or self.world.any(self.stop())
        return self.stopping

    def _check_stop(self, *progress: int) -> None:
        """Raise _Stopped if any process was asked to stop; a `Progress`."""
        if self._is_stopping():
            raise _Stopped

    def _watch(self, stage: str, done: int, total: int) -> None:
        """Report the progress of the collector; raise _Stopped if asked to stop."""
        self.reporter.progress(stage, done, total)
        self._check_stop()

    def _make_step(self) -> Row:
        """Make an optimizer step and return its row of the metrics."""
        step = self.state.step
        fraction = self.pace.fraction(step, self.state.seconds)
        if self.pace.limits.seconds is not None:
            fraction = self.world.from_main(fraction)
        start = self.clock.now()
        try:
            result = self.train_step.update(step, fraction)
        except NotFinite:
            self._raise_divergence(step)
        except DataError:  # a reward that cannot be computed: the steps before are worth keeping
            if step:
                self._write_checkpoint()
            raise
        duration = self.clock.now() - start
        seconds = self.pace.seconds_after(step, self.state.seconds, duration)
        self.state = dataclasses.replace(
            self.state.with_loss(result.loss), step=step + 1, seconds=seconds, fraction=fraction
        )
        tokens, size = self.task.seen((step + 1) * self.recipe.rows_per_step)
        return Row(
            step=step + 1,
            tokens=tokens,
            bytes=size,
            seconds=seconds,
            loss=result.loss,
            lr=result.lr,
            fraction=fraction,
            gradient_norm=result.gradient_norm,
            figures=dict(result.figures) or None,
        )

    def _start_pace(self) -> None:
        """Continue where the run is; steps that a kill has lost are repeated as recorded."""
        if self.limits_changed or self.state.step == 0:
            self.metrics.forget_lost()
        self.pace = Pace(
            Limits.of(self.recipe),
            fraction=self.state.fraction or 0.0,
            expected=self.expected_seconds,
            made=self.metrics.recent,
            recorded=[*self.clock.record, *self.metrics.lost],
        )

    def _report(self, row: Row) -> None:
        """Report *row* with the number of steps that the run will have, about."""
        self.reporter.row(row, self.pace.steps_expected(row.step, row.seconds))

    def _complete_interrupted_evaluation(self) -> None:
        """Evaluate now if the run was stopped during the evaluation of its last step."""
        row = self.world.from_main(self.metrics.last)
        if row is not None and row.step == self.state.step and row.val is None:
            row = self._evaluate_if_due(row)
            if row.val is not None:
                # The checkpoint first: once the metrics have the figure, this is not repeated.
                self._write_checkpoint()
                self.metrics.replace_last(row)
                self._report(row)

    def _evaluate_first_model(self) -> None:
        """Evaluate the model before the first step; with patience, it is the best so far."""
        figures = self._evaluate()
        if figures is None:
            return
        value = self.score.value(figures)
        self.state = dataclasses.replace(self.state, first_score=value)
        text = f"{value:.4f} {self.score.short}"
        self.reporter.notice(f"validation before the first step: {text}")
        if self.recipe.patience is not None:
            self._keep_if_best(value, 0)

    def _evaluate_if_due(self, row: Row) -> Row:
        """Return *row* with the figures of an evaluation, if one is due after its step."""
        if not (self.state.is_over or row.step % self.recipe.eval_every == 0):
            return row
        try:
            figures = self._evaluate()
        except _Stopped:
            self.evaluation_interrupted = True
            return row
        except DataError:  # as in a step; the evaluation is made when the run resumes
            if self.metrics.last is None or self.metrics.last.step < row.step:
                self.metrics.append(row)
            self._write_checkpoint()
            raise
        if figures is None:
            return row
        value = self.score.value(figures)
        self._keep_if_best(value, row.step)
        self.state = dataclasses.replace(self.state, score=value)
        return dataclasses.replace(row, val=figures)

    def _evaluate(self) -> Figures | None:
        """Evaluate the model with averaged weights and merged adapters; raises _Stopped."""
        with averaged(self.model, self.train_step.optimizer), merged(self.model):
            return self.task.measure(
                self.model, self.train_step.runtime, self._check_stop, self.world
            )

    def _keep_if_best(self, value: float, step: int) -> None:
        """Record the score of *step* if it is the best so far; with patience, keep the weights."""
        if self.score.is_better(value, self.state.best_score):
            self.state = dataclasses.replace(self.state, best_score=value, best_step=step)
            if self.recipe.patience is not None:
                keep_best(self.model, self.train_step.optimizer)

    @contextmanager
    def _borrow_model(self) -> Iterator[Model]:
        """Yield the model as it is evaluated; afterwards it is ready for the next step."""
        with averaged(self.model, self.train_step.optimizer), merged(self.model):
            self.model.eval()
            try:
                yield self.model
            finally:
                self.model.train()

    def _write_checkpoint(self) -> Path | None:
        """Write a checkpoint, unless the last step produced non-finite values."""
        if first_non_finite(self.model, self.train_step.optimizer) is not None:
            self._raise_divergence(self.state.step - 1)
        self.metrics.sync()
        collector = self.task.collector
        collected = {} if collector is None else {COLLECTED: collector.save()}
        files = {**self.task.data_files, **collected}
        return self.store.write(
            self.model, self.train_step.optimizer, self.state, files, self.world
        )

    def _resume(self) -> None:
        """Restore the newest checkpoint of the store."""
        checkpoint = self.store.read()
        saved = dataclasses.replace(checkpoint.state, merged_into_original=False)
        dtype, self.recipe = self.recipe.dtype, keep_choices(self.recipe, saved)
        if dtype != self.recipe.dtype:
            self.train_step.compute_in(Runtime.choose(self.recipe.device, self.recipe.dtype))
        check_fits(saved, dataclasses.replace(self.state, recipe=self.recipe))
        with fitting_in_memory(*WEIGHTS):
            checkpoint.restore(self.model, self.train_step.optimizer)
        if self.task.collector is not None:
            self.task.collector.restore(checkpoint.collected)
        self.reporter.notice(f"resuming {self.store} at step {saved.step}")
        before, limits, fraction = Limits.of(saved.recipe), Limits.of(self.recipe), saved.fraction
        self.limits_changed = fraction is not None and limits != before
        if self.limits_changed or before.steps != limits.steps:
            self.reporter.notice(
                f"{before} -> {limits}: the learning rate follows the new schedule from here"
            )
        if fraction is None or self.limits_changed:
            fraction = limits.fraction(saved.step, saved.seconds)
        self.state = dataclasses.replace(saved, recipe=self.recipe, fraction=fraction)

    def _raise_divergence(self, step: int) -> NoReturn:
        """Raise the error of a run that diverged at *step* (from 0)."""
        # Computed again, since clipping by a non-finite norm makes all gradients non-finite.
        self.train_step.optimizer.zero_grad(set_to_none=True)
        loss = self.train_step.gradients(step)
        raise divergence_error(
            self.store,
            step + 1,
            list(self.train_step.batches(step, range(self.recipe.rows_per_step)).values()),
            self.model,
            self.train_step.optimizer,
            loss=loss,
            world=self.world,
        )
