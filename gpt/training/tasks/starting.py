"""What the tasks that start from a trained model have in common: data, spec, and first model."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from gpt.adapt.wrapping import adapt, train_rows
from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.model.vocabulary import grow_vocabulary, token_tables
from gpt.runs.reading import Checkpoint
from gpt.spec.recipe import Recipe
from gpt.spec.task import AnyTuning, FromBase
from gpt.training.tasks.pretraining import config_of
from gpt.training.tasks.task import Task

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


def starting_model(base: Checkpoint, recipe: Recipe, vocab_size: int) -> GPT:
    """Build the model before the first step; only what is trained requires gradients."""
    before, adapter = base.state.config.vocab_size, base_of(recipe).adapter
    model = grow_vocabulary(base.model(), config_of(recipe, vocab_size), recipe.seed)
    if adapter is not None:
        model.requires_grad_(False)
        if vocab_size > before:
            train_rows(model, token_tables(model), before, vocab_size)
        adapt(model, adapter, recipe.seed)
    return model
