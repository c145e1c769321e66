"""The exponential moving average of the weights, kept in the state of the optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

AVERAGE = "average"
"""Key of the average in the optimizer state of each parameter, and so in checkpoints."""


@torch.no_grad()
def update_average(optimizer: torch.optim.Optimizer, decay: float, step: int) -> None:
    """A ← d · A + (1 - d) · W after optimizer step *step* (from 0), A starting as W.

    d = min(decay, (1 + step) / (10 + step)), as in TensorFlow's ExponentialMovingAverage: the decay
    is faster at first, so that the average of a short run is not dominated by its initial weights.
    """
    decay = min(decay, (1 + step) / (10 + step))
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            if AVERAGE not in state:
                state[AVERAGE] = parameter.detach().clone()
            state[AVERAGE].lerp_(parameter.detach(), 1 - decay)


@contextmanager
def averaged(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Replace the weights with their averages, if there are any, inside the context."""
    with swapped_weights(optimizer, AVERAGE):
        yield


@contextmanager
def swapped_weights(optimizer: torch.optim.Optimizer, key: str) -> Iterator[None]:
    """Swap each parameter with the tensor *key* of its optimizer state inside the context."""
    _swap(optimizer, key)
    try:
        yield
    finally:
        _swap(optimizer, key)


@torch.no_grad()
def _swap(optimizer: torch.optim.Optimizer, key: str) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            other = optimizer.state[parameter].get(key)
            if other is not None:
                weights = parameter.detach().clone()
                parameter.copy_(other)
                other.copy_(weights)
