"""The exponential moving average of the weights and buffers, kept in the state of the optimizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gpt.optim.parameters import changing_tensors

AVERAGE = "average"
"""Key of the average in the optimizer state of each parameter, and so in checkpoints."""


@torch.no_grad()
def update_average(
    model: nn.Module, optimizer: torch.optim.Optimizer, decay: float, step: int
) -> None:
    """A ← d · A + (1 - d) · W after optimizer step *step* (from 0), A starting as W.

    d = min(decay, (1 + step) / (10 + step)), as in TensorFlow's ExponentialMovingAverage: the decay
    is faster at first, so that the average of a short run is not dominated by its initial weights.
    """
    decay = min(decay, (1 + step) / (10 + step))
    for tensor in changing_tensors(model):
        state = optimizer.state[tensor]
        if AVERAGE not in state:
            state[AVERAGE] = tensor.detach().clone()
        state[AVERAGE].lerp_(tensor.detach(), 1 - decay)


@contextmanager
def averaged(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Replace the weights with their averages, if there are any, inside the context."""
    with swapped_weights(model, optimizer, AVERAGE):
        yield


@contextmanager
def swapped_weights(model: nn.Module, optimizer: torch.optim.Optimizer, key: str) -> Iterator[None]:
    """Swap each weight with the tensor *key* of its optimizer state inside the context."""
    tensors = changing_tensors(model)
    _swap(tensors, optimizer, key)
    try:
        yield
    finally:
        _swap(tensors, optimizer, key)


@torch.no_grad()
def _swap(tensors: Iterable[Tensor], optimizer: torch.optim.Optimizer, key: str) -> None:
    for tensor in tensors:
        other = optimizer.state.get(tensor, {}).get(key)
        if other is not None:
            values = tensor.detach().clone()
            tensor.copy_(other)
            other.copy_(values)
