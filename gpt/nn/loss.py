"""Cross-entropy computed from the last hidden states in chunks, without all logits at once.

The logits of a batch are its largest tensor by far: 4096 tokens over 50,257 ids take 823 MB in
float32, and their gradient as much again. Here each chunk of them is used and discarded. N: number
of tokens, V: vocabulary size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gpt.data.batch import IGNORED

CHUNK_LOGITS = {"cpu": 2**21, "cuda": 2**27}
"""Logits per chunk. On the CPU 8 MB in float32: for tensors above 32 MB glibc maps new memory each
time, which the system clears. On CUDA 512 MB, so that kernels stay large."""

MIN_CHUNK_ROWS = 128
"""Fewest rows per chunk: with fewer, reading the head takes longer than multiplying by it."""


class Cap(Protocol):
    """A bound on logits, as in `gpt.nn.head`."""

    def __call__(self, logits: Tensor) -> Tensor:
        """Cap *logits*, elementwise."""

    def derivative(self, capped: Tensor) -> Tensor:
        """Return the derivative of *capped* with respect to the logits."""


class TokenLosses(NamedTuple):
    """How well each target is predicted."""

    nats: Tensor
    """Cross-entropy, (N,) float32; 0 for targets that are `IGNORED`."""
    hits: Tensor
    """Whether no other token has a higher logit, (N,) bool; false for those that are `IGNORED`."""


class TokenLikelihoods(NamedTuple):
    """How probable each target is, and how sure the prediction of it."""

    log_p: Tensor
    """Log-probability, float32; 0 for targets that are `IGNORED`."""
    entropy: Tensor
    """Entropy of the prediction in nats, float32, without gradient; 0 for these, too."""


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, cap: Cap | None, smoothing: float = 0.0
) -> Tensor:
    """Return the summed cross-entropy of ``cap(hidden @ weight.T)``, in nats, float32.

    *hidden* is (N, width), *weight* (V, width), *targets* (N,) int64. Targets that are `IGNORED` do
    not count. With label *smoothing* ε (Szegedy 2015, arXiv:1512.00567) a target has the
    probability 1 - ε + ε / V, and every other token ε / V. The result equals ``F.cross_entropy``
    of float32 logits with ``reduction="sum"`` and ``label_smoothing``.
    """
    counted = (targets != IGNORED).float()
    columns = targets.clamp_min(0)  # an ignored target is still an index; its weight is 0

    def of_rows(
        rows: slice, log_probabilities: Tensor, needs_grad: bool
    ) -> tuple[Tensor, Tensor | None]:
        target, weights = columns[rows], counted[rows]
        # Not a dot product, which autocast would compute, and round, in its own dtype.
        likelihood = log_probabilities.gather(-1, target[:, None])[:, 0]
        if smoothing:
            likelihood = likelihood.lerp(log_probabilities.mean(-1), smoothing)
        sums = -(likelihood * weights).sum()[None]
        if not needs_grad:
            return sums, None
        # The gradient of cross-entropy with respect to the logits: softmax - targets.
        grad = log_probabilities.exp_()
        grad[torch.arange(len(target), device=target.device), target] -= 1 - smoothing
        if smoothing:
            grad -= smoothing / grad.shape[1]
        return sums, grad.mul_(weights[:, None])

    return summed_loss(hidden, weight, cap, of_rows)[0]


class RowsLoss(Protocol):
    """The loss of some rows of logits."""

    def __call__(
        self, rows: slice, log_probabilities: Tensor, needs_grad: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return sums over *rows*, (k,) float32, and if it is needed the gradient of the first.

        *log_probabilities* (rows, V) can be overwritten. The gradient, of their shape, is that with
        respect to the logits, after the cap.
        """


def summed_loss(hidden: Tensor, weight: Tensor, cap: Cap | None, of_rows: RowsLoss) -> Tensor:
    """Return the sums of *of_rows* over the chunks of ``cap(hidden @ weight.T)``, (k,).

    Only the first has a gradient, with respect to *hidden* and *weight*. It is computed in the
    forward pass, as in Liger (Hsu 2024, arXiv:2410.10989).
    """
    hidden, weight = cast_together(hidden, weight)
    sums: Tensor = _SummedLoss.apply(hidden, weight, cap, of_rows)
    return sums


@torch.no_grad()
def token_losses(hidden: Tensor, weight: Tensor, targets: Tensor, cap: Cap | None) -> TokenLosses:
    """Return the cross-entropy of each token, without gradients; arguments as above."""
    hidden, weight = cast_together(hidden, weight)
    nats = torch.zeros(len(targets), device=hidden.device)
    hits = torch.zeros(len(targets), dtype=torch.bool, device=hidden.device)
    for rows, _, log_probabilities in chunks(hidden, weight, cap):
        nats[rows], hits[rows] = losses_under(log_probabilities, targets[rows])
    return TokenLosses(nats, hits)


