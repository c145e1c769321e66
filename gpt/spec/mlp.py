"""Specs of MLPs."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from gpt.spec.checks import above_zero
from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class MLP(Part):
    """Two linear layers with an activation between them; gated, the product with a third.

    Gated with silu it is SwiGLU, with gelu GEGLU, with relu ReGLU (Shazeer 2020, arXiv:2002.05202).
    """

    activation: Literal["relu", "relu2", "gelu", "gelu_tanh", "silu"] = "relu2"
    """Activation: relu2 is squared ReLU (So 2021, Primer, arXiv:2109.08668), gelu_tanh the
    approximation of GELU in GPT-2 (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""
    gated: bool = False
    """Multiply the activations by another linear layer of the input."""
    hidden: int | None = None
    """Width of the hidden layer. [default: 4 x width; gated, 8/3 x width, rounded up to a multiple
    of 64, which has about as many parameters]"""

    def __post_init__(self) -> None:
        above_zero(hidden=self.hidden)

    def hidden_width(self, width: int) -> int:
        """Return the width of the hidden layer in a model of *width*."""
        if self.hidden is not None:
            return self.hidden
        return 64 * math.ceil(width * 8 / 3 / 64) if self.gated else 4 * width

    def resolved(self, width: int) -> MLP:
        """Return the spec with the width of the hidden layer in a model of *width*."""
        return dataclasses.replace(self, hidden=self.hidden_width(width))
