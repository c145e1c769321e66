"""Short causal convolutions over the tokens, each feature by itself, with a residual connection.

Shapes: (B, T, width) in and out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.mechanism import Kind, Mechanism
from gpt.nn.site import Site
from gpt.nn.state import Constant
from gpt.spec import convolution, embedding
from gpt.spec.convolution import Point


class ShortConvolution(Mechanism):
    """x_t → x_t + Σ_d w_d ⊙ x_(t-d), with x = 0 before the first token of a document.

    The distances d, and what has their weights, are the subclass's.
    """

    def __init__(self, width: int, distances: range) -> None:
        super().__init__()
        self.width, self.distances, self.reach = width, distances, distances[-1]

    def taps(self) -> Tensor:
        """Return the weights by distance, (distances, width)."""
        raise NotImplementedError

    def forward(
        self, x: Tensor, state: LatestTokens | None = None, document_ids: Tensor | None = None
    ) -> Tensor:
        """Convolve x, which continues the tokens in *state*; that gets those of x.

        With *document_ids* (B, T), only tokens of one document are mixed.
        """
        if state is None:
            padded = F.pad(x, (0, 0, self.reach, 0))
        else:
            padded = torch.cat((state.append(x), x), dim=1)
        y, tokens = x, x.shape[1]
        for distance, weight in zip(self.distances, self.taps().to(x.dtype), strict=True):
            earlier = padded[:, self.reach - distance :][:, :tokens]
            if document_ids is not None and distance:
                earlier = earlier * _same_document(document_ids, distance)[:, :, None]
            y = torch.addcmul(y, earlier, weight)
        return y

    def weight_flops(self) -> int:
        """Count a product for each distance and feature."""
        return 2 * len(self.distances) * self.width

    def new_state(self, batch: int, dtype: torch.dtype) -> LatestTokens:
        """Create what *batch* rows keep: the tokens that later ones are mixed with."""
        shape, device = (batch, self.reach, self.width), self.taps().device
        return LatestTokens(torch.zeros(shape, dtype=dtype, device=device))


class TokenShift(ShortConvolution):
    """e_t → e_t + μ ⊙ e_(t-1): the shortest convolution. Peng 2023 (RWKV), arXiv:2305.13048.

    RWKV mixes the inputs of every layer like this; here only the embeddings, as in the "smear" of
    modded-nanogpt.
    """

    def __init__(self, spec: embedding.TokenShift, site: Site) -> None:
        super().__init__(site.width, range(1, 2))
        self.fraction = nn.Parameter(torch.full((site.width,), spec.fraction))

    def taps(self) -> Tensor:
        """Return the weight of the previous token."""
        return self.fraction[None]


class Canon(ShortConvolution):
    """x_t → x_t + Σ_d w_d ⊙ x_(t-d), d from 0 to kernel - 1. Allen-Zhu 2025, ssrn.5240330."""

    KINDS: ClassVar[Mapping[str, Kind]] = {"weight": "scale"}

    def __init__(self, spec: convolution.Canon, site: Site) -> None:
        super().__init__(site.width, range(spec.kernel))
        self.weight = nn.Parameter(torch.empty(spec.kernel, site.width))

    def taps(self) -> Tensor:
        """Return the weights, that of the token itself first."""
        return self.weight

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize as nn.Conv1d is: uniform up to 1 / √kernel."""
        bound = len(self.distances) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)


def convolution_at(point: Point, site: Site) -> Canon | None:
    """Build the convolution of a block at *point*, for the width of *site*; None without one."""
    spec = site.architecture.convolution
    if spec is None or point not in spec.points:
        return None
    built: Canon = site.build(spec)
    return built


class LatestTokens(Constant):
    """The last few tokens of each row, oldest first; zeros before the first."""

    def append(self, new: Tensor) -> Tensor:
        """Store *new* (B, T, width); return those before them, (B, count, width)."""
        (kept,) = self.tensors
        before = kept.to(new.dtype)
        both = torch.cat((before, new), dim=1)
        self.tensors[0] = both[:, both.shape[1] - before.shape[1] :].to(kept.dtype)
        return before


def _same_document(document_ids: Tensor, distance: int) -> Tensor:
    """Return whether each token is of the same document as that *distance* before: (B, T)."""
    distance = min(distance, document_ids.shape[1])
    same = document_ids[:, distance:] == document_ids[:, : document_ids.shape[1] - distance]
    return F.pad(same, (distance, 0))
