"""Tuning: a run that begins from the model of another, on a chat or on more text.

    recipe = plan_tuning(Path("runs/base"), data=Path("data"), out=Path("runs/tuned"))
    tuned = tune(recipe)         # the same again goes on; stop= and reporter= are those of train()
    tuned.outcome.finished           # False where stop said so
    tuned.val, tuned.base            # bits per byte before and after, where they could be measured

The data is a chat (chat.json, train.jsonl, val.jsonl, as `pytok chat build` writes them), rendered
with the base's own tokenizer and the special tokens that it lacks; or token shards that the base's
tokenizer has written. The run that comes out is one like any other: its checkpoints are whole
models. `tuning.json` in its folder has what `Tuned` says.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from gpt.adapt.wrapping import adapt, train_rows
from gpt.data.conversations import ConversationRows, Conversations
from gpt.data.shards import open_data, open_split
from gpt.errors import ConfigError, DataError
from gpt.evaluation.bits_per_byte import Evaluation, evaluate, evaluate_batches
from gpt.model.gpt import GPT
from gpt.model.growing import grow_vocabulary, token_tables
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World
from gpt.report.events import NullReporter, Reporter
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.runs.writing import read_data_files, tokenizer_document
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.optimizer import AdamW
from gpt.spec.recipe import TuningRecipe
from gpt.spec.schedule import Cosine
from gpt.training.loop import Outcome, run
from gpt.training.task import Pretraining, Progress
from pytok.atomic import replace_file
from pytok.chat.template import TEMPLATE_FILE, Template, TrainOn
from pytok.counted import counted

_LORA = LoRA()
STEP_TOKENS = 1024
"""Tokens of a step, at most. On a chat of 100,000 tokens four times as many left 3.3 bits per byte
after two epochs of LoRA where these left 2.5."""
STEPS_PER_EPOCH = 32
"""Fewer updates in a pass over the data are too few to learn it in some passes."""
TRAIN, VAL = "train.jsonl", "val.jsonl"
"""The conversations of a chat; there may be no second."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Bits per byte of a text, by the model before tuning and by the one that came of it."""

    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """How a call of `tune` ended."""

    outcome: Outcome
    val: Change | None = None
    """On what was held out of the data; None where nothing was, or the run is not finished."""
    base: Change | None = None
    """On what was held out when the base learnt: what tuning has made it forget."""


