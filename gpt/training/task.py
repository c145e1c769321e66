"""`Task`: data, evaluation and first model of a run; all else is in the loop.

Runs differ in nothing but their recipes and tasks. Pretraining's is here, those of fine-tuning are
in `gpt.training.finetune_tasks`, and the table from spec to task is in `gpt.training.tasks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from gpt.data.batch import Rows
from gpt.data.shards import (
    Tokens,
    TrainingRows,
    check_ids,
    open_bpe_dropout,
    open_data,
    open_split,
)
from gpt.evaluation.bits_per_byte import Evaluation, evaluate
from gpt.evaluation.score import Figures
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World
from gpt.runs.writing import read_data_files
from gpt.spec.architecture import GPTConfig
from gpt.spec.recipe import Recipe
from pytok.counted import counted
from pytok.shards import Shards

Progress: TypeAlias = Callable[[int, int], object]
"""Called with (tokens predicted, all tokens); raises an exception to end the evaluation."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run trains on, the model that it starts from, and how it is evaluated."""

    recipe: Recipe
    """The recipe of the run."""
    fingerprint: str
    """Fingerprint of the tokenizer."""
    train_tokens: int
    """Tokens of the training data; a run resumes only on data of the same length."""
    data_files: Mapping[str, bytes]
    """Files to store in each checkpoint, as `gpt.runs.writing.read_data_files` returns."""
    rows: Rows
    """The training rows."""
    seen: Callable[[int], tuple[int, int]]
    """Returns the tokens predicted in so many rows, and their bytes at the mean."""
    evaluate: Callable[..., Evaluation] | None
    """Evaluates a model on held-out data; None without such data. See `measure`."""
    model: Callable[[], GPT]
    """Builds the first model, on the CPU; parameters that require gradients are trained."""
    starts_from_checkpoint: bool
    """Whether the first model is trained already, so that it may be the best of the run."""
    summary: str
    """The data in one line."""

    def measure(
        self,
        model: GPT,
        runtime: Runtime,
        progress: Progress | None = None,
        world: World = ALONE,
    ) -> Figures | None:
        """Return the figures of *model* on the held-out data; None without such data."""
        if self.evaluate is None:
            return None
        return self.evaluate(model, runtime=runtime, progress=progress, world=world).figures


def pretraining(recipe: Recipe) -> Task:
    """Return the task of training a new model on token shards.

    Raises DataError if the data of *recipe* does not fit.
    """
    shards = open_data(recipe.data)
    config = GPTConfig.over(recipe.model, shards.vocab_size)
    return text_task(
        recipe,
        shards,
        config,
        model=lambda: GPT(config, recipe.seed),
        data_files=read_data_files(shards.folder),
        starts_from_checkpoint=False,
    )


def text_task(
    recipe: Recipe,
    shards: Shards,
    config: GPTConfig,
    *,
    model: Callable[[], GPT],
    data_files: Mapping[str, bytes],
    starts_from_checkpoint: bool,
    length: int | None = None,
) -> Task:
    """Return the task of training *model*, of *config*, on the tokens of *shards*.

    Rows have *length* tokens, by default the context. It is evaluated on the complete validation
    split.
    """
    length = length or config.context
    check_ids(shards)
    train = open_split(shards, "train")
    held_out = open_split(shards, "val") if "val" in shards.splits else None
    return Task(
        recipe=recipe,
        fingerprint=shards.fingerprint,
        train_tokens=len(train),
        data_files=data_files,
        rows=training_rows(recipe, shards, length),
        seen=lambda rows: _seen(rows * length, train),
        evaluate=None
        if held_out is None
        else partial(
            evaluate,
            split=held_out,
            rows=recipe.batch_size,
            document_mask=recipe.document_mask,
            context=length,
        ),
        model=model,
        starts_from_checkpoint=starts_from_checkpoint,
        summary=f"{counted(len(train), 'token')} of text, all trained on",
    )


def training_rows(recipe: Recipe, shards: Shards, length: int) -> TrainingRows:
    """Return the training rows of *shards*, of *length* tokens each."""
    return TrainingRows(
        open_split(shards, "train"),
        context=length,
        vocab_size=shards.vocab_size,
        seed=recipe.seed,
        document_mask=recipe.document_mask,
        bpe_dropout=open_bpe_dropout(shards, recipe.bpe_dropout) if recipe.bpe_dropout else None,
    )


def _seen(tokens: int, split: Tokens) -> tuple[int, int]:
    """Return *tokens* and their bytes, at the mean of *split*."""
    return tokens, round(tokens * split.bytes / len(split))
