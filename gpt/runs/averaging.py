"""The average of the last checkpoints of a run, as a run of its own (Vaswani 2017, section 6.1)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from gpt.errors import CheckpointError, ConfigError
from gpt.model.build import build_model
from gpt.optim.parameters import saved_tensors
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.runs.retention import CHECKPOINTS, find_checkpoint, list_checkpoints
from gpt.runs.writing import write_checkpoint


def write_average(run: Path, out: Path, last: int) -> list[int]:
    """Write *out*, a run whose weights are the mean of the last checkpoints of *run*.

    Returns the steps of these: at most *last*, of those that the run has kept. It can be sampled
    and measured; it has no state of an optimizer, so it cannot be resumed. Raises CheckpointError
    if there are not two checkpoints, or if *out* contains a run.
    """
    if last < 2:
        raise ConfigError(f"last must be at least 2; got {last}")
    folders = list_checkpoints(run / CHECKPOINTS)[-last:]
    if len(folders) < 2:
        raise CheckpointError(
            f"{run}: has {len(folders)} checkpoints, and an average needs two; train with --keep 5"
        )
    if find_checkpoint(out) is not None:
        raise CheckpointError(f"{out}: already contains a run; choose another --out")
    checkpoints = [read_checkpoint(folder) for folder in folders]
    newest = checkpoints[-1]
    model = build_model(newest.state.config)
    with torch.no_grad():
        for name, tensor in saved_tensors(model).items():
            tensor.copy_(_mean(name, checkpoints))
    recipe = dataclasses.replace(newest.state.recipe, out=out)
    state = dataclasses.replace(
        newest.state, recipe=recipe, score=None, best_score=None, best_step=None, first_score=None
    )
    # Plain SGD has no state: there is no training to resume.
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    write_checkpoint(out, model, optimizer, state, newest.data_files)
    return [each.state.step for each in checkpoints]


def _mean(name: str, checkpoints: list[Checkpoint]) -> Tensor:
    """Return the mean of the tensor *name* over *checkpoints*, summed in float64."""
    tensors = [each.weights.get(name) for each in checkpoints]
    found = [each.double() for each in tensors if each is not None]
    if len(found) < len(tensors) or len({each.shape for each in found}) > 1:
        raise CheckpointError(f"the checkpoints differ in {name}: they are of two models")
    return torch.stack(found).mean(0)
