"""Distillation computed from the last hidden states in chunks, without all probabilities at once.

The probabilities of a teacher are as large as the logits of `gpt.nn.loss`, so they are computed
with them, chunk by chunk. N: number of tokens, V: vocabulary size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.data.batch import IGNORED
from gpt.nn.loss import Cap, average_of, cast_together, losses_under, predicted, summed_loss


class LogitFactors(NamedTuple):
    """What the logits of a model are computed from: ``cap(hidden @ weight.T)``."""

    hidden: Tensor
    """Last hidden states, (N, width)."""
    weight: Tensor
    """Weight of the head, (V, width)."""
    cap: Cap | None = None
    """The cap of the logits, or None."""


class Distilled(NamedTuple):
    """Sums over the targets that count, in nats, float32 ()."""

    loss: Tensor
    """What is minimized; the others have no gradient."""
    divergence: Tensor
    """KL(teacher || student), both at the temperature."""
    nats: Tensor
    """Cross-entropy of the targets, at temperature 1."""


def linear_distillation(
    student: LogitFactors,
    teachers: Sequence[LogitFactors],
    targets: Tensor,
    *,
    temperature: float,
    data_weight: float,
) -> Distilled:
    """Return w · cross-entropy + (1 - w) · T² · KL(teacher || student), summed over *targets*.

    Hinton 2015, arXiv:1503.02531, with w = *data_weight* and T = *temperature*, by which the logits
    are divided in both terms of the divergence: its gradient falls with 1/T², hence the factor.
    Several *teachers* are one: the average of their probabilities, at temperature 1, whose
    logarithms are its logits (`gpt.generation.ensemble`). *targets* are (N,) int64; where they are
    `IGNORED` nothing counts. No gradient reaches the teachers. That of the student is computed in
    the forward pass, as in `gpt.nn.loss.linear_cross_entropy`, and equals autograd's.
    """
    others = [
        LogitFactors(*cast_together(each.hidden.detach(), each.weight.detach()), each.cap)
        for each in teachers
    ]
    counted, columns = (targets != IGNORED).float(), targets.clamp_min(0)

    def of_rows(
        rows: slice, log_probabilities: Tensor, needs_grad: bool
    ) -> tuple[Tensor, Tensor | None]:
        weights = counted[rows]
        nats = losses_under(log_probabilities, targets[rows]).nats.sum()
        soft = _softened(log_probabilities, temperature)
        taught = average_of(
            [predicted(each.hidden[rows], each.weight, each.cap)[1] for each in others]
        )
        taught = _softened(taught, temperature)
        probabilities = taught.exp()
        divergence = ((probabilities * (taught - soft)).sum(-1) * weights).sum()
        loss = data_weight * nats + (1 - data_weight) * temperature**2 * divergence
        sums = torch.stack((loss, divergence, nats))
        if not needs_grad:
            return sums, None
        # With respect to the logits: of KL (softmax - teacher) / T, of the other softmax - targets.
        grad = soft.exp().sub_(probabilities).mul_((1 - data_weight) * temperature)
        grad.add_(log_probabilities.exp_(), alpha=data_weight)
        grad[torch.arange(len(grad), device=grad.device), columns[rows]] -= data_weight
        return sums, grad.mul_(weights[:, None])

    sums = summed_loss(student.hidden, student.weight, student.cap, of_rows)
    return Distilled(sums[0], *sums[1:].detach())


def _softened(log_probabilities: Tensor, temperature: float) -> Tensor:
    """Return the log-probabilities of the softmax of the logits divided by *temperature*."""
    if temperature == 1:
        return log_probabilities
    return F.log_softmax(log_probabilities / temperature, -1)
