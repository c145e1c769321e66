"""Blockwise quantization: each block of numbers is divided by its absmax and rounded to levels.

A tensor is read as one row of n numbers. Codes of 4 bits are packed: two in a byte, the first in
its upper half. Results equal those of bitsandbytes 0.50 on the CPU, bit for bit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.nn.quantized.codebook import ABSMAX_CODEBOOK, Codebook

SMALLEST = 1e-38
"""Least absmax to divide by: a block of zeros has the codes of 0."""


def quantize_blocks(x: Tensor, codebook: Codebook, block: int) -> tuple[Tensor, Tensor]:
    """Return the packed codes of x, uint8 (⌈n/2⌉,), and the absmax of each block, float32.

    A block of an infinity and finite numbers has the codes of NaN and 0.
    """
    rows, absmax = _blocks(x, block)
    scaled = rows * (1 / absmax.clamp(min=SMALLEST))[:, None]
    if x.numel() % block:
        # As bitsandbytes on the CPU: an incomplete block is divided, which rounds differently.
        absmax[-1].clamp_(min=SMALLEST)
        scaled[-1] = rows[-1] / absmax[-1]
    numbers = scaled.clamp(-1, 1).flatten()[: x.numel()]
    codes = codebook.codes(F.pad(numbers, (0, x.numel() % 2)))
    return codes[::2] << 4 | codes[1::2], absmax


def dequantize_blocks(
    codes: Tensor, absmax: Tensor, pairs: Tensor, block: int, shape: torch.Size
) -> Tensor:
    """Invert `quantize_blocks` up to rounding: (*shape*), float32.

    *pairs* are `Codebook.pairs`, on the device of *codes*.
    """
    numbers = F.embedding(codes.int(), pairs).flatten()[: shape.numel()]
    padding = -shape.numel() % block
    blocks = F.pad(numbers, (0, padding)).view(-1, block) if padding else numbers.view(-1, block)
    return blocks.mul_(absmax[:, None]).flatten()[: shape.numel()].view(shape)


def quantize_absmax(absmax: Tensor, block: int) -> tuple[Tensor, Tensor, Tensor]:
    """Quantize *absmax* (n,) again: return codes uint8 (n,), a scale for each *block*, the mean.

    What is quantized is the difference from the mean, since absmax values are all positive.
    """
    mean = absmax.mean()
    rows, scales = _blocks(absmax - mean, block)
    codes = ABSMAX_CODEBOOK.codes(rows * (1 / scales)[:, None])
    codes[scales == 0] = 0
    return codes.flatten()[: absmax.numel()], scales, mean


def dequantize_absmax(
    codes: Tensor, scales: Tensor, mean: Tensor, levels: Tensor, block: int
) -> Tensor:
    """Invert `quantize_absmax` up to rounding: (n,) float32.

    *levels* are those of `ABSMAX_CODEBOOK`, on the device of *codes*.
    """
    numbers = levels[codes.int()]
    padded = F.pad(numbers, (0, -len(codes) % block)).view(-1, block)
    return (padded * scales[:, None]).flatten()[: len(codes)] + mean


def _blocks(x: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Return x as float32 in rows of *block* numbers, padded with zeros, and the absmax of each."""
    flat = x.detach().float().flatten()
    rows = F.pad(flat, (0, -len(flat) % block)).view(-1, block)
    return rows, rows.abs().amax(1)
