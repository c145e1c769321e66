"""What each block takes as its input instead of the residual stream."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpt.nn.mechanism import Mechanism
from gpt.nn.site import Site
from gpt.spec import wiring


class Lambdas(Mechanism):
    """x → λ x + μ x₀, x₀ being the token embeddings. Jordan 2024, modded-nanogpt."""

    def __init__(self, spec: wiring.Lambdas, site: Site) -> None:
        super().__init__()
        layers = site.architecture.layers
        self.stream = nn.Parameter(torch.ones(layers))
        self.embedded = nn.Parameter(torch.full((layers,), spec.embedded))

    def forward(self, x: Tensor, x0: Tensor, layer: int) -> Tensor:
        """Mix the residual stream *x* and its initial value *x0* with the weights of *layer*."""
        return self.stream[layer] * x + self.embedded[layer] * x0
