"""Runs of imported models: one checkpoint, of step 0, to sample from and to evaluate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gpt.errors import FormatError
from gpt.model.gpt import Stack
from gpt.runs.reading import GENERATION
from gpt.runs.retention import find_checkpoint
from gpt.runs.state import State
from gpt.runs.writing import tokenizer_files, write_checkpoint
from gpt.spec.recipe import Recipe
from pytok.tokenizer import Tokenizer


class Imported(NamedTuple):
    """A model of other software, with what belongs to it."""

    model: Stack
    tokenizer: Tokenizer
    generation: Mapping[str, Any]
    """The content of generation_config.json: the ids of BOS and EOS, and settings of sampling."""


def write_imported(
    run: Path,
    model: Stack,
    tokenizer: Tokenizer,
    data_files: Mapping[str, bytes] | None = None,
    generation: Mapping[str, Any] | None = None,
    data: Path = Path(),
) -> Path:
    """Write *model* and *tokenizer* as a new run *run*; return the folder of its checkpoint.

    *data_files* are those of `gpt.runs.reading.Checkpoint`, without the tokenizer; *generation* is
    `Imported.generation`, *data* what the model was trained on, if that is known. Raises
    FormatError if there is a run already.
    """
    if find_checkpoint(run) is not None:
        raise FormatError(f"{run}: already contains a run; choose another --out")
    state = State(
        config=model.config,
        recipe=Recipe(data=data, out=run),
        step=0,
        seconds=0.0,
        fingerprint=tokenizer.fingerprint,
        train_tokens=0,
    )
    settings = {GENERATION: json.dumps(generation, indent=2).encode()} if generation else {}
    # Plain SGD has no state: there is no training to resume.
    return write_checkpoint(
        run,
        model,
        torch.optim.SGD(model.parameters(), lr=1.0),
        state,
        {**(data_files or {}), **settings, **tokenizer_files(tokenizer)},
    )
