"""Value residual: the values of attention are mixed with those of the first layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpt.nn.mechanism import Mechanism
from gpt.nn.site import Site
from gpt.spec import embedding


class ValueResidual(Mechanism):
    """v_n → λ_n v_1 + μ_n v_n in all layers n but the first. Zhou 2024, arXiv:2410.17897."""

    first: Tensor
    own: Tensor

    def __init__(self, spec: embedding.ValueResidual, site: Site) -> None:
        super().__init__()
        layers = site.architecture.layers - 1
        for name, weight in (("first", spec.first), ("own", spec.own)):
            weights = torch.full((layers,), weight)
            if spec.learned:
                setattr(self, name, nn.Parameter(weights))
            else:
                self.register_buffer(name, weights, persistent=False)

    def forward(self, values: Tensor, layer: int, kept: list[Tensor]) -> Tensor:
        """Mix the *values* of *layer*, (..., width), with those in *kept*.

        There the first layer, 0, leaves its own.
        """
        if layer == 0:
            kept[:] = [values]
            return values
        first, own = self.first[layer - 1], self.own[layer - 1]
        return first.to(values.dtype) * kept[0] + own.to(values.dtype) * values
