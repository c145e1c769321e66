"""Normalization layers. Shapes: (..., width) in and out."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.mechanism import Mechanism
from gpt.nn.site import Site
from gpt.spec import norm


class Norm(Mechanism):
    """A normalization layer."""


class LayerNorm(Norm):
    """x → (x - mean) / √(var + eps) · weight + bias. Ba 2016, arXiv:1607.06450."""

    def __init__(self, spec: norm.LayerNorm, site: Site) -> None:
        super().__init__()
        self.eps = spec.eps
        self.weight = nn.Parameter(torch.ones(site.width))
        self.bias = nn.Parameter(torch.zeros(site.width)) if spec.bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last axis."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class RMSNorm(Norm):
    """x → x / √(mean(x²) + eps) · weight. Zhang and Sennrich 2019, arXiv:1910.07467."""

    def __init__(self, spec: norm.RMSNorm, site: Site) -> None:
        super().__init__()
        self.eps = spec.eps
        self.shape = (site.width,)
        self.weight = nn.Parameter(torch.ones(site.width)) if spec.weight else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last axis."""
        # The fused kernels need one dtype, and under autocast x can differ from the weight.
        weight = None if self.weight is None else self.weight.to(x.dtype)
        if weight is not None and x.device.type == "cpu" and torch.is_grad_enabled():
            y: Tensor = _RMSNormFunction.apply(x, weight, self.eps)
            return y
        return F.rms_norm(x, self.shape, weight, self.eps)


class _RMSNormFunction(torch.autograd.Function):
    """F.rms_norm with a fused backward pass, for training on the CPU, where torch has none.

    PERF: forward and backward of (4096, 384) take 1.7 ms in float32 on two cores, F.rms_norm 5.0,
    F.layer_norm 0.5. The backward pass calls the fused kernel of layer_norm with a mean of 0, and
    then adds back the term that the kernel subtracts for the derivative of the mean.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        with torch.autocast("cpu", enabled=False):  # which would return bfloat16
            mean_square = torch.linalg.vecdot(x, x).unsqueeze(-1).div_(x.shape[-1])
        scale = mean_square.add_(eps).rsqrt_()
        ctx.save_for_backward(x, scale, weight)
        y: Tensor = (x * scale).mul_(weight)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        x, scale, weight = ctx.saved_tensors
        grad = grads[0].contiguous()
        x_grad, weight_grad, _ = torch.ops.aten.native_layer_norm_backward(
            grad,
            x,
            weight.shape,
            torch.zeros_like(scale),
            scale,
            weight,
            None,
            [True, True, False],
        )
        mean_term = torch.linalg.vecdot(grad, weight).unsqueeze(-1).div_(x.shape[-1])
        return x_grad.addcmul_(mean_term, scale), weight_grad, None


class BatchNorm(Norm):
    """x → (x - mean) / √(var + eps) · weight + bias, over all tokens. arXiv:1502.03167.

    Ioffe and Szegedy 2015. `mean` and `variance` are moving averages of those of each feature over
    a batch, r ← (1 - momentum) r + momentum · batch, which evaluation uses instead. If activations
    are recomputed in the backward pass, each batch counts twice.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, spec: norm.BatchNorm, site: Site) -> None:
        super().__init__()
        self.eps, self.momentum = spec.eps, spec.momentum
        self.weight = nn.Parameter(torch.ones(site.width))
        self.bias = nn.Parameter(torch.zeros(site.width))
        self.register_buffer("mean", torch.zeros(site.width))
        self.register_buffer("variance", torch.ones(site.width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each feature of x (..., width)."""
        y = F.batch_norm(
            x.flatten(0, -2),
            self.mean,
            self.variance,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
        return y.view(x.shape)
