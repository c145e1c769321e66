"""Runs of models with a pruned vocabulary, which continue as imported models do."""

from __future__ import annotations

from pathlib import Path

import torch

from gpt.data.boundaries import ID_FIELDS, listed_ids
from gpt.errors import DataError
from gpt.interop.imported import write_imported
from gpt.model.vocabulary import prune_vocabulary
from gpt.runs.reading import Checkpoint
from pytok.errors import VocabError
from pytok.pruning import kept_ids
from pytok.tokenizer import Tokenizer


def write_pruned(run: Path, checkpoint: Checkpoint, tokenizer: Tokenizer) -> Path:
    """Write *run*: the model of *checkpoint* with the tokens of *tokenizer*, pruned from its own.

    The state of the optimizer is not kept: the run could not resume, since its data has other ids.
    Returns the folder of the new checkpoint. Raises DataError if *tokenizer* is not pruned from
    that of *checkpoint*, FormatError if there is a run already.
    """
    try:
        ids = kept_ids(checkpoint.tokenizer(), tokenizer)
    except VocabError as error:
        raise DataError(
            f"{tokenizer.name}: {error.message}; make it with `pytok prune "
            f"{checkpoint.folder / 'tokenizer.json'}`"
        ) from None
    model = prune_vocabulary(checkpoint.model(), torch.from_numpy(ids))
    new = {old: new for new, old in enumerate(ids.tolist())}
    generation = {
        name: [new[id] for id in listed_ids(value) if id in new] if name in ID_FIELDS else value
        for name, value in checkpoint.generation.items()
    }
    return write_imported(run, model, tokenizer, checkpoint.data_files, generation)
