"""The best weights so far, kept in the state of the optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gpt.optim.average import AVERAGE, averaged, swapped_weights

BEST = "best"
"""Key of the best weights in the optimizer state of each parameter, and so in checkpoints."""


def keep_best(optimizer: torch.optim.Optimizer) -> None:
    """Store a copy of the current weights, or of their averages, as the best.

    Before the first step they are stored after it: optimizers initialize the state of a parameter
    only if it is empty.
    """
    with averaged(optimizer):
        best = {
            parameter: parameter.detach().clone()
            for group in optimizer.param_groups
            for parameter in group["params"]
        }

    def store(*step: object) -> None:
        hook.remove()
        for parameter, weights in best.items():
            optimizer.state[parameter][BEST] = weights

    hook = optimizer.register_step_post_hook(store)
    if any(optimizer.state.values()):
        store()


@contextmanager
def eval_weights(optimizer: torch.optim.Optimizer) -> Iterator[bool]:
    """Replace the weights with those for evaluation inside the context: the best, or the averages.

    Yields whether the weights were replaced.
    """
    keys = {key for state in optimizer.state.values() for key in state}
    key = BEST if BEST in keys else AVERAGE
    with swapped_weights(optimizer, key):
        yield key in keys
