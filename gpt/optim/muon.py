"""Muon: orthogonalized momentum for the matrices of blocks, AdamW for all other weights.

torch.optim.Muon makes the same steps, but one matrix at a time and always in bfloat16. Here all
matrices of a shape are multiplied in one batch, in the dtype of the run, and several processes
divide them. A tensor of more than two dimensions, as of experts, is a batch of matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Shard

from gpt.optim.parameters import ParameterKinds
from gpt.spec import optimizer

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of Jordan's quintic: the steepest at 0 that keeps singular values between about 0.7
and 1.2."""


class Muon(torch.optim.Optimizer):
    """M ← μ M + (1 - μ) G;  W ← W - lr · √max(1, rows/columns) · NS((1 - μ) G + μ M).

    Jordan 2024, https://kellerjordan.github.io/posts/muon. The first parameter group has the
    matrices. The others belong to a torch.optim.AdamW that shares their dicts and the state, so
    learning rates are set and checkpoints written as for a single optimizer.
    """

    def __init__(self, spec: optimizer.Muon, kinds: ParameterKinds, dtype: torch.dtype) -> None:
        matrices = {
            "params": [*kinds.matrices, *kinds.ups],
            "lr": spec.lr,
            "weight_decay": spec.weight_decay,
        }
        others = [
            {"params": parameters, "lr": lr, "weight_decay": 0.0}
            for parameters, lr in (
                (kinds.embeddings, spec.embedding_lr),
                (kinds.head, spec.head_lr),
                (kinds.scales, spec.scale_lr),
            )
            if parameters
        ]
        # Of adapters all weights are matrices, and torch's AdamW wants a group.
        others = others or [{"params": [], "lr": spec.scale_lr, "weight_decay": 0.0}]
        super().__init__([matrices, *others], {})
        self.spec, self.dtype = spec, dtype
        self._adamw = torch.optim.AdamW(
            self.param_groups[1:], betas=spec.betas, eps=spec.eps, fused=True
        )
        self._adamw.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all weights; *closure*, if given, computes the gradients and returns the loss."""
        loss: float | None = self._adamw.step(closure)
        group = self.param_groups[0]
        # Matrices of one shape are stacked, so that Newton-Schulz runs once for each shape.
        shapes: dict[torch.Size, list[tuple[Tensor, Tensor, Tensor]]] = {}
        for parameter in group["params"]:
            if parameter.grad is not None:
                row = (parameter, parameter.grad, self._momentum_buffer(parameter))
                shapes.setdefault(parameter.shape, []).append(row)
        for shape, rows in shapes.items():
            parameters, grads, momenta = (list(column) for column in zip(*rows, strict=True))
            torch._foreach_lerp_(momenta, grads, 1 - self.spec.momentum)
            # Nesterov: the gradient counts once more in the update than in the momentum.
            updates = torch._foreach_lerp(grads, momenta, self.spec.momentum)
            orthogonal = self._orthogonalize(torch.stack(updates))
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            # A tall orthogonal matrix shrinks the RMS of its outputs by √(columns / rows).
            lr = group["lr"] * math.sqrt(max(1, shape[-2] / shape[-1]))
            torch._foreach_add_(parameters, orthogonal.unbind(), alpha=-lr)
        return loss

    def _orthogonalize(self, matrices: Tensor) -> Tensor:
        """Orthogonalize each of *matrices* (N, ..., rows, columns), float32, in the run's dtype."""
        if not isinstance(matrices, DTensor):
            flat = matrices.to(self.dtype).flatten(0, -3)
            return self._orthogonalize_in_parts(flat).float().view(matrices.shape)
        if matrices.ndim > 3:
            return self._orthogonalize_experts(matrices)
        # Sharded, each process has a slice of every matrix, but the products need complete ones:
        # each process gets some of the N matrices, and the results are sharded as before.
        complete = matrices.redistribute(placements=[Shard(0)]).to(self.dtype)
        orthogonal = orthogonalize(complete, self.spec.iterations).float()
        return cast(DTensor, orthogonal).redistribute(placements=matrices.placements)

    def _orthogonalize_experts(self, matrices: DTensor) -> Tensor:
        """Orthogonalize *matrices* (N, E, rows, columns), of which each process has some experts.

        Their matrices are complete, so no process needs anything of others.
        """
        local = matrices.to_local()
        flat = local.to(self.dtype).flatten(0, -3)
        orthogonal = orthogonalize(flat, self.spec.iterations).float().view(local.shape)
        return DTensor.from_local(
            orthogonal,
            matrices.device_mesh,
            matrices.placements,
            shape=matrices.shape,
            stride=matrices.stride(),
        )

    def _orthogonalize_in_parts(self, matrices: Tensor) -> Tensor:
        """Orthogonalize *matrices*, which all processes have, each process some of them.

        Each matrix is computed once, so the weights of all processes stay equal bit for bit.
        """
        size = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
        if size == 1:
            return orthogonalize(matrices, self.spec.iterations)
        count = -(-len(matrices) // size)
        padding = matrices.new_zeros(count * size - len(matrices), *matrices.shape[1:])
        part = torch.cat((matrices, padding)).chunk(size)[dist.get_rank()]
        results = part.new_empty(count * size, *part.shape[1:])
        dist.all_gather_into_tensor(results, orthogonalize(part, self.spec.iterations).contiguous())
        return results[: len(matrices)]

    def _momentum_buffer(self, parameter: nn.Parameter) -> Tensor:
        state: dict[str, Any] = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def orthogonalize(matrices: Tensor, iterations: int) -> Tensor:
    """Move each of *matrices* (N, rows, columns) close to the nearest orthogonal one: U Vᵀ.

    The Newton-Schulz iteration X ← a X + (b X Xᵀ + c (X Xᵀ)²) X from X / ‖X‖, on the shorter side.
    A matrix of zeros is unchanged.
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(iterations):
        gram = x @ x.mT  # (N, shorter, shorter)
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x.mT if tall else x
