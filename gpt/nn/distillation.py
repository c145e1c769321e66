"""Distillation computed from the last hidden states in chunks, without all probabilities at once.

The probabilities of a teacher are as large as the logits of `gpt.nn.loss`, so they are computed
with them, chunk by chunk. N: number of tokens, V: vocabulary size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.data.batch import IGNORED
from gpt.nn.loss import Cap, average_of, cast_together, chunks, losses_under, predicted


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
    hidden, weight = cast_together(student.hidden, student.weight)
    others = [
        LogitFactors(*cast_together(each.hidden.detach(), each.weight.detach()), each.cap)
        for each in teachers
    ]
    sums = _LinearDistillation.apply(
        hidden, weight, targets, student.cap, others, temperature, data_weight
    )
    return Distilled(*sums)


class _LinearDistillation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        cap: Cap | None,
        teachers: Sequence[LogitFactors],
        temperature: float,
        data_weight: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        counted = (targets != IGNORED).float()
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        divergence, nats = torch.zeros(2, device=hidden.device)
        hidden_grad = torch.empty_like(hidden) if needs_hidden else None
        # Summed over all chunks, so float32 even if the products are bfloat16.
        weight_grad = torch.zeros_like(weight, dtype=torch.float32) if needs_weight else None
        for rows, logits, log_probabilities in chunks(hidden, weight, cap):
            target, weights = targets[rows], counted[rows]
            nats += losses_under(log_probabilities, target).nats.sum()
            soft = _softened(log_probabilities, temperature)
            taught = _softened(
                average_of(
                    [predicted(each.hidden[rows], each.weight, each.cap)[1] for each in teachers]
                ),
                temperature,
            )
            probabilities = taught.exp()
            each_divergence = (probabilities * (taught - soft)).sum(-1)
            divergence += (each_divergence * weights).sum()
            if needs_hidden or needs_weight:
                # With respect to the logits: of KL (softmax - teacher) / T, of the other
                # softmax - targets.
                grad = soft.exp().sub_(probabilities).mul_((1 - data_weight) * temperature)
                grad.add_(log_probabilities.exp_(), alpha=data_weight)
                columns = target.clamp_min(0)
                grad[torch.arange(len(target), device=target.device), columns] -= data_weight
                if cap is not None:
                    grad *= cap.derivative(logits)
                grad = grad.mul_(weights[:, None]).to(weight.dtype)
                if hidden_grad is not None:
                    hidden_grad[rows] = grad @ weight
                if weight_grad is not None:
                    weight_grad += grad.T @ hidden[rows]
        if weight_grad is not None:
            weight_grad = weight_grad.to(weight.dtype)
        ctx.save_for_backward(hidden_grad, weight_grad)
        ctx.mark_non_differentiable(divergence, nats)
        loss = data_weight * nats + (1 - data_weight) * temperature**2 * divergence
        return loss, divergence, nats

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden_grad, weight_grad = (
            saved if saved is None else saved * grads[0] for saved in ctx.saved_tensors
        )
        return hidden_grad, weight_grad, None, None, None, None, None


def _softened(log_probabilities: Tensor, temperature: float) -> Tensor:
    """Return the log-probabilities of the softmax of the logits divided by *temperature*."""
    if temperature == 1:
        return log_probabilities
    return F.log_softmax(log_probabilities / temperature, -1)
