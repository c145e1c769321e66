"""Tensors of which every process has a slice, as one safetensors file that any number reads.

torch's distributed checkpoint writes them, each process its own slices, and joins the files, so a
tensor is nowhere in memory as a whole. A slice for any number of processes is read from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor, distribute_tensor


def is_sharded(tensors: Iterable[Tensor]) -> bool:
    """Whether each process has but slices of *tensors*."""
    return any(isinstance(tensor, DTensor) for tensor in tensors)


def save_sharded(tensors: Mapping[str, Tensor], folder: Path) -> Path:
    """Write *tensors* as a safetensors file into *folder*, which is new; return the file's path.

    All processes call this. Single numbers are written as vectors of one. Raises OSError.
    """
    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True, enable_consolidation=True)
    # DCP joins the slices of a tensor along its axes, and a single number has none.
    vectors = {name: tensor if tensor.ndim else tensor[None] for name, tensor in tensors.items()}
    try:
        save(vectors, storage_writer=writer)
    except CheckpointException as error:
        first, _ = next(iter(error.failures.values()))
        raise first from error
    return folder / "model-00001-of-00001.safetensors"


def sliced(tensor: Tensor, like: Tensor) -> Tensor:
    """Take of *tensor*, which is whole, what this process has of *like*."""
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


def gathered(tensor: Tensor) -> Tensor:
    """Return *tensor* whole; all processes call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
