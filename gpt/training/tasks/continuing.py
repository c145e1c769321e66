"""The task of continued pretraining: token shards of the tokenizer of the base, or an extension."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpt.data.shards import open_data, open_split
from gpt.errors import ConfigError, DataError
from gpt.runs.reading import Checkpoint
from gpt.runs.writing import read_data_files
from gpt.spec.recipe import Recipe
from gpt.spec.task import Tuning
from gpt.training.tasks.distillation import with_teachers
from gpt.training.tasks.pretraining import config_of, text_task, training_rows
from gpt.training.tasks.replay import with_replay, with_replayed
from gpt.training.tasks.starting import STEP_TOKENS, Layout, starting_model
from gpt.training.tasks.task import Task
from pytok.counted import counted
from pytok.errors import PytokError
from pytok.extension import spelling
from pytok.shards import Shards
from pytok.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class ShardData:
    """Token shards of the tokenizer of *base*, or of one that extends it."""

    base: Checkpoint
    shards: Shards
    spelling: Mapping[int, Sequence[int]]
    """New ids, each with those of the base that spell the same text."""

    @classmethod
    def open(cls, folder: Path, base: Checkpoint) -> ShardData:
        """Open the shards in *folder*; raises DataError if they do not fit *base*."""
        shards = open_data(folder)
        if shards.fingerprint == base.state.fingerprint:
            return cls(base=base, shards=shards, spelling={})
        try:
            extended = Tokenizer.load(shards.folder / "tokenizer.json")
            new = spelling(extended, base.tokenizer())
        except PytokError as error:
            raise DataError(
                f"{folder} was written with the tokenizer {shards.fingerprint[:12]}, which is "
                f"neither that of {base.folder}, {base.state.fingerprint[:12]}, nor extends it "
                f"({error}); use its tokenizer.json, or shard the text again"
            ) from error
        return cls(base=base, shards=shards, spelling=new)

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
        rows = with_replayed(rows, task.replay)
        row_length = None if length == context else length
        return Layout(dataclasses.replace(task, row_length=row_length), rows, length)

    def task(self, recipe: Recipe) -> Task:
        """Return the task of continued pretraining on all rows of the shards."""
        spec, base = recipe.task, self.base
        assert isinstance(spec, Tuning)
        vocab_size = max(base.state.config.vocab_size, self.shards.vocab_size)
        config = config_of(recipe, vocab_size)
        task = text_task(
            recipe,
            self.shards,
            config,
            model=lambda: starting_model(base, recipe, vocab_size, self.spelling, spec.new_rows),
            data_files={**base.data_files, **read_data_files(recipe.data)},
            starts_from_checkpoint=True,
            length=spec.row_length,
        )
        if self.spelling:
            new = counted(len(self.spelling), "new token")
            task = dataclasses.replace(task, summary=f"{task.summary}; {new}")
        length = spec.row_length or config.context
        return with_teachers(with_replay(task, base, length), config, length)
