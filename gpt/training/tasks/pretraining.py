"""The tasks of pretraining: a new model on token shards, for each objective."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial

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
from gpt.model.gpt import GPT
from gpt.model.model import Model
from gpt.runs.writing import read_data_files, tokenizer_files
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.objective import CrossEntropy, Distillation, MaskedLM
from gpt.spec.recipe import Recipe
from gpt.training.tasks.distillation import with_teachers
from gpt.training.tasks.task import Measured, Task
from pytok.counted import counted
from pytok.shards import Shards
from pytok.tokenizer import Tokenizer


def pretraining(recipe: Recipe) -> Task:
    """Return the task of training a new model on token shards, with the objective of *recipe*.

    Raises DataError if the data of *recipe* does not fit.
    """
    return PRETRAINING[type(recipe.objective)](recipe)


def next_token_pretraining(recipe: Recipe) -> Task:
    """Return the task of training a new model to predict the next token."""
    shards = open_data(recipe.data)
    config = config_of(recipe, shards.vocab_size)
    task = text_task(
        recipe,
        shards,
        config,
        model=lambda: GPT(config, recipe.seed),
        data_files=read_data_files(shards.folder),
        starts_from_checkpoint=False,
    )
    return with_teachers(task, config, config.context)


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
    Distillation: next_token_pretraining,
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
        seen=lambda rows: seen_tokens(rows * length, train),
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
        overlap=recipe.overlap,
        bpe_dropout=open_bpe_dropout(shards, recipe.bpe_dropout) if recipe.bpe_dropout else None,
    )


def seen_tokens(tokens: int, split: Tokens) -> tuple[int, int]:
    """Return *tokens* and their bytes, at the mean of *split*."""
    return tokens, round(tokens * split.bytes / len(split))
