"""What a run is about: `Task`, all in which pretraining and tuning differ; the loop is the same.

A task supplies the model before the first step, in which only what requires gradients is trained;
the rows that it learns; and what is measured. `Pretraining` is the one that begins with nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from gpt.data.batch import Rows
from gpt.data.shards import TrainingRows, open_bpe_dropout, open_data, open_split
from gpt.evaluation.bits_per_byte import Evaluation, evaluate
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World
from gpt.runs.writing import read_data_files
from gpt.spec.architecture import GPTConfig
from gpt.spec.recipe import Recipe

Progress: TypeAlias = Callable[[int, int], object]
"""Told how many tokens have been predicted, and of how many; what it raises ends the evaluation."""


class Task(Protocol):
    """What a run learns, and from what it sets out."""

    @property
    def recipe(self) -> Recipe:
        """The run."""

    @property
    def fingerprint(self) -> str:
        """Of the tokenizer."""

    @property
    def train_tokens(self) -> int:
        """Tokens of the data learnt from: a run goes on with data of the same number only."""

    @property
    def data_files(self) -> Mapping[str, bytes]:
        """Files that a checkpoint carries along: `gpt.runs.writing.read_data_files`."""

    @property
    def rows(self) -> Rows:
        """What is learnt from."""

    @property
    def starts_from_checkpoint(self) -> bool:
        """Whether the model before the first step has learnt, and may be the best of the run."""

    def model(self) -> GPT:
        """Make the model as it is before the first step, on the CPU."""

    def seen(self, rows: int) -> tuple[int, int]:
        """How many tokens were predicted in the first *rows* rows, and bytes, at the mean."""

    def measure(
        self,
        model: GPT,
        runtime: Runtime,
        progress: Progress | None = None,
        world: World = ALONE,
    ) -> Evaluation | None:
        """Evaluate *model* on what was held out; None where nothing was."""


class Pretraining:
    """A new model learns token shards."""

    starts_from_checkpoint = False

    def __init__(self, recipe: Recipe) -> None:
        """Open the data of *recipe*; raises DataError where it does not fit."""
        shards = open_data(recipe.data)
        self.recipe = recipe
        self.fingerprint = shards.fingerprint
        self.data_files = read_data_files(shards.folder)
        self._config = GPTConfig.over(recipe.model, shards.vocab_size)
        self._train = open_split(shards, "train")
        self._val = open_split(shards, "val") if "val" in shards.splits else None
        self.train_tokens = len(self._train)
        self.rows = TrainingRows(
            self._train,
            context=self._config.context,
            vocab_size=self._config.vocab_size,
            seed=recipe.seed,
            document_mask=recipe.document_mask,
            bpe_dropout=open_bpe_dropout(shards, recipe.bpe_dropout)
            if recipe.bpe_dropout
            else None,
        )

    def model(self) -> GPT:
        """Make a new model."""
        return GPT(self._config, self.recipe.seed)

    def seen(self, rows: int) -> tuple[int, int]:
        """Count a context of tokens a row, of the split's mean length."""
        tokens = rows * self._config.context
        return tokens, round(tokens * self._train.bytes / len(self._train))

    def measure(
        self,
        model: GPT,
        runtime: Runtime,
        progress: Progress | None = None,
        world: World = ALONE,
    ) -> Evaluation | None:
        """Evaluate *model* on the whole validation split."""
        if self._val is None:
            return None
        return evaluate(
            model,
            self._val,
            runtime=runtime,
            rows=self.recipe.batch_size,
            document_mask=self.recipe.document_mask,
            world=world,
            progress=progress,
        )
