"""Directions of the gradients of batches: how much they vary, and deviate from the whole one.

Liu 2023, arXiv:2303.01500, section 3.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.lab.checks import Below
from gpt.lab.experiment import Figures, Part, Setting
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE
from gpt.training.step import TrainStep
from gpt.training.tasks.task import Task


def variance(gradients: Tensor) -> float:
    """Return the gradient direction variance of *gradients* (N, weights): of all their pairs."""
    pairs = itertools.combinations(F.normalize(gradients, dim=-1), 2)
    return statistics.fmean((1 - float(a @ b)) / 2 for a, b in pairs)


def deviation(gradients: Tensor, whole: Tensor) -> float:
    """Return the gradient direction error of *gradients* against the *whole* one (weights,)."""
    cosines = F.normalize(gradients, dim=-1) @ F.normalize(whole, dim=0)
    return float((1 - cosines).mean()) / 2


def angles(setting: Setting) -> Figures:
    """Compare both with what they are of axes, which are at right angles, and of one axis alone."""
    axes = torch.eye(3, dtype=torch.float64)
    return {
        "axes": abs(variance(axes) - 1 / 2),
        "equal": variance(axes[:1].expand(3, 3)),
        "diagonal": abs(deviation(axes, axes.sum(0)) - (1 - 3**-0.5) / 2),
    }


def gradient(step: TrainStep, gpt: nn.Module, number: int) -> Tensor:
    """Return the gradient of the batch of step *number*, all weights in one vector."""
    step.gradients(number)
    found = torch.cat([each.grad.flatten() for each in gpt.parameters() if each.grad is not None])
    gpt.zero_grad()
    return found


def directions(
    task: Task, *, at: Sequence[int], batches: int, some: int, device: str = "cpu"
) -> tuple[list[float], list[float]]:
    """Train up to the last step of *at*; return variances and errors after each of these steps.

    *some* gradients are those of batches that were not trained on yet, as they are in training. The
    whole one, without dropout, is of *batches* batches, the same among them.
    """
    gpt, recipe = task.model().train(), task.recipe
    step = TrainStep(gpt, recipe, task.rows, Runtime.choose(device, recipe.dtype), ALONE)
    variances, errors, last = [], [], max(at)
    for number in range(last):
        step.update(number, (number + 1) / last)
        if number + 1 in at:
            later = range(last, last + batches)
            gradients = torch.stack([gradient(step, gpt, each) for each in later[:some]])
            gpt.eval()
            whole = torch.stack([gradient(step, gpt, each) for each in later]).sum(0)
            gpt.train()
            variances.append(variance(gradients))
            errors.append(deviation(gradients, whole))
    return variances, errors


ANGLES = Part(
    name="angles",
    kind="EXACT",
    arms=["three axes"],
    measure=angles,
    sizes={"smoke": {}, "cpu": {}, "gpu": {}},
    checks=[
        Below(claim="gradients at right angles vary by 1/2", figure="axes", bound=1e-9),
        Below(claim="equal ones by 0", figure="equal", bound=1e-9),
        Below(
            claim="their error is that of the angle to a diagonal", figure="diagonal", bound=1e-9
        ),
    ],
)
"""Variance and deviation of known directions."""
