"""The best weights so far, kept in the state of the optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from gpt.optim.average import AVERAGE, averaged, swapped_weights
from gpt.optim.parameters import changing_tensors

BEST = "best"
"""Key of the best weights in the optimizer state of each parameter, and so in checkpoints."""


def keep_best(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Store a copy of the current weights, or of their averages, as the best.

    Before the first step they are stored after it: optimizers initialize the state of a parameter
    only if it is empty.
    """
    with averaged(model, optimizer):
        best = {tensor: tensor.detach().clone() for tensor in changing_tensors(model)}

    def store(*step: object) -> None:
        hook.remove()
        for tensor, values in best.items():
            optimizer.state[tensor][BEST] = values

    hook = optimizer.register_step_post_hook(store)
    if any(optimizer.state.values()):
        store()


@contextmanager
def eval_weights(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[bool]:
    """Replace the weights with those for evaluation inside the context: the best, or the averages.

    Yields whether the weights were replaced.
    """
    keys = {key for state in optimizer.state.values() for key in state}
    key = BEST if BEST in keys else AVERAGE
    with swapped_weights(model, optimizer, key):
        yield key in keys
