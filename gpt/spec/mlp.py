"""Specs of MLPs."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Part

Activation: TypeAlias = Literal[
    "identity",
    "sigmoid",
    "tanh",
    "softsign",
    "softplus",
    "relu",
    "relu2",
    "leaky_relu",
    "prelu",
    "elu",
    "selu",
    "gelu",
    "gelu_tanh",
    "gelu_quick",
    "silu",
    "mish",
    "hardswish",
]
"""Names of activations; `gpt.nn.activation` has their formulas and sources."""


@dataclass(frozen=True, kw_only=True)
class MLP(Part):
    """Two linear layers with an activation between them; gated, the product with a third.

    Gated with silu it is SwiGLU, with gelu GEGLU, with relu ReGLU, with sigmoid GLU, with identity
    bilinear (Shazeer 2020, arXiv:2002.05202).
    """

    convolves: ClassVar[bool] = True

    activation: Activation = "relu2"
    """Activation: relu2 is squared ReLU (So 2021, Primer, arXiv:2109.08668), gelu_tanh the
    approximation of GELU in GPT-2 (Hendrycks and Gimpel 2016, arXiv:1606.08415), gelu_quick that of
    CLIP."""
    gated: bool = False
    """Multiply the activations by another linear layer of the input."""
    limit: float | None = None
    """Limit what the activation of a gated MLP gets to at most this, and what multiplies it to
    -limit and limit (gpt-oss, arXiv:2508.10925). [default: no limit]"""
    offset: float = 0.0
    """Number added to what multiplies the activations of a gated MLP: 1 in gpt-oss."""
    hidden: int | None = None
    """Width of the hidden layer. [default: 4 x width; gated, 8/3 x width, rounded up to a multiple
    of `multiple_of`, which has about as many parameters]"""
    multiple_of: int = 64
    """What the default width of a gated hidden layer is a multiple of; 256 in Llama."""

    def __post_init__(self) -> None:
        above_zero(hidden=self.hidden, multiple_of=self.multiple_of, limit=self.limit)
        if not self.gated and (self.limit is not None or self.offset):
            raise ConfigError("limit and offset are of gated MLPs; set gated, or remove them")

    def resolved(self, width: int) -> MLP:
        """Return this spec for a model of *width*, with its sizes filled in."""
        return dataclasses.replace(self, hidden=self.hidden_width(width), multiple_of=64)

    def hidden_width(self, width: int) -> int:
        """Return the width of the hidden layer in a model of *width*."""
        if self.hidden is not None:
            return self.hidden
        if not self.gated:
            return 4 * width
        return self.multiple_of * math.ceil(8 * width // 3 / self.multiple_of)
