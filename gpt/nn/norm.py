"""Normalization layers. Shapes: (..., width) in and out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.mechanism import Kind, Mechanism
from gpt.nn.site import Site
from gpt.spec import norm


class Norm(Mechanism):
    """A normalization layer."""


class LayerNorm(Norm):
    """x → (x - mean) / √(var + eps) · weight + bias. Ba 2016, arXiv:1607.06450."""

    def __init__(self, spec: norm.LayerNorm, site: Site) -> None:
        super().__init__()
        self.eps, self.shape = spec.eps, (site.width,)
        self.weight = nn.Parameter(torch.ones(site.width)) if spec.weight else None
        self.bias = nn.Parameter(torch.zeros(site.width)) if spec.bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last axis."""
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


class RMSNorm(Norm):
    """x → x / √(mean(x²) + eps) · weight. Zhang and Sennrich 2019, arXiv:1910.07467.

    Partial RMSNorm takes the mean square of the first features only. In bfloat16 all is computed in
    float32 and rounded once; with the cast order of llama, before the product with the weight.
    """

    def __init__(self, spec: norm.RMSNorm, site: Site) -> None:
        super().__init__()
        self.eps, self.rounds_first = spec.eps, spec.cast == "llama"
        self.shape = (site.width,)
        self.part = spec.partial_width(site.width)
        self.weight = nn.Parameter(torch.ones(site.width)) if spec.weight else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last axis."""
        # The fused kernels need one dtype, and under autocast x can differ from the weight.
        weight = None if self.weight is None else self.weight.to(x.dtype)
        if self.part < x.shape[-1]:
            return _scaled(
                x, _inverse_rms(x[..., : self.part], self.eps), weight, self.rounds_first
            )
        y: Tensor
        if weight is not None and x.device.type == "cpu" and torch.is_grad_enabled():
            y = _RMSNormFunction.apply(x, weight, self.eps, self.rounds_first)
        elif weight is not None and self.rounds_first:
            y = F.rms_norm(x, self.shape, None, self.eps) * weight
        else:
            y = F.rms_norm(x, self.shape, weight, self.eps)
        return y


def _inverse_rms(x: Tensor, eps: float) -> Tensor:
    """Return 1 / √(mean(x²) + eps) over the last axis of x (..., width): (..., 1), float32."""
    x = _wide(x)
    with torch.autocast(x.device.type, enabled=False):  # which would return bfloat16
        mean_square: Tensor = torch.linalg.vecdot(x, x).unsqueeze(-1) / x.shape[-1]
    return (mean_square + eps).rsqrt()


def _scaled(x: Tensor, scale: Tensor, weight: Tensor | None, rounds_first: bool) -> Tensor:
    """Return x · *scale* · *weight* in the dtype of *x*; the scale is float32."""
    y = _wide(x) * scale
    if rounds_first:
        y = y.to(x.dtype)
    return (y if weight is None else y.mul_(weight)).to(x.dtype)


def _wide(x: Tensor) -> Tensor:
    """Return *x* in float32, or in its own dtype if that is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class _RMSNormFunction(torch.autograd.Function):
    """RMSNorm with a fused backward pass, for training on the CPU, where torch has none.

    PERF: forward and backward of (4096, 384) take 1.7 ms in float32 on two cores, F.rms_norm 5.0,
    F.layer_norm 0.5. The backward pass calls the fused kernel of layer_norm with a mean of 0, and
    then adds back the term that the kernel subtracts for the derivative of the mean.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, rounds_first: bool) -> Tensor:
        scale = _inverse_rms(x, eps)
        ctx.save_for_backward(x, scale, weight)
        return _scaled(x, scale, weight, rounds_first)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, scale, weight = ctx.saved_tensors
        grad, weight = grads[0].contiguous(), _wide(weight)
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
        mean_term = torch.linalg.vecdot(_wide(grad), weight).unsqueeze(-1) / x.shape[-1]
        x_grad = x_grad.addcmul_(mean_term.to(x.dtype), scale.to(x.dtype))
        return x_grad, weight_grad, None, None


class HeadNorm(Norm):
    """x_h → norm(x_h) · weight_h for each head h: a norm with a scale for each of the heads."""

    KINDS: ClassVar[Mapping[str, Kind]] = {"weight": "scale"}

    def __init__(self, spec: norm.RMSNorm | norm.LayerNorm, heads: int, site: Site) -> None:
        super().__init__()
        self.norm = site.build(dataclasses.replace(spec, weight=False))
        self.weight = nn.Parameter(torch.ones(heads, site.width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last axis of x (B, heads, T, width)."""
        y: Tensor = self.norm(x) * self.weight.to(x.dtype)[:, None]
        return y


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
