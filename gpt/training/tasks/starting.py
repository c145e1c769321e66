"""What the tasks that start from a trained model have in common: data, spec, and first model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from gpt.adapt.weights import AdapterWeights, fill
from gpt.adapt.wrapping import adapt, train_rows, train_tables
from gpt.errors import ConfigError, DataError
from gpt.interop.adapters import OpenAdapter, open_adapter
from gpt.model.gpt import GPT
from gpt.model.vocabulary import NO_SPELLING, grow_vocabulary, token_tables
from gpt.nn.quantized.linear import quantize
from gpt.runs.adapters import with_adapter
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec.recipe import Recipe
from gpt.spec.task import AnyTuning, FromBase, NewRows
from gpt.training.tasks.pretraining import config_of
from gpt.training.tasks.task import Task
from pytok.chat.template import ChatTemplate

STEP_TOKENS = 1024
"""Most tokens in a step. On a chat of 100,000 tokens, two epochs of LoRA reached 2.5 bits per byte
with these, and 3.3 with four times as many."""


class Layout(NamedTuple):
    """How data is divided into rows, by which a run is planned."""

    task: AnyTuning
    """The spec of the task, with what follows from the data."""
    rows: int
    """Rows of an epoch."""
    length: int
    """Tokens of a row."""
    step_rows: int | None = None
    """Rows of a step. [default: by the two above]"""


class TuningData(Protocol):
    """The data of a run that starts from a base, read for this base: that can take a while."""

    def layout(self, recipe: Recipe, chosen: frozenset[str]) -> Layout:
        """Choose the fields of the task that follow from the data, except for those *chosen*."""

    def task(self, recipe: Recipe) -> Task:
        """Return the task of *recipe*, which names this data and this base."""


def base_of(recipe: Recipe) -> FromBase:
    """Return the task of *recipe*; raises ConfigError if it starts from no base."""
    if not isinstance(recipe.task, FromBase):
        raise ConfigError(
            f"the task of the recipe is {type(recipe.task).__name__}; to tune a model, set it to "
            "Tuning, with a base"
        )
    return recipe.task


@dataclass(frozen=True, kw_only=True)
class StartingPoint(Checkpoint):
    """A base with the tokens of the adapter that a run starts from."""

    initial: OpenAdapter
    tokens_before: int
    """Tokens of the base; the rows of the others are trained."""


def open_start(base: Path, initial_adapter: Path | None = None) -> Checkpoint:
    """Read the run *base* and the adapter to start from, if any; raises CheckpointError.

    Raises what `gpt.interop.adapters.open_adapter` raises.
    """
    checkpoint = read_checkpoint(base)
    if initial_adapter is None:
        return checkpoint
    opened = open_adapter(initial_adapter, checkpoint)
    rows = AdapterWeights(layers={}, rows=opened.weights.rows)
    grown = with_adapter(checkpoint, rows, opened.tokens)
    return StartingPoint(**vars(grown), initial=opened, tokens_before=checkpoint.config.vocab_size)


def required_template(base: Checkpoint, path: Path) -> ChatTemplate:
    """Return the chat template of *base*, which the messages of *path* need; DataError without."""
    template = base.chat_template()
    if template is None:
        raise DataError(
            f"{path}: lists of messages need a chat template, and {base.folder} has none; tune it "
            "on conversations first, or write prompts and completions as text"
        )
    return template


def starting_model(
    base: Checkpoint,
    recipe: Recipe,
    vocab_size: int,
    spelling: Mapping[int, Sequence[int]] = NO_SPELLING,
    new_rows: NewRows = "mean",
) -> GPT:
    """Build the model before the first step; only what is trained requires gradients.

    *spelling* and *new_rows* are those of `grow_vocabulary`.
    """
    before, spec = base.state.config.vocab_size, base_of(recipe)
    if isinstance(base, StartingPoint):
        before = base.tokens_before
    config = config_of(recipe, vocab_size)
    model = grow_vocabulary(base.model(), config, recipe.seed, spelling, new_rows)
    if spec.adapter is not None:
        model.requires_grad_(False)
        tables = token_tables(model)
        if spec.train_rows == "all":
            train_tables(model, tables)
        elif vocab_size > before:
            train_rows(model, tables, before, vocab_size)
        if spec.quantize is not None:
            quantize(model, spec.quantize)
        adapt(model, spec.adapter, recipe.seed)
        if isinstance(base, StartingPoint):
            initial = base.initial.weights
            fill(model, AdapterWeights(layers=initial.layers, axis=initial.axis))
    return model
