"""Adapters for a base, opened by path: a folder of peft, or a tuned run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import torch

import pytok
from gpt.adapt.weights import AdapterWeights, Rows
from gpt.errors import ConfigError, FormatError
from gpt.interop.peft_reading import is_peft, read_adapter
from gpt.runs.adapters import adapter_of, adapter_spec, check_base, with_adapter
from gpt.runs.reading import DATA_FILES, Checkpoint, read_checkpoint
from gpt.spec.adapter import DoRA, LoRA

TOKENIZER = DATA_FILES[0]


class OpenAdapter(NamedTuple):
    """An adapter that was read for a base."""

    weights: AdapterWeights
    spec: LoRA | DoRA
    tokens: Checkpoint
    """Has the tokenizer of the adapter, and its chat template: the base, or like it with others."""


def open_adapter(path: Path, base: Checkpoint) -> OpenAdapter:
    """Read the adapter *path* for the model of *base*.

    Raises FormatError, CheckpointError or ConfigError for one that is damaged or does not fit.
    """
    if is_peft(path):
        tokens = _with_tokenizer(base, path)
        weights, spec = read_adapter(path, tokens.config)
        return OpenAdapter(_checked(weights, tokens.config.vocab_size, path), spec, tokens)
    tuned = read_checkpoint(path)
    spec = adapter_spec(tuned)
    check_base(tuned, base)
    return OpenAdapter(adapter_of(tuned), spec, tuned)


def adapted_checkpoint(base: Checkpoint, path: Path) -> Checkpoint:
    """Return *base* with the adapter *path* merged; raises what `open_adapter` raises."""
    opened = open_adapter(path, base)
    try:
        return with_adapter(base, opened.weights, opened.tokens)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _with_tokenizer(base: Checkpoint, folder: Path) -> Checkpoint:
    """Return *base* with the tokenizer and the chat in *folder*, a folder of peft, if it has them.

    A tokenizer with fewer tokens than the base is not used.
    """
    if not (folder / TOKENIZER).exists():
        return base
    tokenizer, vocab_size = pytok.load(folder), base.config.vocab_size
    if tokenizer.n_vocab < vocab_size:
        return base
    config = dataclasses.replace(base.config, vocab_size=tokenizer.n_vocab)
    return dataclasses.replace(
        base,
        folder=folder,
        state=dataclasses.replace(base.state, config=config, fingerprint=tokenizer.fingerprint),
        data_files={
            name: (folder / name).read_bytes() for name in DATA_FILES if (folder / name).exists()
        },
    )


def _checked(weights: AdapterWeights, vocab_size: int, folder: Path) -> AdapterWeights:
    """Return *weights* without rows of complete tables that pad a vocabulary of *vocab_size*.

    Raises FormatError for the row of any other token that is past it.
    """
    kept: dict[str, Rows] = {}
    for name, (ids, values) in weights.rows.items():
        if len(ids) and torch.equal(ids, torch.arange(len(ids))):
            ids, values = ids[:vocab_size], values[:vocab_size]
        if len(ids) and (highest := int(ids.max())) >= vocab_size:
            raise FormatError(
                f"{folder}: has the row of token {highest}, and the vocabulary has {vocab_size} "
                f"tokens; put the {TOKENIZER} that it was trained with into the folder"
            )
        kept[name] = Rows(ids, values)
    return dataclasses.replace(weights, rows=kept)
