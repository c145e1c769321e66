"""Cross-entropy computed from the last hidden states in chunks, without all logits at once.

The logits of a batch are its largest tensor by far: 4096 tokens over 50,257 ids take 823 MB in
float32, and their gradient as much again. Here each chunk of them is used and discarded.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.data.batch import IGNORED
from gpt.nn.head import Cap

CHUNK_LOGITS = {"cpu": 2**21, "cuda": 2**27}
"""Logits per chunk. On the CPU 8 MB in float32: for tensors above 32 MB glibc maps new memory each
time, which the system clears. On CUDA 512 MB, so that kernels stay large."""

MIN_CHUNK_ROWS = 128
"""Fewest rows per chunk: with fewer, reading the head takes longer than multiplying by it."""


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, cap: Cap) -> Tensor:
    """Return the mean cross-entropy of ``cap(hidden @ weight.T)``, in nats, float32.

    *hidden* is (N, width), *weight* (vocab, width), *targets* (N,) int64. Targets that are
    `IGNORED` do not count; if all are, the loss is 0. Otherwise it equals
    ``F.cross_entropy(cap(F.linear(hidden, weight)).float(), targets)``. The gradients are computed
    in the forward pass, as in Liger (Hsu 2024, arXiv:2410.10989).
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
        target_weights = counted / counted.sum().clamp_min(1)  # (N,), which sum to 1
        targets = targets.clamp_min(0)  # an ignored target is still an index; its weight is 0
        rows = max(MIN_CHUNK_ROWS, CHUNK_LOGITS[hidden.device.type] // vocab)
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        total = torch.zeros((), device=hidden.device)
        hidden_grad = torch.empty_like(hidden) if needs_hidden else None
        # Summed over all chunks, so float32 even if the products are bfloat16.
        weight_grad = torch.zeros_like(weight, dtype=torch.float32) if needs_weight else None
        for start in range(0, count, rows):
            chunk, target = hidden[start : start + rows], targets[start : start + rows]
            logits = cap(F.linear(chunk, weight))  # (rows, vocab)
            log_probabilities = F.log_softmax(logits, -1, dtype=torch.float32)
            weights = target_weights[start : start + rows]
            # Not a dot product, which autocast would compute, and round, in its own dtype.
            total -= (log_probabilities.gather(-1, target[:, None])[:, 0] * weights).sum()
            if needs_hidden or needs_weight:
                # The gradient of cross-entropy with respect to the logits: softmax - one_hot.
                grad = log_probabilities.exp_()
                grad[torch.arange(len(target), device=target.device), target] -= 1
                grad = grad.mul_(cap.derivative(logits) * weights[:, None]).to(weight.dtype)
                if hidden_grad is not None:
                    hidden_grad[start : start + rows] = grad @ weight
                if weight_grad is not None:
                    weight_grad += grad.T @ chunk
        if weight_grad is not None:
            weight_grad = weight_grad.to(weight.dtype)
        ctx.save_for_backward(hidden_grad, weight_grad)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (grad,) = grads
        hidden_grad, weight_grad = (
            saved if saved is None else saved * grad for saved in ctx.saved_tensors
        )
        return hidden_grad, weight_grad, None, None
