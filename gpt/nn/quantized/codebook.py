"""Codebooks: the levels that numbers from -1 to 1 are rounded to, and the code of each level.

Levels and codes are those of bitsandbytes 0.50, so that quantized weights can be exchanged with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gpt.spec.quantization import FP4, NF4, Int4

STEPS = 65_535
"""bitsandbytes' CPU kernel for 8 bits rounds to multiples of 2/65535 before it looks up a level, so
one number in 700 gets the second-nearest level. The codes here are the same."""


class Codebook:
    """Up to 256 levels, in the order of their codes."""

    def __init__(self, levels: Sequence[float] | Tensor) -> None:
        self.levels = torch.as_tensor(levels, dtype=torch.float32)
        """The level of each code, float32."""
        order = self.levels.argsort(stable=True)
        ascending = self.levels[order]
        self._bounds = (ascending[1:] + ascending[:-1]) / 2
        self._order = order.to(torch.uint8)

    def codes(self, x: Tensor) -> Tensor:
        """Return the codes of the levels nearest to x, uint8; the lower of two equally near."""
        nearest = torch.bucketize(x, self._bounds.to(x.device), out_int32=True)
        return self._order.to(x.device)[nearest]

    def pairs(self) -> Tensor:
        """Return the two levels of each byte, which has two codes of 4 bits: (256, 2).

        The first code of a byte is its upper half.
        """
        byte = torch.arange(256)
        return self.levels[torch.stack((byte >> 4, byte & 15), dim=-1)]


class DynamicCodebook(Codebook):
    """256 levels: 0, 1, and in each decade from 1e-6 on twice as many as in the one below.

    Dettmers 2015, arXiv:1511.04561. It is for absmax values, which differ by orders of magnitude.
    """

    def __init__(self) -> None:
        levels = [torch.tensor([0.0, 1.0])]
        for decade in range(7):
            edges = torch.linspace(0.1, 1, 2**decade + 1)
            means = 10 ** (decade - 6) * ((edges[:-1] + edges[1:]) / 2)
            levels += [means, -means]
        super().__init__(torch.cat(levels).sort().values)

    def codes(self, x: Tensor) -> Tensor:
        """Return the codes of the levels nearest to x after rounding it: see `STEPS`."""
        # In float64 up to the rounding to float32: the kernel's multiplication and addition are one
        # instruction, which rounds once.
        step = ((x.clamp(-1, 1) + 1) * 0.5).double() * STEPS + 0.5
        return super().codes(2 * step.float().floor() / STEPS - 1)


def _fp4_levels() -> Tensor:
    """Return the levels of FP4 in the order of their codes.

    The order is that of bitsandbytes' GPU kernels, and not that of the bits of an E2M1 number:
    sign, then 0, 1/192, 2/3, 1, 1/3, 1/2, 1/6, 1/4. Nor is 1/192 the subnormal of E2M1, which would
    be 1/12 of the largest.
    """
    magnitudes = torch.tensor([0, 0.0625, 8, 12, 4, 6, 2, 3])
    return torch.cat([magnitudes, -magnitudes]) / 12


CODEBOOKS: Mapping[type, Codebook] = {
    NF4: Codebook(
        [
            -1.0,
            -0.6961928009986877,
            -0.5250730514526367,
            -0.39491748809814453,
            -0.28444138169288635,
            -0.18477343022823334,
            -0.09105003625154495,
            0.0,
            0.07958029955625534,
            0.16093020141124725,
            0.24611230194568634,
            0.33791524171829224,
            0.44070982933044434,
            0.5626170039176941,
            0.7229568362236023,
            1.0,
        ]
    ),
    FP4: Codebook(_fp4_levels()),
    # The last of the 16 codes, 8/7, is nearest to none of the numbers up to 1.
    Int4: Codebook(torch.arange(-7, 9) / 7),
}
"""The codebook of each spec of 4 bits."""
ABSMAX_CODEBOOK = DynamicCodebook()
"""That of absmax values in double quantization."""
