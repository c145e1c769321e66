"""Tuning: a run that starts from the model of another run, on a chat or on more text.

::

    plan = plan_tuning(Path("runs/base"), data=Path("data"), out=Path("runs/tuned"))
    tuned = tune(plan.replace(patience=5))  # the same call resumes; stop= and reporter= as in train
    tuned.outcome.finished                  # False if stop() ended the run early
    tuned.val, tuned.base                   # the score before and after, if measured

The run is like any other: its checkpoints are complete models.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gpt.data.shards import open_data, open_split
from gpt.errors import DataError
from gpt.evaluation.bits_per_byte import Evaluation, evaluate
from gpt.evaluation.score import score_of
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World
from gpt.report.events import NullReporter, Reporter
from gpt.runs.reading import Checkpoint
from gpt.runs.store import Store
from gpt.spec.recipe import Recipe
from gpt.training.loop import default_store, run
from gpt.training.outcome import Outcome
from gpt.training.tuning.planning import TuningPlan
from pytok.atomic import replace_file

TUNING_FILE = "tuning.json"
"""The figures of `Tuned`, in the folder of a finished run."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Score (`Recipe.score`) of the base and of the tuned model on the same data."""

    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """Result of a call of `tune`."""

    outcome: Outcome
    val: Change | None = None
    """On the data's validation split. None without one, and until the run is finished."""
    base: Change | None = None
    """On the validation split of the base's data: how much of it the model has forgotten."""


def tune(
    plan: TuningPlan | Recipe,
    *,
    store: Store | None = None,
    base_data: Path | None = None,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    world: World = ALONE,
    estimate: bool = False,
) -> Tuned:
    """Fine-tune by *plan*, or resume, then compare the model with the base.

    All processes of *world* call this with the same plan; the main one compares.

    With *patience* the result is the model of the best evaluation, and the first evaluation is of
    the base, before the first step: if no step is better, the run ends with the base's weights, and
    `State.best_step` is 0.

    *base_data* are token shards whose validation split measures what the model has forgotten;
    default: the shards that the base was trained on, if they still exist. For the other arguments
    and the errors see `gpt.training.loop.train`.
    """
    reporter = reporter or NullReporter()
    if not isinstance(plan, TuningPlan):
        plan = TuningPlan.open(plan)
    store = store or default_store(plan.recipe)
    base, task, score = plan.base, plan.task(), score_of(plan.recipe.score)
    measure_base_data = _base_measure(base, base_data, reporter)
    reporter.notice(task.summary)
    outcome = run(task, store=store, reporter=reporter, stop=stop, world=world, estimate=estimate)
    if not outcome.finished or not world.is_main:
        return Tuned(outcome=outcome)
    saved = outcome.state.recipe
    runtime = Runtime.choose(saved.device, saved.dtype)
    model = store.read().model(runtime.device)
    val = on_base_data = None
    if (first := outcome.state.first_score) is not None and (
        figures := task.measure(model, runtime)
    ):
        val = Change(before=first, after=score.value(figures))
    if measure_base_data is not None:
        before, after = (
            score.value(measure_base_data(each, runtime=runtime).figures)
            for each in (base.model(runtime.device), model)
        )
        on_base_data = Change(before=before, after=after)
    tuned = Tuned(outcome=outcome, val=val, base=on_base_data)
    summary = {
        "step": outcome.state.step,
        "best_step": outcome.state.best_step,
        "score": score.name,
        "val": val and dataclasses.asdict(val),
        "base": on_base_data and dataclasses.asdict(on_base_data),
    }
    if store.folder is not None:
        document = json.dumps(summary, indent=2) + "\n"
        replace_file(store.folder / TUNING_FILE, document.encode())
    return tuned


def _base_measure(
    base: Checkpoint, data: Path | None, reporter: Reporter
) -> Callable[..., Evaluation] | None:
    """Return a measurement on the validation split of the base's data, or of *data*.

    Without *data*, if the base's own is missing, print a notice and return None. Raises DataError
    if *data* does not fit.
    """
    folder = data or base.state.recipe.data
    try:
        split = open_split(open_data(folder, fingerprint=base.state.fingerprint), "val")
    except DataError as error:
        if data is not None:
            raise
        reporter.notice(
            f"forgetting is not measured: the base's training data is missing ({error}); pass it "
            "with --base-data"
        )
        return None
    return partial(evaluate, split=split, document_mask=base.state.recipe.document_mask)
