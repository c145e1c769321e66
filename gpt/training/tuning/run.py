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
from gpt.errors import ConfigError, DataError
from gpt.evaluation.bits_per_byte import Evaluation, evaluate
from gpt.evaluation.score import Score, score_of
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World
from gpt.report.events import NullReporter, Reporter
from gpt.runs.reading import Checkpoint
from gpt.runs.state import State
from gpt.runs.store import Store, default_store
from gpt.spec.recipe import Recipe
from gpt.spec.score import BitsPerByte
from gpt.spec.task import Tuning
from gpt.training.loop import run
from gpt.training.outcome import Outcome
from gpt.training.tasks.starting import base_of
from gpt.training.tuning.merging import Merging, merge
from gpt.training.tuning.planning import TuningPlan
from pytok.atomic import replace_file

TUNING_FILE = "tuning.json"
"""The figures of `Tuned`, in the folder of a finished run."""
MERGING = "merging"
"""Field of that file: a `gpt.training.tuning.merging.Merging`, or null."""


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
    """On the validation split of the base's data, by `forgetting_score`: how much of it the model
    has forgotten."""
    merging: Merging | None = None
    """What merging adapters into a quantized base loses. None without a validation split."""


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
    if base_of(plan.recipe).merge_aware and task.evaluate is None:
        raise ConfigError(
            "task.merge_aware compares models on a validation split, and the data has none; hold "
            "some out, or remove it"
        )
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
    merging = None
    if val is not None and base_of(saved).quantize is not None:
        merging = _recorded(store) or merge(
            store,
            base.weights,
            model,
            score=score,
            trained=_final_score(outcome.state),
            dequantized=val.after,
            measure=lambda model: score.value(task.measure(model, runtime) or {}),
        )
        val = dataclasses.replace(val, after=merging.kept_score)
    if measure_base_data is not None:
        before, after = (
            forgetting_score(saved).value(measure_base_data(each, runtime=runtime).figures)
            for each in (base.model(runtime.device), model)
        )
        on_base_data = Change(before=before, after=after)
    tuned = Tuned(outcome=outcome, val=val, base=on_base_data, merging=merging)
    summary = {
        "step": outcome.state.step,
        "best_step": outcome.state.best_step,
        "score": score.name,
        "val": val and dataclasses.asdict(val),
        "base": on_base_data and dataclasses.asdict(on_base_data),
        MERGING: merging and dataclasses.asdict(merging),
    }
    if store.folder is not None:
        document = json.dumps(summary, indent=2) + "\n"
        replace_file(store.folder / TUNING_FILE, document.encode())
    return tuned


def forgetting_score(recipe: Recipe) -> Score:
    """Return the score of *recipe* if it is one of texts, otherwise bits per byte."""
    return score_of(recipe.score if isinstance(recipe.score, Tuning.SCORES) else BitsPerByte())


def _final_score(state: State) -> float:
    """Return the score of the weights that the run ends with, before they are merged."""
    value = state.score if state.recipe.patience is None else state.best_score
    assert value is not None  # as the run has been evaluated
    return value


def _recorded(store: Store) -> Merging | None:
    """Return what was measured if the run has the merged model of `FromBase.merge_aware` already.

    It is then not what was trained, so it cannot be measured again.
    """
    if store.folder is None or not store.read().state.merged_into_original:
        return None
    fields = json.loads((store.folder / TUNING_FILE).read_text(encoding="utf-8"))
    return Merging(**fields[MERGING])


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
