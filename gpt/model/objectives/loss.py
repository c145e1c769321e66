"""`Objective`, a loss of a model on a batch, and `Loss`, its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from gpt.data.batch import Batch


class Loss(NamedTuple):
    """The loss of a batch: a sum, to be divided by a weight.

    The weights of all batches of a step are added before that, so that it does not matter how the
    step is divided into batches and among processes.
    """

    sum: Tensor
    """Sum over what counts, such as the targets, float32 ()."""
    figures: Mapping[str, Tensor] = {}
    """Further sums over the same, by name, of a measurement."""
    means: Mapping[str, Tensor] = {}
    """Figures of a step by name: a sum and the number of its terms, float32 (2,), without gradient.
    Both are added over the batches of a step, and over processes."""


class Objective(Protocol):
    """What training minimizes."""

    def weight(self, batch: Batch) -> float:
        """Return what the sums of *batch*, on the CPU, are divided by: the number of targets."""

    def __call__(self, model: Any, batch: Batch) -> Loss:
        """Return the loss of *model* on *batch*; called in the model's forward pass."""
