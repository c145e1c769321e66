"""Factors of vectors. Shapes: (..., width) in and out."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gpt.nn.mechanism import Mechanism
from gpt.nn.site import Site
from gpt.spec import scale


class Multiplier(Mechanism):
    """x → c x, c being fixed. Shen 2024 (Granite), arXiv:2408.13359."""

    def __init__(self, spec: scale.Multiplier, site: Site) -> None:
        super().__init__()
        self.factor = spec.factor

    def forward(self, x: Tensor) -> Tensor:
        """Multiply all features."""
        return self.factor * x


class RootWidth(Mechanism):
    """x → √width x. Vaswani 2017, arXiv:1706.03762; Gemma Team 2024, arXiv:2403.08295."""

    def __init__(self, spec: scale.RootWidth, site: Site) -> None:
        super().__init__()
        self.factor = math.sqrt(site.width)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply all features."""
        return self.factor * x


class LayerScale(Mechanism):
    """x → λ ⊙ x, λ being learned. Touvron 2021 (CaiT), arXiv:2103.17239."""

    def __init__(self, spec: scale.LayerScale, site: Site) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((site.width,), spec.initial))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply each feature by its own number."""
        return self.weight.to(x.dtype) * x
