"""The best weights so far, kept in the optimizer's state beside its moments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gpt.optim.average import AVERAGE, averaged, in_place

BEST = "best"
"""Their key in the state of each parameter, and so in a checkpoint."""


def keep_best(optimizer: torch.optim.Optimizer) -> None:
    """Keep a copy of the weights as they are now, or of their averages, as the best.

    Before the first step it waits for that one: optimizers begin their state where there is none.
    """
    with averaged(optimizer):
        best = {
            parameter: parameter.detach().clone()
            for group in optimizer.param_groups
            for parameter in group["params"]
        }

    def keep(*step: object) -> None:
        waiting.remove()
        for parameter, weights in best.items():
            optimizer.state[parameter][BEST] = weights

    waiting = optimizer.register_step_post_hook(keep)
    if any(optimizer.state.values()):
        keep()


@contextmanager
def eval_weights(optimizer: torch.optim.Optimizer) -> Iterator[bool]:
    """Have the weights that a run shows in place of those it trains: the best, or the averages.

    What is lent says whether they are others.
    """
    kept = {key for state in optimizer.state.values() for key in state}
    key = BEST if BEST in kept else AVERAGE
    with in_place(optimizer, key):
        yield key in kept
