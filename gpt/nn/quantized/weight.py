"""Quantized matrices, and products with them.

A matrix is (outputs, inputs), or (experts, outputs, inputs). Its tensors are frozen parameters, so
that they are saved, moved and counted as those of any layer. What is computed with is dequantized
for one product at a time, again in the backward pass, and never kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.errors import ConfigError
from gpt.nn.mechanism import Mechanism
from gpt.nn.quantized.blocks import (
    dequantize_absmax,
    dequantize_blocks,
    quantize_absmax,
    quantize_blocks,
)
from gpt.nn.quantized.codebook import ABSMAX_CODEBOOK, CODEBOOKS
from gpt.spec.quantization import ABSMAX_BLOCK, FP4, NF4, FourBit, Int4, Int8, Quantization

MAX_INT8_ROWS = 16
"""Most rows for which torch's kernel for int8 weights is used. PERF: with a linear layer of 500,000
weights, one row takes 9 us in int8 and 25 in bfloat16; 16 rows take 76 in int8; 64 rows take 270
in int8 and 140 in bfloat16."""
INT8_INPUTS = 16
"""That kernel needs a multiple of as many inputs: otherwise it reads past the end of a row."""

Multiply: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""The product of rows (..., inputs) and a matrix (..., outputs, inputs): (..., outputs)."""


class QuantizedWeight(Mechanism):
    """A frozen matrix of *shape* in few bits."""

    shape: torch.Size
    dtype = torch.float32
    """That of the matrix when it is dequantized, unless another is asked for."""

    @property
    def device(self) -> torch.device:
        """Device of its tensors."""
        return next(self.parameters()).device

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the dequantized matrix, a new tensor."""
        raise NotImplementedError

    def matmul(self, x: Tensor) -> Tensor:
        """Return x (..., inputs) times the matrix, transposed, in the dtype of x; for inference."""
        return F.linear(x, self.dense(x.dtype))

    def packed_parameters(self) -> int:
        """Return the weights of the matrix without the number of its own parameters."""
        return self.shape.numel() - sum(each.numel() for each in self.parameters())


class BlockWeight(QuantizedWeight):
    """Codes of 4 bits, and an absmax for each block: of 32 bits, or of 8 (double quantization)."""

    pairs: Tensor
    """The two levels of each byte of codes: (256, 2)."""
    levels: Tensor
    """The levels of absmax values: (256,)."""

    def __init__(self, weight: Tensor, spec: FourBit) -> None:
        super().__init__()
        self.shape, self.spec = weight.shape, spec
        codes, absmax = quantize_blocks(weight, CODEBOOKS[type(spec)], spec.block)
        self.codes = _frozen(codes)
        self.absmax_scale = self.absmax_mean = None
        if spec.double:
            absmax, scale, mean = quantize_absmax(absmax, ABSMAX_BLOCK)
            self.absmax_scale, self.absmax_mean = _frozen(scale), _frozen(mean[None])
        self.absmax = _frozen(absmax)
        pairs, levels = CODEBOOKS[type(spec)].pairs(), ABSMAX_CODEBOOK.levels
        self.register_buffer("pairs", pairs.to(weight.device), persistent=False)
        self.register_buffer("levels", levels.to(weight.device), persistent=False)

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the dequantized matrix, a new tensor."""
        absmax: Tensor = self.absmax
        if self.absmax_scale is not None and self.absmax_mean is not None:
            scale, mean = self.absmax_scale, self.absmax_mean
            absmax = dequantize_absmax(absmax, scale, mean, self.levels, ABSMAX_BLOCK)
        block = self.spec.block
        return dequantize_blocks(self.codes, absmax, self.pairs, block, self.shape).to(dtype)


