"""The loss: cross-entropy straight from the last hidden states, never all logits at once.

The logits of a batch are its largest tensor by far: 4096 tokens over 50,257 ids are 823 MB in
float32, and again as much for their gradient. Here they are made and used up slice by slice.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.data.batch import IGNORED
from gpt.nn.head import Cap

SLICE = {"cpu": 2**21, "cuda": 2**27}
"""Logits made at a time. On the CPU 8 MB in float32: above 32 MB glibc has the system map and clear
the memory of every tensor anew. On CUDA 512 MB, so that kernels stay large."""

ROWS = 128
"""Rows made at a time at least: below, reading the head costs more than multiplying by it."""


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, cap: Cap) -> Tensor:
    """Mean cross-entropy of ``cap(hidden @ weight.T)`` against *targets*, in nats, float32.

    *hidden* is (N, width), *weight* (vocab, width), *targets* (N,) int64, and those that are
    `IGNORED` do not count; where none does the loss is 0. Equals
    ``F.cross_entropy(cap(F.linear(hidden, weight)).float(), targets)`` else; the gradients are made
    in the forward pass, as Liger does (Hsu 2024, arXiv:2410.10989).
    """
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    loss: Tensor = _LinearCrossEntropy.apply(hidden, weight, targets, cap)
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, cap: Cap) -> Tensor:
        count, vocab = len(targets), len(weight)
        counted = targets != IGNORED
        share = counted / counted.sum().clamp_min(1)  # (N,): what each target weighs in the mean
        targets = targets.clamp_min(0)
        rows = max(ROWS, SLICE[hidden.device.type] // vocab)
        to_hidden, to_weight = ctx.needs_input_grad[:2]
        total = torch.zeros((), device=hidden.device)
        hidden_grad = torch.empty_like(hidden) if to_hidden else None
        weight_grad = torch.zeros_like(weight, dtype=torch.float32) if to_weight else None
        for first in range(0, count, rows):
            part, target = hidden[first : first + rows], targets[first : first + rows]
            logits = cap(F.linear(part, weight))  # (rows, vocab)
            log_probabilities = F.log_softmax(logits, -1, dtype=torch.float32)
            weights = share[first : first + rows]
            # No product of vectors, which autocast would compute, and round, in its own type.
            total -= (log_probabilities.gather(-1, target[:, None])[:, 0] * weights).sum()
            if to_hidden or to_weight:
                # The gradient of cross-entropy by the logits: softmax less the one-hot target.
                grad = log_probabilities.exp_()
                grad[torch.arange(len(target), device=target.device), target] -= 1
                grad = grad.mul_(cap.derivative(logits) * weights[:, None]).to(weight.dtype)
                if hidden_grad is not None:
                    hidden_grad[first : first + rows] = grad @ weight
                if weight_grad is not None:
                    weight_grad += grad.T @ part
        if weight_grad is not None:
            weight_grad = weight_grad.to(weight.dtype)
        ctx.save_for_backward(hidden_grad, weight_grad)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (grad,) = grads
        hidden, weight = (kept if kept is None else kept * grad for kept in ctx.saved_tensors)
        return hidden, weight, None, None
