"""The task of continued pretraining: token shards of the base's tokenizer."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from gpt.data.shards import open_data, open_split
from gpt.errors import ConfigError
from gpt.runs.reading import Checkpoint
from gpt.runs.writing import read_data_files
from gpt.spec.recipe import Recipe
from gpt.spec.task import Tuning
from gpt.training.tasks.pretraining import config_of, text_task, training_rows
from gpt.training.tasks.starting import STEP_TOKENS, Layout, starting_model
from gpt.training.tasks.task import Task
from pytok.shards import Shards


@dataclass(frozen=True, kw_only=True)
class ShardData:
    """Token shards of the tokenizer of *base*."""

    base: Checkpoint
    shards: Shards

    @classmethod
    def open(cls, folder: Path, base: Checkpoint) -> ShardData:
        """Open the shards in *folder*; raises DataError if they do not fit *base*."""
        return cls(base=base, shards=open_data(folder, fingerprint=base.state.fingerprint))

    def layout(self, recipe: Recipe, chosen: frozenset[str]) -> Layout:
        """Choose rows of a context, but at most `STEP_TOKENS` tokens and half the text."""
        task = recipe.task
        assert isinstance(task, Tuning)
        if "train_on" in chosen:
            raise ConfigError(
                f"{self.shards.folder} is not a chat; remove train_on={task.train_on} "
                "(--train-on): it chooses the turns of a chat, and all of a text is trained on"
            )
        context, size = self.base.config.context, len(open_split(self.shards, "train"))
        length = task.row_length or min(context, STEP_TOKENS, max(2, (size - 1) // 2))
        rows = training_rows(recipe, self.shards, length).per_epoch
        row_length = None if length == context else length
        return Layout(dataclasses.replace(task, row_length=row_length), rows, length)

    def task(self, recipe: Recipe) -> Task:
        """Return the task of continued pretraining on all rows of the shards."""
        assert isinstance(recipe.task, Tuning)
        return text_task(
            recipe,
            self.shards,
            config_of(recipe, self.shards.vocab_size),
            model=lambda: starting_model(self.base, recipe, self.base.state.config.vocab_size),
            data_files={**self.base.data_files, **read_data_files(recipe.data)},
            starts_from_checkpoint=True,
            length=recipe.task.row_length,
        )
