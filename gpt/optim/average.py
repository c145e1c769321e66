"""The moving average of the weights, kept in the optimizer's state beside its moments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

AVERAGE = "average"
"""Its key in the state of each parameter, and so in a checkpoint."""


@torch.no_grad()
def update_average(optimizer: torch.optim.Optimizer, decay: float, step: int) -> None:
    """A ← d · A + (1 - d) · W after update *step* (from 0), A beginning as W.

    d = min(decay, (1 + step) / (10 + step)), the rule of TensorFlow's ExponentialMovingAverage: a
    young average forgets faster, or a short run would end with much of its first weights.
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
    """Put the averages in place of the weights for a while, where the optimizer has them."""
    with in_place(optimizer, AVERAGE):
        yield


@contextmanager
def in_place(optimizer: torch.optim.Optimizer, key: str) -> Iterator[None]:
    """Put what the state of each parameter has as *key* in its place for a while."""
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
                kept = parameter.detach().clone()
                parameter.copy_(other)
                other.copy_(kept)
