"""Solutions of chapter 13."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.norm import Norm
from gpt.nn.site import Site
from gpt.spec.part import Part


def add_l1_norm(mechanisms: dict[type, Callable[..., Any]]) -> type:
    """Add the norm x / (mean |x| + 1e-6) · weight to the table *mechanisms*; return its spec.

    The mean is over the last axis; the weight, one for each feature, is learned, and one at first.
    """

    @dataclass(frozen=True, kw_only=True)
    class L1(Part):
        """Divide by the mean absolute value."""

    class L1Norm(Norm):
        """x -> x / (mean |x| + 1e-6) · weight."""

        def __init__(self, spec: L1, site: Site) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(site.width))

        def forward(self, x: Tensor) -> Tensor:
            """Normalize the last axis."""
            return x / (x.abs().mean(-1, keepdim=True) + 1e-6) * self.weight

    mechanisms[L1] = L1Norm
    return L1


def dpo_loss(
    chosen: Tensor, rejected: Tensor, chosen_before: Tensor, rejected_before: Tensor, beta: float
) -> Tensor:
    """Return the mean loss of pairs of answers by their log-probabilities, (B,) each.

    -log σ(β ((chosen - chosen_before) - (rejected - rejected_before))), where "before" is under
    the model before training (Rafailov 2023, arXiv:2305.18290).
    """
    margin = (chosen - chosen_before) - (rejected - rejected_before)
    return -F.logsigmoid(beta * margin).mean()


def advantages(rewards: Tensor) -> Tensor:
    """Return *rewards* (groups, answers), each group with mean 0 and standard deviation 1.

    The variance divides by the number of answers. A group of equal rewards becomes zeros.
    """
    spread = rewards.std(1, correction=0, keepdim=True)
    return (rewards - rewards.mean(1, keepdim=True)) / torch.where(spread > 0, spread, 1.0)
