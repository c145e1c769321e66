"""Exercises of chapter 13: a mechanism, and two losses of post-training."""

from collections.abc import Callable
from typing import Any

from torch import Tensor


def add_l1_norm(mechanisms: dict[type, Callable[..., Any]]) -> type:
    """Add the norm x / (mean |x| + 1e-6) · weight to the table *mechanisms*; return its spec.

    The mean is over the last axis; the weight, one for each feature, is learned, and one at first.
    """
    raise NotImplementedError


def dpo_loss(
    chosen: Tensor, rejected: Tensor, chosen_before: Tensor, rejected_before: Tensor, beta: float
) -> Tensor:
    """Return the mean loss of pairs of answers by their log-probabilities, (B,) each.

    -log σ(β ((chosen - chosen_before) - (rejected - rejected_before))), where "before" is under
    the model before training (Rafailov 2023, arXiv:2305.18290).
    """
    raise NotImplementedError


def advantages(rewards: Tensor) -> Tensor:
    """Return *rewards* (groups, answers), each group with mean 0 and standard deviation 1.

    The variance divides by the number of answers. A group of equal rewards becomes zeros.
    """
    raise NotImplementedError
