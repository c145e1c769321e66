"""`Machine`: how long an optimizer step takes on a machine, as far as it was measured.

The duration of a step is taken as a constant plus a part that is proportional to its FLOPs. On two
cores with AVX512-BF16 a line through two measured models of 2 and 4 layers was within a tenth of
seven others, from 2 x 128 to 6 x 384, in either dtype.
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Dtype: TypeAlias = Literal["float32", "bfloat16"]
"""The precision of matrix products."""

FIXED = 0.2
"""Part of the duration of the first measured step that other steps have, too, whatever their size,
until a second one was measured: 0.1 to 0.4 of the smallest models' steps."""


@dataclass(frozen=True)
class Shape:
    """The sizes on which the duration of a step depends."""

    layers: int
    width: int
    context: int
    vocab_size: int
    tokens: int
    """Tokens of a step."""

    @property
    def flops(self) -> float:
        """FLOPs of a training step: matrices of blocks and head, and the mixing of tokens."""
        weights = block_weights(self.layers, self.width) + self.width * self.vocab_size
        mixing = 12.0 * self.layers * self.width * self.context
        return self.tokens * (6.0 * weights + mixing)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The speed of a machine, and the time that it is used for."""

    seconds: float
    """Training time of a run, unless another is asked for."""
    products: Mapping[Dtype, float]
    """FLOP/s of matrix products alone, by dtype; the dtypes are those that a run can use."""
    other: float
    """FLOP/s of a step if its products took no time: the rest of its work is proportional to them,
    about. On two kinds of CPU it took as long as the products take in float32."""
    steps: Mapping[tuple[Dtype, Shape], float] = field(default_factory=dict)
    """Seconds of the steps that were measured, by dtype and shape; infinite if out of memory."""

    @classmethod
    def cpu(cls, cores: int) -> Machine:
        """Return a CPU before it is measured: cores with AVX2 reach 5e10 to 7e10 FLOP/s each."""
        return cls(seconds=120.0, products={"float32": 5e10 * cores}, other=5e10 * cores)

    @classmethod
    def cuda(cls, peak: float = 3.12e14) -> Machine:
        """Return a GPU before its steps are measured: a third of its *peak*, here the A100's."""
        return cls(seconds=600.0, products={"bfloat16": 0.8 * peak}, other=0.55 * peak)

    def times(self, factor: float) -> Machine:
        """Return a machine that is *factor* times as fast."""
        return Machine(
            seconds=self.seconds,
            products={dtype: factor * flops for dtype, flops in self.products.items()},
            other=factor * self.other,
            steps={key: seconds / factor for key, seconds in self.steps.items()},
        )

    def measured(self, dtype: Dtype, shape: Shape, seconds: float) -> Machine:
        """Return this machine with the duration of another step."""
        return dataclasses.replace(self, steps={**self.steps, (dtype, shape): seconds})

    def step_seconds(self, shape: Shape) -> float:
        """Return the seconds of a step of *shape* in the faster dtype."""
        return self.in_dtype(self.dtype(shape), shape)

    def dtype(self, shape: Shape) -> Dtype:
        """Return the dtype in which a step of *shape* is faster."""
        return min(self.products, key=lambda dtype: self.in_dtype(dtype, shape))

    def is_measured(self, shape: Shape) -> bool:
        """Return whether the duration of *shape* is measured in the faster dtype."""
        return (self.dtype(shape), shape) in self.steps

    def in_dtype(self, dtype: Dtype, shape: Shape) -> float:
        """Return the seconds of a step of *shape* in *dtype*, measured or estimated."""
        if (dtype, shape) in self.steps:
            return self.steps[dtype, shape]
        points = sorted(
            (known.flops, seconds)
            for (name, known), seconds in self.steps.items()
            if name == dtype and math.isfinite(seconds)
        )
        if not points:
            return shape.flops * (1 / self.products[dtype] + 1 / self.other)
        return _on_line(points, shape.flops)

    def described(self) -> str:
        """Return one line with the steps that were measured."""
        shapes = list(dict.fromkeys(shape for _, shape in self.steps))
        return "measured steps on this machine: " + ", ".join(
            f"{shape.layers} layers of width {shape.width}, {shape.tokens:,} tokens: "
            f"{self.step_seconds(shape):.3f} s in {self.dtype(shape)}"
            for shape in shapes
        )


def block_weights(layers: int, width: int) -> float:
    """Weights of the blocks' matrices: 12 x layers x width²."""
    return 12.0 * layers * width**2


def _on_line(points: list[tuple[float, float]], x: float) -> float:
    """Return y at *x* on the line through the *points* beside it, which rises and is positive."""
    if len(points) == 1:
        (x0, y0), rise = points[0], (1 - FIXED) * points[0][1] / points[0][0]
    else:
        right = min(max(bisect(points, (x, 0.0)), 1), len(points) - 1)
        (x0, y0), (x1, y1) = points[right - 1], points[right]
        rise = max(0.0, (y1 - y0) / (x1 - x0)) if x1 > x0 else y0 / x0
    return max(y0 + rise * (x - x0), y0 * min(1.0, x / x0))