def token_likelihoods(
    hidden: Tensor, weight: Tensor, targets: Tensor, cap: Cap | None, temperature: float = 1.0
) -> TokenLikelihoods:
    """Return the log-probability of each token, with gradients; arguments as above, and (N,) each.

    Logits are divided by *temperature*. What a caller makes of the log-probabilities is not known
    in the forward pass, so the backward pass computes the logits of each chunk again.
    """
    hidden, weight = cast_together(hidden, weight)
    size = _chunk_rows(weight)
    parts = [
        checkpoint(
            _likelihoods,
            hidden[start : start + size],
            weight,
            targets[start : start + size],
            cap,
            temperature,
            use_reentrant=False,
        )
        for start in range(0, len(hidden), size)
    ]
    return TokenLikelihoods(*map(torch.cat, zip(*parts, strict=True)))


def _likelihoods(
    hidden: Tensor, weight: Tensor, targets: Tensor, cap: Cap | None, temperature: float
) -> TokenLikelihoods:
    """Compute `token_likelihoods` of one chunk."""
    logits = F.linear(hidden, weight)
    if cap is not None:
        logits = cap(logits)
    log_probabilities = F.log_softmax(logits / temperature, -1, dtype=torch.float32)
    counted = targets != IGNORED
    log_p = log_probabilities.gather(-1, targets.clamp_min(0)[:, None])[:, 0]
    with torch.no_grad():
        entropy = -(log_probabilities.exp() * log_probabilities).sum(-1)
    return TokenLikelihoods(torch.where(counted, log_p, 0), torch.where(counted, entropy, 0))


def losses_under(log_probabilities: Tensor, targets: Tensor) -> TokenLosses:
    """Return the cross-entropy of each of *targets* (N,) under *log_probabilities* (N, V)."""
    counted = targets != IGNORED
    likelihood = log_probabilities.gather(-1, targets.clamp_min(0)[:, None])[:, 0]
    hits = counted & (likelihood >= log_probabilities.amax(-1))
    return TokenLosses(torch.where(counted, -likelihood, 0), hits)


def average_of(log_probabilities: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the average of the probabilities of several models."""
    if len(log_probabilities) == 1:
        return log_probabilities[0]
    return torch.stack(list(log_probabilities)).logsumexp(0) - math.log(len(log_probabilities))


def cast_together(hidden: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in the dtype of autocast, if it is enabled."""
    device = hidden.device.type
    if not torch.is_autocast_enabled(device):
        return hidden, weight
    dtype = torch.get_autocast_dtype(device)
    return hidden.to(dtype), weight.to(dtype)


def chunks(
    hidden: Tensor, weight: Tensor, cap: Cap | None
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield a slice of the rows, their logits, and their log-probabilities in float32.

    Without any rows, there is one slice of none.
    """
    size = _chunk_rows(weight)
    for start in range(0, max(1, len(hidden)), size):
        rows = slice(start, start + size)
        yield rows, *predicted(hidden[rows], weight, cap)


def predicted(hidden: Tensor, weight: Tensor, cap: Cap | None) -> tuple[Tensor, Tensor]:
    """Return the logits of *hidden* (rows, width), and their log-probabilities in float32."""
    logits = F.linear(hidden, weight)  # (rows, V)
    if cap is not None:
        logits = cap(logits)
    return logits, F.log_softmax(logits, -1, dtype=torch.float32)


def _chunk_rows(weight: Tensor) -> int:
    """Return the rows of a chunk of logits by the head's *weight* (V, width)."""
    return max(MIN_CHUNK_ROWS, CHUNK_LOGITS[weight.device.type] // len(weight))


class _SummedLoss(torch.autograd.Function):
    """`summed_loss`, with the gradients of the first sum."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, cap: Cap | None, of_rows: RowsLoss
    ) -> Tensor:
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        hidden_grad = torch.empty_like(hidden) if needs_hidden else None
        # Summed over all chunks, so float32 even if the products are bfloat16.
        weight_grad = torch.zeros_like(weight, dtype=torch.float32) if needs_weight else None
        total = torch.zeros((), device=hidden.device)
        for rows, logits, log_probabilities in chunks(hidden, weight, cap):
            sums, grad = of_rows(rows, log_probabilities, needs_hidden or needs_weight)
            total = total + sums
            if grad is None:
                continue
            if cap is not None:
                grad *= cap.derivative(logits)
            grad = grad.to(weight.dtype)
            if hidden_grad is not None:
                hidden_grad[rows] = grad @ weight
            if weight_grad is not None:
                weight_grad += grad.T @ hidden[rows]
        if weight_grad is not None:
            weight_grad = weight_grad.to(weight.dtype)
        ctx.save_for_backward(hidden_grad, weight_grad)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden_grad, weight_grad = (
            saved if saved is None else saved * grads[0][0] for saved in ctx.saved_tensors
        )
        return hidden_grad, weight_grad, None, None
