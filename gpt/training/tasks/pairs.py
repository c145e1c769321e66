"""The task of pairs: a new model is trained to write targets, given their sources."""

from __future__ import annotations

from functools import partial

from gpt.data.pair_files import TOKENIZER, TRAIN, VAL
from gpt.data.pairs import EncodedPairs, PairRows
from gpt.errors import DataError
from gpt.evaluation.pairs import evaluate_pairs
from gpt.model.build import build_model
from gpt.runs.writing import read_data_files
from gpt.spec.recipe import Recipe
from gpt.spec.task import Pairs
from gpt.training.tasks.task import Task, without_overlap
from pytok.counted import counted
from pytok.errors import PytokError
from pytok.tokenizer import Tokenizer


def pairs_task(recipe: Recipe) -> Task:
    """Return the task of training a new model on the folder of pairs that *recipe* names.

    Raises DataError if the data does not fit.
    """
    spec, folder = recipe.task, recipe.data
    assert isinstance(spec, Pairs)
    without_overlap(recipe)
    try:
        tokenizer = Tokenizer.load(folder / TOKENIZER)
    except (PytokError, OSError) as error:
        raise DataError(f"{folder}: not a folder of pairs: {error}") from error
    train = EncodedPairs.open(folder / TRAIN, tokenizer, recipe.model.context)
    rows = PairRows(train, batch_tokens=spec.batch_tokens, seed=recipe.seed)
    config = recipe.model.with_vocabulary(tokenizer.n_vocab)
    evaluate = None
    if (folder / VAL).exists():
        held_out = EncodedPairs.open(folder / VAL, tokenizer, recipe.model.context)
        if held_out.pairs:
            evaluate = partial(
                evaluate_pairs,
                pairs=held_out,
                tokenizer=tokenizer,
                batch_tokens=spec.batch_tokens,
                translations=spec.translations,
            )

    def seen(row: int) -> tuple[int, int]:
        epochs = row / rows.per_epoch
        return round(epochs * train.num_targets), round(epochs * train.bytes)

    omitted = f"; {counted(train.omitted, 'pair')} longer than the context omitted"
    return Task(
        recipe=recipe,
        fingerprint=tokenizer.fingerprint,
        train_tokens=train.num_targets,
        data_files=read_data_files(folder),
        rows=rows,
        seen=seen,
        evaluate=evaluate,
        model=lambda: build_model(config, recipe.seed),
        starts_from_checkpoint=False,
        summary=f"{counted(len(train.pairs), 'pair')}, {counted(train.num_targets, 'token')} of "
        f"targets, in {rows.per_epoch:,} batches" + (omitted if train.omitted else ""),
    )
