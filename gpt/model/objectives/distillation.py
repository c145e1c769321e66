"""Distillation: predict as other models do."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gpt.data.batch import Batch
from gpt.model.model import Model
from gpt.model.objectives.loss import Loss
from gpt.nn.distillation import LogitFactors, linear_distillation
from gpt.nn.head import logit_factors
from gpt.spec import objective


class Distillation:
    """Σ w · -log p(target) + (1 - w) · T² · KL(teacher || student). Hinton 2015, arXiv:1503.02531.

    The sum is over the targets; p and the divergence are those of `gpt.nn.distillation`. The
    *teachers* are frozen, in evaluation mode, and on the device of the batches. An auxiliary loss
    of the student counts once for each target.
    """

    def __init__(self, spec: objective.Distillation, teachers: Sequence[Model]) -> None:
        self.spec, self.teachers = spec, teachers

    def weight(self, batch: Batch) -> float:
        """Return the number of targets of *batch*."""
        return batch.num_targets

    def __call__(self, model: Model, batch: Batch) -> Loss:
        """Return the loss of *model* on *batch*."""
        student, auxiliary = _factors(model, batch)
        with torch.no_grad():
            taught = [_factors(teacher, batch)[0] for teacher in self.teachers]
        distilled = linear_distillation(
            student,
            taught,
            batch.targets.flatten(),
            temperature=self.spec.temperature,
            data_weight=self.spec.data_weight,
        )
        total, count = distilled.loss, (batch.targets >= 0).sum()
        if auxiliary is not None:
            total = total + auxiliary * count
        figures = {"divergence": distilled.divergence, "cross_entropy": distilled.nats}
        return Loss(
            total,
            means={name: torch.stack((each, count.to(each))) for name, each in figures.items()},
        )


def _factors(model: Model, batch: Batch) -> tuple[LogitFactors, Tensor | None]:
    """Return what the logits of *batch* are computed from, and the auxiliary loss of *model*."""
    hidden, head, cap, auxiliary = model.predicted_from(batch)
    return LogitFactors(*logit_factors(head, hidden, model.vocab_size), cap), auxiliary