class RowWeight(QuantizedWeight):
    """Integers, -127 to 127, times a scale for each output, which is absmax / 127."""

    def __init__(self, weight: Tensor, dtype: torch.dtype = torch.float32) -> None:
        """Quantize *weight*, with scales in *dtype*."""
        super().__init__()
        self.shape = weight.shape
        scale = weight.abs().amax(-1, keepdim=True).clamp(min=1e-12) / 127
        self.codes = _frozen((weight / scale).round().to(torch.int8))
        self.scale = _frozen(scale[..., 0].to(dtype))

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the dequantized matrix, a new tensor."""
        return self.codes.to(dtype) * self.scale.to(dtype)[..., None]

    def matmul(self, x: Tensor) -> Tensor:
        """Return x (..., inputs) times the matrix, transposed, in the dtype of x; for inference."""
        # PERF: a look-up in the dictionary, not by the attribute, saves 1 us of 15 for each layer.
        scale: Any = self._parameters["scale"]
        inputs = x.shape[-1]
        small = x.numel() <= MAX_INT8_ROWS * inputs and inputs % INT8_INPUTS == 0
        if small and x.is_cpu and x.dtype == scale.dtype == torch.bfloat16:
            rows, codes = x.flatten(0, -2).contiguous(), self._parameters["codes"]
            y: Tensor = torch._weight_int8pack_mm(rows, codes, scale)  # type: ignore[arg-type]
            return y.view(*x.shape[:-1], -1)
        return super().matmul(x)


WEIGHTS: Mapping[type, Callable[[Tensor, Any], QuantizedWeight]] = {
    NF4: BlockWeight,
    FP4: BlockWeight,
    Int4: BlockWeight,
    Int8: lambda weight, spec: RowWeight(weight),
}
"""The quantized matrix of each spec."""
Weight: TypeAlias = Tensor | QuantizedWeight


def quantized(weight: Tensor, spec: Quantization) -> QuantizedWeight:
    """Return *weight* quantized by *spec*; raises ConfigError if it is not finite."""
    weight = weight.detach()
    if not weight.isfinite().all():
        raise ConfigError("it has weights that are NaN or infinite, which cannot be quantized")
    return WEIGHTS[type(spec)](weight, spec)


def dense(weight: Weight, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return *weight* as a tensor: itself, or dequantized to *dtype*."""
    return weight.dense(dtype) if isinstance(weight, QuantizedWeight) else weight


def matmul(x: Tensor, weight: Weight) -> Tensor:
    """Return x (..., inputs) times *weight*, transposed: (..., outputs); for inference."""
    return weight.matmul(x) if isinstance(weight, QuantizedWeight) else F.linear(x, weight)


def product(x: Tensor, weight: Weight, multiply: Multiply = F.linear) -> Tensor:
    """Return x (..., inputs) times *weight*, transposed: (..., outputs), by *multiply*.

    The gradient of x is computed with *weight* dequantized again; there is none of *weight*.
    """
    if not isinstance(weight, QuantizedWeight):
        return multiply(x, weight)
    y: Tensor = _Product.apply(x, weight, multiply)
    return y


def linear(x: Tensor, weight: Weight, bias: Tensor | None) -> Tensor:
    """Return x (..., inputs) times *weight*, transposed, plus *bias*: (..., outputs)."""
    if not isinstance(weight, QuantizedWeight):
        return F.linear(x, weight, bias)
    y = product(x, weight)
    return y if bias is None else y + bias.to(y.dtype)


class _Product(torch.autograd.Function):
    """A product that keeps neither its input nor the dequantized matrix for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: QuantizedWeight, multiply: Multiply) -> Tensor:
        """Return x times *weight*, in the dtype of autocast, if it is enabled, or of x."""
        ctx.weight, ctx.multiply, ctx.dtype = weight, multiply, x.dtype
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        return multiply(x, weight.dense(x.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of x."""
        matrix = ctx.weight.dense(gradient.dtype)
        return ctx.multiply(gradient, matrix.mT).to(ctx.dtype), None, None


def _frozen(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)
