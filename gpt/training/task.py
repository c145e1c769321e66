"""`Task`: the data, the first model and the evaluation of a run; all else is in the loop.

Pretraining and fine-tuning differ in nothing but their tasks. `Pretraining` is here, and the tasks
of fine-tuning are in `gpt.training.finetune_tasks`.
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
"""Called with (tokens predicted, all tokens); raises an exception to end the evaluation."""


class Task(Protocol):
    """What a run trains on, the model that it starts from, and how it is evaluated."""

    @property
    def recipe(self) -> Recipe:
        """The recipe of the run."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the tokenizer."""

    @property
    def train_tokens(self) -> int:
        """Tokens of the training data; a run resumes only on data of the same length."""

    @property
    def data_files(self) -> Mapping[str, bytes]:
        """Files to store in each checkpoint, as `gpt.runs.writing.read_data_files` returns."""

    @property
    def rows(self) -> Rows:
        """The training rows."""

    @property
    def starts_from_checkpoint(self) -> bool:
        """Whether the first model is trained already, so that it may be the best of the run."""

    def model(self) -> GPT:
        """Build the first model, on the CPU; parameters that require gradients are trained."""

    def seen(self, rows: int) -> tuple[int, int]:
        """Return the number of tokens predicted in *rows* rows, and their bytes at the mean."""

    def measure(
        self,
        model: GPT,
        runtime: Runtime,
        progress: Progress | None = None,
        world: World = ALONE,
    ) -> Evaluation | None:
        """Evaluate *model* on held-out data; return None without such data."""


class Pretraining:
    """Training a new model on token shards."""

    starts_from_checkpoint = False

    def __init__(self, recipe: Recipe) -> None:
        """Open the data of *recipe*; raises DataError if it does not fit."""
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
        """Build a new model."""
        return GPT(self._config, self.recipe.seed)

    def seen(self, rows: int) -> tuple[int, int]:
        """Return one context of tokens per row, and their bytes at the mean of the split."""
        tokens = rows * self._config.context
        return tokens, round(tokens * self._train.bytes / len(self._train))

    def measure(
        self,
        model: GPT,
        runtime: Runtime,
        progress: Progress | None = None,
        world: World = ALONE,
    ) -> Evaluation | None:
        """Evaluate *model* on the complete validation split."""
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
