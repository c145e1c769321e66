"""Layouts: how the weights of our modules lie in a tensor of another format.

All of them are permutations, sums with a constant, and rows in front that nobody reads, so each can
be written and read without loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gpt.spec.architecture import Architecture


@dataclass(frozen=True)
class Entry:
    """The modules of ours whose weights a tensor of another format has."""

    modules: tuple[str, ...]
    """Paths of modules, or of parameters, with ``{layer}`` for the number of the block. Their rows
    follow each other."""
    grouped: bool = False
    """The rows of the modules are together for each key and value head (GPT-NeoX, BLOOM)."""
    shards: int = 0
    """The rows of the modules are together for each of this number of groups of heads (CodeGen)."""
    alternating: bool = False
    """The rows of the modules alternate (gpt-oss)."""
    stacked: bool = False
    """The tensor has the matrices of all experts, or their biases, and each of them lies as the
    other fields say (gpt-oss)."""
    transposed: bool = False
    """Matrices are (inputs, outputs) (GPT-2, from its TensorFlow code)."""
    interleaved: bool = False
    """The rotated features 2i and 2i + 1 are a pair, not i and i + half of them (Meta's Llama,
    GPT-J). The order of features in queries and keys does not change their products."""
    offset: float = 0.0
    """Number that the module adds to the stored weight, not to the bias (Gemma: 1 + weight)."""
    skipped: int = 0
    """Rows in front that are not ours (OPT has two positions before the first)."""

    first_row_of: str = ""
    """Another tensor of theirs, whose first row each row of ours includes: written as one row of
    zeros (BERT's types of tokens)."""

    beside: str = ""
    """Path of a module that the model must have as well, for a name that depends on it."""
    without: str = ""
    """Path of a module that the model must not have."""

    def shape(self, parts: Sequence[torch.Size]) -> tuple[int, ...]:
        """Return the shape of the tensor that has tensors of the shapes *parts*."""
        if self.stacked:
            inside = replace(self, stacked=False).shape([part[1:] for part in parts])
            return (parts[0][0], *inside)
        rows = sum(part[0] for part in parts) + self.skipped
        shape = (rows, *parts[0][1:])
        return shape[::-1] if self.transposed else shape

    def join(self, parts: Sequence[Tensor], config: Architecture) -> Tensor:
        """Return the tensor of *parts*, the tensors of the modules; the inverse of `split`."""
        if self.stacked:
            one = replace(self, stacked=False)
            experts = zip(*parts, strict=True)
            return torch.stack([one.join(each, config) for each in experts])
        if self.interleaved:
            parts = [_interleave(part, config) for part in parts]
        if groups := self._groups(config, len(parts[0])):
            tensor = torch.cat([_rows(part, groups, -1) for part in parts], dim=1).flatten(0, 1)
        else:
            tensor = torch.cat(list(parts))
        if self.skipped:
            tensor = torch.cat((tensor.new_zeros(self.skipped, *tensor.shape[1:]), tensor))
        if self.offset:
            tensor = tensor - self.offset
        return tensor.mT if self.transposed and tensor.ndim > 1 else tensor

    def split(self, tensor: Tensor, sizes: Sequence[int], config: Architecture) -> list[Tensor]:
        """Return the tensors of the modules, of *sizes* rows, that are in *tensor*."""
        if self.stacked:
            one = replace(self, stacked=False)
            rows = tensor.shape[-1 if self.transposed else 1] // len(sizes)
            split = [one.split(matrix, [rows] * len(sizes), config) for matrix in tensor]
            return [torch.stack(parts) for parts in zip(*split, strict=True)]
        if self.transposed and tensor.ndim > 1:
            tensor = tensor.mT
        if self.offset:
            tensor = tensor + self.offset
        tensor = tensor[self.skipped :]
        if groups := self._groups(config, sizes[0]):
            each = [size // groups for size in sizes]
            inside = torch.split(_rows(tensor, groups, -1), each, dim=1)
            parts = [part.flatten(0, 1) for part in inside]
        else:
            parts = list(torch.split(tensor, list(sizes)))
        return [_deinterleave(part, config) for part in parts] if self.interleaved else parts

    def _groups(self, config: Architecture, rows: int) -> int:
        """Return the number of groups of rows, 0 if the rows of each module follow each other.

        The first module has *rows* rows.
        """
        if self.alternating:
            return rows
        if self.grouped:
            return int(getattr(config.attention_in(0), "kv_heads", 1))
        return self.shards


def _interleave(rows: Tensor, config: Architecture) -> Tensor:
    """Reorder the rows of queries or keys: features i and i + half to 2i and 2i + 1."""
    return _reordered(rows, config, lambda width: (2, width // 2))


def _deinterleave(rows: Tensor, config: Architecture) -> Tensor:
    """Invert `_interleave`."""
    return _reordered(rows, config, lambda width: (width // 2, 2))


def _reordered(
    rows: Tensor, config: Architecture, shape: Callable[[int], tuple[int, int]]
) -> Tensor:
    """Transpose the rotated rows of each head, seen as a matrix of *shape* of their number."""
    heads = _rows(rows, -1, config.head_width)
    width = rotary_width(config)
    rotated = heads[:, :width]
    turned = rotated.reshape(len(heads), *shape(width), *rows.shape[1:]).transpose(1, 2)
    return torch.cat((turned.reshape(rotated.shape), heads[:, width:]), dim=1).flatten(0, 1)


def _rows(tensor: Tensor, groups: int, rows: int) -> Tensor:
    """Return *tensor* as (groups, rows, ...)."""
    return tensor.reshape(groups, rows, *tensor.shape[1:])


def rotary_width(config: Architecture) -> int:
    """Return how many features of a head *config* rotates; 0 without rotary positions."""
    width = getattr(config.position, "rotary_width", None)
    return int(width(config.head_width)) if width else 0
