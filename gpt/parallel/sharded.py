"""Sharded tensors (DTensor), saved as a single safetensors file that any number of processes reads.

Each process writes its own slices with torch's distributed checkpoint (DCP), which then joins the
files, so no process needs memory for a complete tensor.

PERF: importing DTensor and DCP takes a second, so only processes that shard a model do it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from safetensors.torch import load_file, save_file
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def is_sharded(tensors: Iterable[Tensor]) -> bool:
    """Return whether any of *tensors* is divided among processes."""
    return any(map(_is_dtensor, tensors))


def save_sharded(tensors: Mapping[str, Tensor], folder: Path) -> Path:
    """Write *tensors* as a safetensors file into the new *folder*; return the file's path.

    All processes call this; the file is complete when it returns in the main process. Scalars
    become vectors of length 1. Raises OSError.
    """
    import torch.distributed as dist
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True, enable_consolidation=True)
    # DCP joins the slices of a tensor along its axes, and a scalar has none; it joins no integers,
    # such as codes of quantized weights, which every process has.
    vectors = {name: tensor if tensor.ndim else tensor[None] for name, tensor in tensors.items()}
    codes = {name: each for name, each in vectors.items() if not each.is_floating_point()}
    vectors = {name: each for name, each in vectors.items() if name not in codes}
    try:
        save(vectors, storage_writer=writer)
    except CheckpointException as error:
        first, _ = next(iter(error.failures.values()))
        raise first from error
    joined = folder / "model-00001-of-00001.safetensors"
    if codes and dist.get_rank() == 0:
        complete = folder / "complete.safetensors"
        save_file({**load_file(joined), **codes}, complete)
        complete.replace(joined)
    return joined


def sliced(tensor: Tensor, like: Tensor) -> Tensor:
    """Return this process's slice of the complete *tensor*, sharded as *like*."""
    if not _is_dtensor(like):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


def gathered(tensor: Tensor) -> Tensor:
    """Return the complete *tensor*; all processes call this."""
    return tensor.full_tensor() if _is_dtensor(tensor) else tensor


def _is_dtensor(tensor: Tensor) -> TypeGuard[DTensor]:
    """Return whether *tensor* is a DTensor: none is where nothing has imported the class."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)
