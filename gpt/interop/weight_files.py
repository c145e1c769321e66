"""Weights as safetensors files of a Hugging Face folder: of 16 or 32 bits, one file or several."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from gpt.errors import FormatError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Types in which weights are written, by their names."""
_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9}


def bytes_of(size: str) -> int:
    """Return the number of bytes that *size* says, as in transformers; raises FormatError.

    >>> bytes_of("5GB")
    5000000000
    """
    found = re.fullmatch(r"(\d{1,9})\s*([kmg]b)", size.strip().lower())
    if not found or not int(found[1]):
        raise FormatError(f"{size!r} is no size of a file; write 500MB or 5GB")
    return int(found[1]) * _UNITS[found[2]]


def in_dtype(weights: Mapping[str, Tensor], dtype: str) -> dict[str, Tensor]:
    """Return *weights* in the type called *dtype*; raises FormatError if a number has no room."""
    cast = {name: tensor.to(DTYPES[dtype]) for name, tensor in weights.items()}
    for name, tensor in cast.items():
        if not tensor.isfinite().all() and weights[name].isfinite().all():
            raise FormatError(
                f"tensor {name} has numbers that {dtype} cannot hold; write bfloat16 or float32"
            )
    return cast


def save_weights(weights: Mapping[str, Tensor], folder: Path, limit: int | None = None) -> None:
    """Write *weights* to *folder*: to files of up to *limit* bytes, if they do not fit one.

    A tensor that is larger than the limit has a file of its own.
    """
    files = _parts(weights, limit)
    if len(files) == 1:
        save_file(dict(weights), folder / "model.safetensors", metadata={"format": "pt"})
        return
    placed: dict[str, str] = {}
    for number, part in enumerate(files, start=1):
        name = f"model-{number:05}-of-{len(files):05}.safetensors"
        save_file(part, folder / name, metadata={"format": "pt"})
        placed |= dict.fromkeys(part, name)
    index = {"metadata": {"total_size": sum(map(_size, weights.values()))}, "weight_map": placed}
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps(index, indent=2), encoding="utf-8")


def _parts(weights: Mapping[str, Tensor], limit: int | None) -> list[dict[str, Tensor]]:
    """Return *weights* in their order, in as few parts of up to *limit* bytes as this allows."""
    parts: list[dict[str, Tensor]] = [{}]
    used = 0
    for name, tensor in weights.items():
        if parts[-1] and limit is not None and used + _size(tensor) > limit:
            parts.append({})
            used = 0
        parts[-1][name] = tensor
        used += _size(tensor)
    return parts


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.itemsize
