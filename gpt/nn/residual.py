"""What each block takes as its input instead of the residual stream."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gpt.nn.mechanism import Mechanism
from gpt.nn.site import Site
from gpt.spec import wiring


class Residual(Mechanism):
    """A function from the stream, which is the last of several, to the input of the next block."""

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Return the input of a block.

        *streams* are the token embeddings, and the outputs of all blocks before it.
        """
        raise NotImplementedError


class Lambdas(Residual):
    """x → λ x + μ x₀, x₀ being the token embeddings. Jordan 2024, modded-nanogpt."""

    def __init__(self, spec: wiring.Lambdas, site: Site) -> None:
        super().__init__()
        layers = site.architecture.layers
        self.stream = nn.Parameter(torch.ones(layers))
        self.embedded = nn.Parameter(torch.full((layers,), spec.embedded))

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Mix the stream and its initial value with the two weights of the block."""
        layer = len(streams) - 1
        return self.stream[layer] * streams[-1] + self.embedded[layer] * streams[0]


class UNet(Residual):
    """x → x + w · (output of block n - 1 - i) for block i of the second half of n blocks.

    Ronneberger 2015, arXiv:1505.04597; Jordan 2024, modded-nanogpt.
    """

    def __init__(self, spec: wiring.UNet, site: Site) -> None:
        super().__init__()
        self.layers = site.architecture.layers
        self.weight = nn.Parameter(torch.full((self.layers // 2,), spec.weight))

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Add the output of the mirror image; with an odd number the middle block has none."""
        mirrored = self.layers - len(streams)  # the index of that block
        if mirrored >= len(self.weight):
            return streams[-1]
        weight = self.weight[mirrored].to(streams[-1].dtype)
        return torch.addcmul(streams[-1], streams[mirrored + 1], weight)
