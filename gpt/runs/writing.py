"""Writing checkpoints: complete or not at all (`gpt.runs.reading` lists their files)."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from gpt.adapt.wrapping import merged_weights
from gpt.errors import CheckpointError
from gpt.model.model import Model
from gpt.optim.best import eval_weights
from gpt.optim.parameters import saved_buffers, saved_tensors
from gpt.parallel.memory import return_freed_memory
from gpt.parallel.sharded import is_sharded, save_sharded
from gpt.parallel.world import ALONE, World
from gpt.runs import paths
from gpt.runs.reading import (
    DATA_FILES,
    FILES,
    OPTIMIZER,
    STATE,
    TOKENIZER_CONFIG,
    WEIGHT,
    WEIGHTS,
    read_state,
)
from gpt.runs.retention import checkpoint_folder, remove_leftovers, remove_old
from gpt.runs.sealed_folder import PARTIAL, sealed_folder, sealed_names
from gpt.runs.state import State
from gpt.runs.tensor_files import load_tensors

if TYPE_CHECKING:
    from pytok.tokenizer import Tokenizer


def write_checkpoint(
    run: Path,
    model: Model,
    optimizer: torch.optim.Optimizer,
    state: State,
    data_files: Mapping[str, bytes],
    world: World = ALONE,
) -> Path:
    """Write a checkpoint of *run*, remove those that it need not keep, and return its folder.

    *data_files* is what `read_data_files` returns. A checkpoint of the same step is kept, unless
    the run has been evaluated since, which may have made these weights the best. All processes of
    *world* call this; the main one writes, and the others only if they hold slices of the model.
    Raises CheckpointError if it cannot be written; the other checkpoints are then unchanged.
    """
    folder = checkpoint_folder(run, state.step)
    try:
        if world.is_main:
            remove_leftovers(run)
        if not world.from_main(_is_written(folder, state)):
            _write(folder, model, optimizer, state, data_files, world)
            return_freed_memory()  # of weights that were merged or replaced
        if world.is_main:
            remove_old(run, state.recipe.keep, state.best_step)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(
            f"{folder}: cannot be written: {reason}; nothing else has changed: fix that, and "
            "repeat the same command"
        ) from error
    return folder


def replace_weights(folder: Path, weights: Mapping[str, Tensor], state: State) -> None:
    """Replace some *weights* for readers of the checkpoint *folder*, and its state.

    Training resumes as before: what it needs is in the optimizer's file. Raises CheckpointError.
    """
    try:
        tensors = {**load_tensors(folder / WEIGHTS), **weights}
        names = sealed_names(folder) - {WEIGHTS, STATE}
        with sealed_folder(folder) as partial:
            for name in names:
                shutil.copyfile(folder / name, partial / name)
            save_file(
                {name: each.contiguous() for name, each in tensors.items()}, partial / WEIGHTS
            )
            _write_state(partial, state)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"{folder}: cannot be written: {reason}") from error


def _write_state(folder: Path, state: State) -> None:
    document = json.dumps(paths.written(state).to_dict(), indent=2) + "\n"
    (folder / STATE).write_text(document, encoding="utf-8")


def read_data_files(folder: Path) -> dict[str, bytes]:
    """Read the files of the shard folder *folder* that its checkpoints carry along."""
    found = {name: folder / name for name in DATA_FILES}
    return {
        name: path.read_bytes() for name, path in found.items() if name in FILES or path.exists()
    }


def tokenizer_files(tokenizer: Tokenizer) -> dict[str, bytes]:
    """Return the files of *tokenizer* among `DATA_FILES`.

    tokenizer_config.json is one of them if the tokenizer was read with one.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DATA_FILES[0]
        tokenizer.save(path)
        files = {path.name: path.read_bytes()}
    if config := tokenizer.definition.settings.config:
        files[TOKENIZER_CONFIG] = json.dumps(dict(config), indent=2).encode()
    return files


def _is_written(folder: Path, state: State) -> bool:
    """Return whether *folder* is a checkpoint with the evaluation of *state*."""
    return folder.exists() and read_state(folder).score == state.score


def _write(
    folder: Path,
    model: Model,
    optimizer: torch.optim.Optimizer,
    state: State,
    data_files: Mapping[str, bytes],
    world: World,
) -> None:
    weights = final_weights(model, optimizer)
    # A parameter that training continues from is stored beside the optimizer's tensors if the
    # weights for evaluation are other ones: averages, the best, or merged adapters.
    optimizer_state = {
        f"{name}:{key}": tensor.detach().contiguous()
        for name, own in saved_tensors(model).items()
        for key, tensor in (
            *optimizer.state.get(own, {}).items(),
            *(() if weights.get(name) is own else ((WEIGHT, own),)),
        )
    }
    files = {
        WEIGHTS: {name: tensor.detach().contiguous() for name, tensor in weights.items()},
        OPTIMIZER: optimizer_state,
    }
    slices = folder.with_name(f"{folder.name}-slices{PARTIAL}")
    joined = {
        name: save_sharded(tensors, slices / name)
        for name, tensors in files.items()
        if is_sharded(weights.values())
    }
    if not world.is_main:
        return
    with sealed_folder(folder) as partial:
        for name, tensors in files.items():
            if name in joined:
                joined[name].rename(partial / name)
            else:
                save_file(tensors, partial / name)
        _write_state(partial, state)
        for name, content in data_files.items():
            (partial / name).write_bytes(content)
    if joined:
        shutil.rmtree(slices)


def final_weights(model: Model, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the weights that readers of a checkpoint get: averaged or best, adapters merged.

    Buffers are included. A tensor that is one of *model* is that tensor, not a copy.
    """
    buffers = saved_buffers(model)
    with eval_weights(model, optimizer) as replaced:
        weights = merged_weights(model)
        if replaced:  # after this block the trained parameters are in their tensors again
            for name, tensor in weights.items():
                changes = tensor.requires_grad or name in buffers
                weights[name] = tensor.detach().clone() if changes else tensor
        return weights
