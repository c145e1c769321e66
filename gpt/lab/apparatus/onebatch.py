"""One batch, again and again: the steps and the gradients of the trainer on it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.data.batch import Batch
from gpt.lab.apparatus.texts import english
from gpt.lab.apparatus.training import Run, recipe_of
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE
from gpt.spec.architecture import Architecture
from gpt.spec.serialize import values_of
from gpt.training.step import TrainStep

BYTES = 256
"""Vocabulary of the batch."""


class OneBatch:
    """The same rows for every step: bytes of English, *context* in each of *count*."""

    def __init__(self, count: int, context: int) -> None:
        self.count, self.context = count, context
        self._ids = torch.tensor(list(english().encode()[: count * context + 1]))

    def batch(self, first: int, count: int) -> Batch:
        """Return *count* rows from row *first*."""
        start = first % self.count * self.context
        ids = self._ids[start : start + count * self.context + 1]
        inputs, targets = (each.view(count, -1) for each in (ids[:-1], ids[1:]))
        return Batch(inputs=inputs, targets=targets)


def steps_on(gpt: GPT, rows: OneBatch, *, parts: int = 1, rate: float = 3e-3) -> TrainStep:
    """Return the trainer's steps on *rows*, each of which is made in *parts* forward passes."""
    architecture = Architecture(**values_of(gpt.config, Architecture))
    recipe = recipe_of(architecture, Run(steps=1, data=Path("unread")), seed=0, rate=rate)
    recipe = dataclasses.replace(recipe, batch_size=rows.count // parts, accumulate=parts)
    return TrainStep(gpt, recipe, rows, Runtime.choose("cpu", "float32"), ALONE)


def taken_gradient(gpt: nn.Module) -> Tensor:
    """Return the gradients of all parameters as one vector, and clear them."""
    found = [each.grad.flatten() for each in gpt.parameters() if each.grad is not None]
    gpt.zero_grad()
    return torch.cat(found)


def first_change(gradient: Tensor) -> float:
    """Return the norm of the first change that AdamW makes by *gradient*, at the rate 1."""
    weights = nn.Parameter(torch.zeros_like(gradient))
    weights.grad = gradient
    torch.optim.AdamW([weights], lr=1.0, weight_decay=0.0).step()
    return float(weights.detach().norm())


def mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of *targets* (B, T) in nats per token."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


@torch.no_grad()
def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference, as a fraction of the largest number."""
    return float((ours - theirs).abs().max() / theirs.abs().max())
