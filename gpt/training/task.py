"""`Task`: data, evaluation and first model of a run; all else is in the loop.

Runs differ in nothing but their recipes and tasks. Pretraining's is here, that of pairs is in
`gpt.training.pair_task`, those of fine-tuning are in `gpt.training.finetune_tasks`, and the table
from spec to task is in `gpt.training.tasks`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

from gpt.data.batch import Rows
from gpt.data.masking import MaskedRows, Masking, with_mask
from gpt.data.shards import (
    Tokens,
    TrainingRows,
    check_ids,
    open_bpe_dropout,
    open_data,
    open_split,
)
from gpt.evaluation.bits_per_byte import evaluate
from gpt.evaluation.masked import evaluate_masked
from gpt.evaluation.score import Figures
from gpt.model.gpt import GPT
from gpt.model.model import Model
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World
from gpt.runs.writing import read_data_files, tokenizer_files
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.objective import CrossEntropy, MaskedLM
from gpt.spec.recipe import Recipe
from pytok.counted import counted
from pytok.shards import Shards
from pytok.tokenizer import Tokenizer

Progress: TypeAlias = Callable[[int, int], object]
"""Called with (tokens predicted, all tokens); raises an exception to end the evaluation."""


class Measured(Protocol):
    """What an evaluation returns."""

    @property
    def figures(self) -> Figures:
        """Its figures by name."""


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
    evaluate: Callable[..., Measured] | None
    """Evaluates a model on held-out data; None without such data. See `measure`."""
    model: Callable[[], Model]
    """Builds the first model, on the CPU; parameters that require gradients are trained."""
    starts_from_checkpoint: bool
    """Whether the first model is trained already, so that it may be the best of the run."""
    summary: str
    """The data in one line."""

    def measure(
        self,
        model: Model,
        runtime: Runtime,
        progress: Progress | None = None,
        world: World = ALONE,
    ) -> Figures | None:
        """Return the figures of *model* on the held-out data; None without such data."""
        if self.evaluate is None:
            return None
        return self.evaluate(model, runtime=runtime, progress=progress, world=world).figures


def pretraining(recipe: Recipe) -> Task:
    """Return the task of training a new model on token shards, with the objective of *recipe*.

    Raises DataError if the data of *recipe* does not fit.
    """
    return PRETRAINING[type(recipe.objective)](recipe)


def next_token_pretraining(recipe: Recipe) -> Task:
    """Return the task of training a new model to predict the next token."""
    shards = open_data(recipe.data)
    config = config_of(recipe, shards.vocab_size)
    return text_task(
        recipe,
        shards,
        config,
        model=lambda: GPT(config, recipe.seed),
        data_files=read_data_files(shards.folder),
        starts_from_checkpoint=False,
    )


def masked_pretraining(recipe: Recipe) -> Task:
    """Return the task of training a new model to predict masked tokens.

    Its tokenizer is that of the shards, with a mask token if it has none.
    """
    assert isinstance(recipe.objective, MaskedLM)
    shards = open_data(recipe.data)
    tokenizer = with_mask(Tokenizer.load(shards.folder / "tokenizer.json"))
    masking = Masking(recipe.objective, tokenizer)
    config = config_of(recipe, max(shards.vocab_size, tokenizer.n_vocab))
    task = text_task(
        recipe,
        shards,
        config,
        model=lambda: GPT(config, recipe.seed),
        data_files={**read_data_files(shards.folder), **tokenizer_files(tokenizer)},
        starts_from_checkpoint=False,
    )
    measure: Callable[..., Measured] | None = None
    if "val" in shards.splits:
        measure = partial(
            evaluate_masked,
            split=open_split(shards, "val"),
            masking=masking,
            rows=recipe.batch_size,
            document_mask=recipe.document_mask,
        )
    return dataclasses.replace(
        task,
        fingerprint=tokenizer.fingerprint,
        rows=MaskedRows(task.rows, masking, recipe.seed),
        evaluate=measure,
        summary=f"{counted(task.train_tokens, 'token')} of text, "
        f"{recipe.objective.rate:.0%} of them predicted",
    )


PRETRAINING: Mapping[type, Callable[[Recipe], Task]] = {
    CrossEntropy: next_token_pretraining,
    MaskedLM: masked_pretraining,
}
"""For each spec of an objective, what opens the task."""


def config_of(recipe: Recipe, vocab_size: int) -> GPTConfig:
    """Return the model of *recipe*, one of texts, with *vocab_size* ids."""
    assert isinstance(recipe.model, Architecture)  # as the spec of its task has checked
    return GPTConfig.over(recipe.model, vocab_size)


def text_task(
    recipe: Recipe,
    shards: Shards,
    config: GPTConfig,
    *,
    model: Callable[[], Model],
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
