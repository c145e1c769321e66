"""Fine-tuning: a run that starts from the model of another run, on a chat or on more text.

::

    plan = plan_tuning(Path("runs/base"), data=Path("data"), out=Path("runs/tuned"))
    tuned = tune(plan.replace(patience=5))  # the same call resumes; stop= and reporter= as in train
    tuned.outcome.finished                  # False if stop() ended the run early
    tuned.val, tuned.base                   # the score before and after, if measured

The data is a chat (chat.json, train.jsonl, val.jsonl, as `pytok chat build` writes them), rendered
with the base's tokenizer and the special tokens that it lacks; or token shards written with the
base's tokenizer. The run is like any other: its checkpoints are complete models.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gpt.data.conversations import Conversations
from gpt.data.shards import open_data, open_split
from gpt.errors import ConfigError, DataError
from gpt.evaluation.bits_per_byte import Evaluation, evaluate
from gpt.evaluation.score import score_of
from gpt.parallel.runtime import Runtime
from gpt.report.events import NullReporter, Reporter
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.runs.store import Store
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.architecture import Architecture
from gpt.spec.dropout import Dropout
from gpt.spec.optimizer import AdamW
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Cosine
from gpt.spec.task import Tuning
from gpt.training.finetune_tasks import RenderedChat, open_chat, open_tuning, spec_of, tuning
from gpt.training.loop import Outcome, default_store, run
from gpt.training.task import Task, training_rows
from pytok.atomic import replace_file
from pytok.chat.template import TrainOn

DEFAULT_ADAPTER = LoRA()
TUNING_FILE = "tuning.json"
"""The figures of `Tuned`, in the folder of a finished run."""
STEP_TOKENS = 1024
"""Most tokens in a step. On a chat of 100,000 tokens, two epochs of LoRA reached 2.5 bits per byte
with these, and 3.3 with four times as many."""
STEPS_PER_EPOCH = 32
"""Fewest optimizer steps per epoch: with fewer, a few epochs have too few steps to learn from."""


@dataclass(frozen=True, kw_only=True)
class TuningPlan:
    """A recipe with its base and its data open: neither is read again when the run starts."""

    recipe: Recipe
    base: Checkpoint
    chat: RenderedChat | None
    """The chat in ``recipe.data``. None for token shards."""

    @classmethod
    def open(cls, recipe: Recipe) -> TuningPlan:
        """Verify the base of *recipe* and render its chat; raises what `tune` raises for them."""
        base, chat = open_tuning(recipe)
        return cls(recipe=recipe, base=base, chat=chat)

    def replace(self, **changes: Any) -> TuningPlan:
        """Return the plan with these fields of the recipe changed."""
        return self.with_recipe(dataclasses.replace(self.recipe, **changes))

    def with_recipe(self, recipe: Recipe) -> TuningPlan:
        """Return the plan of *recipe*, opened again only if what is read from the disk differs."""
        ours, planned = spec_of(recipe), spec_of(self.recipe)
        if (ours.base, recipe.data, ours.train_on) == (
            planned.base,
            self.recipe.data,
            planned.train_on,
        ):
            return dataclasses.replace(self, recipe=recipe)
        return TuningPlan.open(recipe)

    def task(self) -> Task:
        """Return the task of the run."""
        return tuning(self.recipe, self.base, self.chat)


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


def plan_tuning(
    base: Path,
    *,
    data: Path,
    out: Path,
    adapter: LoRA | DoRA | None = DEFAULT_ADAPTER,
    train_on: TrainOn | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    row_length: int | None = None,
    seed: int = 0,
) -> TuningPlan:
    """Choose a complete recipe by the base, the kind of tuning and the size of the data.

    Default of *train_on*: "mine" if the chat says who is me, otherwise "all". Rows are as long as
    95% of the conversations; those of a text have the context, but at most `STEP_TOKENS`, and half
    the text. A step has up to `STEP_TOKENS` tokens, fewer if an epoch would have
    less than `STEPS_PER_EPOCH` steps; small data gets more epochs, until evaluations improve no
    more (`patience`). Learning rates fall with the width from 256 on, and are eight times as high
    for adapters (Schulman 2025, LoRA without regret: ten times). Raises what `tune` raises for
    *base* and *data*, and ConfigError for values out of range.
    """
    if epochs is not None and not 0 < epochs < math.inf:
        raise ConfigError(f"epochs must be above 0; got {epochs}")
    if row_length is not None and row_length < 2:
        raise ConfigError(f"row_length must be at least 2; got {row_length}")
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1; got {batch_size}")
    checkpoint = read_checkpoint(base)
    model = checkpoint.config
    architecture = Architecture(
        **{each.name: getattr(model, each.name) for each in dataclasses.fields(Architecture)}
    )
    task = Tuning(base=base, adapter=adapter)
    recipe = Recipe(data=data, out=out, task=task, model=architecture)
    chat = open_chat(data, checkpoint, train_on)
    if chat is not None:
        sizes = sorted(chat.train.sizes)
        # Rows that hold 95% of the conversations uncut: longer ones would be mostly padding.
        usual = sizes[len(sizes) * 19 // 20]
        length = row_length or min(model.context, max(64, 1 << (usual - 2).bit_length()))
        rows = len(Conversations(chat.train, length).rows)
        task = dataclasses.replace(task, train_on=chat.train_on, row_length=length)
    else:
        if train_on is not None:
            raise ConfigError(
                f"{data} is not a chat; remove train_on={train_on} (--train-on): it chooses the "
                "turns of a chat, and all of a text is trained on"
            )
        shards = open_data(data, fingerprint=checkpoint.state.fingerprint)
        size = len(open_split(shards, "train"))
        length = row_length or min(model.context, STEP_TOKENS, max(2, (size - 1) // 2))
        rows = training_rows(recipe, shards, length).per_epoch
        task = dataclasses.replace(task, row_length=None if length == model.context else length)
    tokens = rows * length
    epochs = epochs or (8 if tokens < 200_000 else 4 if tokens < 2_000_000 else 2)
    if batch_size is None:
        # The largest power of two within both limits.
        most = min(STEP_TOKENS // length, rows // STEPS_PER_EPOCH)
        batch_size = 1 << max(0, most.bit_length() - 1)
    steps = max(1, math.ceil(epochs * rows / batch_size))
    rate = 1e-3 * min(1.0, 256 / model.width) * (1 if adapter is None else 8)
    # Twice an epoch: overfitting can start within one.
    interval = max(1, steps // math.ceil(2 * epochs))
    recipe = dataclasses.replace(
        recipe,
        task=task,
        model=dataclasses.replace(
            architecture, dropout=Dropout(rate=0.1 if adapter is None else 0.0)
        ),
        steps=steps,
        batch_size=batch_size,
        optimizer=AdamW(
            lr=rate if lr is None else lr,
            weight_decay=0.01 if adapter is None else 0.0,
            betas=(0.9, 0.99),
        ),
        schedule=Cosine(floor=0.1),
        clip=1.0,
        seed=seed,
        eval_every=interval,
        checkpoint_every=interval,
        patience=3,
    )
    return TuningPlan(recipe=recipe, base=checkpoint, chat=chat)


def tune(
    plan: TuningPlan | Recipe,
    *,
    store: Store | None = None,
    base_data: Path | None = None,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Fine-tune by *plan*, or resume, then compare the model with the base.

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
    outcome = run(task, store=store, reporter=reporter, stop=stop)
    if not outcome.finished:
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