def plan_tuning(
    base: Path,
    *,
    data: Path,
    out: Path,
    adapter: LoRA | DoRA | None = _LORA,
    train_on: TrainOn | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int = 0,
) -> TuningRecipe:
    """Choose all of a recipe by the base, the kind of tuning and the size of the data.

    *learn* None: my turns where the chat says who is me, else all. Rows are as long as nearly all
    conversations; a step has up to `STEP_TOKENS` tokens, fewer where an epoch would have less than
    `STEPS_PER_EPOCH`; small data is seen more often, until it gets no better (`patience`). Rates
    fall with the width from 256 on, and are eight times as high for adapters (Schulman 2025, LoRA
    without regret, has ten). Raises what `tune` raises for *base* and *data*, and ConfigError for
    what cannot be had.
    """
    if epochs is not None and not 0 < epochs < math.inf:
        raise ConfigError(f"epochs must be above 0; got {epochs}")
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1; got {batch_size}")
    checkpoint = read_checkpoint(base)
    model = checkpoint.state.config
    architecture = Architecture(
        **{each.name: getattr(model, each.name) for each in dataclasses.fields(Architecture)}
    )
    recipe = TuningRecipe(base=base, data=data, out=out, adapter=adapter, model=architecture)
    if (data / TEMPLATE_FILE).exists():
        me = Template.load(data / TEMPLATE_FILE).me
        recipe = dataclasses.replace(recipe, train_on=train_on or ("all" if me is None else "mine"))
        sizes = sorted(ChatTuning(recipe, checkpoint).train.sizes)
        usual = sizes[len(sizes) * 19 // 20]
        length = min(model.context, max(64, 1 << (usual - 2).bit_length()))
        recipe = dataclasses.replace(recipe, row_length=length)
        rows = len(ChatTuning(recipe, checkpoint).train.rows)
    else:
        if train_on is not None:
            raise ConfigError(
                f"{data}: train_on={train_on} (--train-on) is of a chat's turns, and of text all is learnt; "
                "leave it away"
            )
        length, rows = model.context, TextTuning(recipe, checkpoint).rows.per_epoch
    tokens = rows * length
    epochs = epochs or (8 if tokens < 200_000 else 4 if tokens < 2_000_000 else 2)
    if batch_size is None:
        most = min(STEP_TOKENS // length, rows // STEPS_PER_EPOCH)
        batch_size = 1 << max(0, most.bit_length() - 1)
    steps = max(1, math.ceil(epochs * rows / batch_size))
    rate = 1e-3 * min(1.0, 256 / model.width) * (1 if adapter is None else 8)
    often = max(1, steps // math.ceil(2 * epochs))
    return dataclasses.replace(
        recipe,
        model=dataclasses.replace(architecture, dropout=0.1 if adapter is None else 0.0),
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
        eval_every=often,
        checkpoint_every=often,
        patience=3,
    )


def tune(
    recipe: TuningRecipe,
    *,
    base_data: Path | None = None,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Tune as *recipe* says, then compare the model with the one before.

    With *patience* the model is the best of all evaluations, of which the first is of the base,
    before the first step: where nothing is better the run ends with the base's weights, and
    `State.best_step` is 0.

    *base_data* are token shards whose validation split says what is forgotten; None: those that
    the base learnt from, if they are still there. All else is as in `gpt.training.loop.train`.
    """
    reporter = reporter or NullReporter()
    base = read_checkpoint(recipe.base)
    chat = (recipe.data / TEMPLATE_FILE).exists()
    task = ChatTuning(recipe, base) if chat else TextTuning(recipe, base)
    remembered = _base_measure(base, base_data, reporter)
    reporter.notice(task.described())
    outcome = run(task, reporter=reporter, stop=stop)
    if not outcome.finished:
        return Tuned(outcome=outcome)
    saved = outcome.state.recipe
    runtime = Runtime.choose(saved.device, saved.dtype)
    after = read_checkpoint(recipe.out).model(runtime.device)
    val = _change(outcome.state.first_val_bpb, task.measure(after, runtime))
    forgotten = None
    if remembered is not None:
        before = remembered(base.model(runtime.device), runtime)
        forgotten = _change(before.bits_per_byte, remembered(after, runtime))
    tuned = Tuned(outcome=outcome, val=val, base=forgotten)
    summary = {
        "step": outcome.state.step,
        "best_step": outcome.state.best_step,
        "val_bpb": val and dataclasses.asdict(val),
        "base_bpb": forgotten and dataclasses.asdict(forgotten),
    }
    replace_file(recipe.out / "tuning.json", (json.dumps(summary, indent=2) + "\n").encode())
    return tuned


class ChatTuning:
    """A model learns conversations; a task of `gpt.training.task`."""

    starts_from_checkpoint = True

    def __init__(self, recipe: TuningRecipe, base: Checkpoint) -> None:
        """Render the chat of *recipe*; raises DataError and ChatError where it does not fit."""
        if not (recipe.data / TRAIN).exists():
            raise DataError(f"{recipe.data / TRAIN}: not found; `pytok chat build` writes it")
        self.recipe = recipe
        self._base = base
        template = Template.load(recipe.data / TEMPLATE_FILE)
        tokenizer = template.extend(base.tokenizer())
        self.fingerprint = tokenizer.fingerprint
        self.data_files = {
            "tokenizer.json": tokenizer_document(tokenizer),
            TEMPLATE_FILE: template.to_json().encode(),
        }
        self._vocab_size = tokenizer.n_vocab
        self.train, self._val = (
            Conversations(
                recipe.data / name,
                template,
                tokenizer,
                train_on=recipe.train_on,
                length=recipe.row_length or recipe.model.context,
            )
            for name in (TRAIN, VAL)
        )
        self.train_tokens = len(self.train)
        self.rows = ConversationRows(self.train, recipe.seed)

    def described(self) -> str:
        """One line of what is learnt."""
        train, new = self.train, self._vocab_size - self._base.state.config.vocab_size
        return (
            f"{counted(len(train.sizes), 'conversation')}, {counted(len(train), 'token')}, "
            f"{train.num_targets:,} of them learnt, in {counted(len(train.rows), 'row')} of "
            f"{train.length}; {counted(new, 'new token')}"
        )

    def model(self) -> GPT:
        """Make the base's model with rows for new tokens, and adapters."""
        return _model(self._base, self.recipe, self._vocab_size)

    def seen(self, rows: int) -> tuple[int, int]:
        """Count what is learnt in a row, at the mean."""
        share = rows / len(self.train.rows)
        return round(share * self.train.num_targets), round(share * self.train.bytes)

    def measure(
        self,
        model: GPT,
        runtime: Runtime,
        progress: Progress | None = None,
        world: World = ALONE,
    ) -> Evaluation | None:
        """Evaluate *model* on the turns held out that would be learnt."""
        if not self._val.bytes:
            return None
        return evaluate_batches(
            model,
            self._val.batches(self.recipe.batch_size),
            targets=self._val.num_targets,
            bytes=self._val.bytes,
            runtime=runtime,
            world=world,
            progress=progress,
        )


class TextTuning(Pretraining):
    """A model goes on with text, all of it learnt; a task of `gpt.training.task`."""

    starts_from_checkpoint = True
    recipe: TuningRecipe

    def __init__(self, recipe: TuningRecipe, base: Checkpoint) -> None:
        """Open the shards of *recipe*; raises DataError where they do not fit."""
        open_data(recipe.data, fingerprint=base.state.fingerprint)
        super().__init__(recipe)
        self._base = base
        self.data_files = {**base.data_files, **read_data_files(recipe.data)}

    def described(self) -> str:
        """One line of what is learnt."""
        return f"{counted(self.train_tokens, 'token')} of text, all learnt"

    def model(self) -> GPT:
        """Make the base's model, with adapters."""
        return _model(self._base, self.recipe, self._base.state.config.vocab_size)


def _model(base: Checkpoint, recipe: TuningRecipe, vocab_size: int) -> GPT:
    before = base.state.config.vocab_size
    model = grow_vocabulary(base.model(), GPTConfig.over(recipe.model, vocab_size), recipe.seed)
    if recipe.adapter is not None:
        model.requires_grad_(False)
        if vocab_size > before:
            train_rows(model, token_tables(model), before, vocab_size)
        adapt(model, recipe.adapter, recipe.seed)
    return model


_Measure: TypeAlias = Callable[[GPT, Runtime], Evaluation]
"""Evaluates a model."""


def _base_measure(base: Checkpoint, data: Path | None, reporter: Reporter) -> _Measure | None:
    """Measure on what was held out when *base* learnt; None, said to *reporter*, if it is gone.

    Raises DataError where *data* was asked for and does not fit.
    """
    folder = data or base.state.recipe.data
    try:
        split = open_split(open_data(folder, fingerprint=base.state.fingerprint), "val")
    except DataError as error:
        if data is not None:
            raise
        reporter.notice(
            f"what is forgotten is not measured, since the base's own data is not at hand ({error})"
            "; --base-data names it"
        )
        return None
    apart = base.state.recipe.document_mask
    return lambda model, runtime: evaluate(model, split, runtime=runtime, document_mask=apart)


def _change(before: float | None, after: Evaluation | None) -> Change | None:
    if before is None or after is None:
        return None
    return Change(before=before, after=after.bits_per_byte)
