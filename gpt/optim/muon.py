"""Muon: momentum, orthogonalized, for the matrices of the blocks; AdamW for all other weights.

torch.optim.Muon makes the same updates, one matrix after another and always in bfloat16; here all
matrices of a shape are multiplied at once, and the type is that of the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Shard

from gpt.optim.parameters import Weights
from gpt.spec import optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of Jordan's quintic: the steepest at 0 that keeps singular values between about 0.7 and 1.2."""


class Muon(torch.optim.Optimizer):
    """M ← μ M + (1 - μ) G;  W ← W - lr · √max(1, rows/columns) · NS((1 - μ) G + μ M).

    Jordan 2024, https://kellerjordan.github.io/posts/muon. The first group holds the matrices; the
    others are torch.optim.AdamW's, which shares their dicts and the state, so that rates are set
    and checkpoints written as for any optimizer.
    """

    def __init__(self, spec: optimizer.Muon, weights: Weights, dtype: torch.dtype) -> None:
        matrices = {"params": weights.matrices, "lr": spec.lr, "weight_decay": spec.weight_decay}
        others = [
            {"params": parameters, "lr": rate, "weight_decay": 0.0}
            for parameters, rate in (
                (weights.embeddings, spec.embedding_lr),
                (weights.head, spec.head_lr),
                (weights.scales, spec.scale_lr),
            )
            if parameters
        ]
        super().__init__([matrices, *others], {})
        self.spec, self.dtype = spec, dtype
        self._adamw = torch.optim.AdamW(
            self.param_groups[1:], betas=spec.betas, eps=spec.eps, fused=True
        )
        self._adamw.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all weights by their gradients; *closure*, if any, makes them, and the loss."""
        loss: float | None = self._adamw.step(closure)
        group = self.param_groups[0]
        shapes: dict[torch.Size, list[tuple[Tensor, Tensor, Tensor]]] = {}
        for parameter in group["params"]:
            if parameter.grad is not None:
                row = (parameter, parameter.grad, self._memory(parameter))
                shapes.setdefault(parameter.shape, []).append(row)
        for shape, rows in shapes.items():
            parameters, gradients, memories = (list(column) for column in zip(*rows, strict=True))
            torch._foreach_lerp_(memories, gradients, 1 - self.spec.momentum)
            ahead = torch._foreach_lerp(gradients, memories, self.spec.momentum)
            directions = self._directions(torch.stack(ahead))
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            rate = group["lr"] * math.sqrt(max(1, shape[0] / shape[1]))
            torch._foreach_add_(parameters, directions.unbind(), alpha=-rate)
        return loss

    def _directions(self, ahead: Tensor) -> Tensor:
        """Orthogonalize each of the matrices *ahead* (N, rows, columns)."""
        if not isinstance(ahead, DTensor):
            return orthogonalize(ahead.to(self.dtype), self.spec.iterations).float()
        # Every process has a slice of each matrix; for this, each takes some of them as a whole.
        whole = ahead.redistribute(placements=[Shard(0)]).to(self.dtype)
        directions = orthogonalize(whole, self.spec.iterations).float()
        return cast(DTensor, directions).redistribute(placements=ahead.placements)

    def _memory(self, parameter: nn.Parameter) -> Tensor:
        state: dict[str, Any] = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        memory: Tensor = state["momentum_buffer"]
        return memory


def orthogonalize(matrices: Tensor, iterations: int) -> Tensor:
    """Move each of *matrices* (N, rows, columns) close to the nearest orthogonal one: U Vᵀ.

    The Newton-Schulz iteration X ← a X + (b X Xᵀ + c (X Xᵀ)²) X from X / ‖X‖; it works on the
    shorter side. A matrix of zeros stays one.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(iterations):
        gram = x @ x.mT  # (N, shorter, shorter)
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x.mT if tall else x
