"""Scores of queries and keys.

B: batch size, H: heads, T: queries, S: keys, D: head_width. Positions are those in the document,
(B or 1, T, 1) of queries and (B or 1, 1, S) of keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gpt.nn.mechanism import Kind, Mechanism
from gpt.nn.site import Site
from gpt.spec import scoring


class Score(Mechanism):
    """A score of each query and key."""

    scale: float | None = None
    """If the score is the dot product times a number, that number. Fused kernels need it."""
    features: int
    """Length of the product for a pair of a query and a key, for FLOPs; 0 if there is none."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def forward(
        self, queries: Tensor, keys: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Score (B, H, T, D) and (B, H, S, D): (B, H, T, S)."""
        raise NotImplementedError


class ScaledDotScore(Score):
    """q · k / √D, or another factor. Vaswani 2017, arXiv:1706.03762.

    With a cap C: C tanh(q · k / √D / C). Gemma Team 2024, arXiv:2408.00118.
    """

    def __init__(self, spec: scoring.ScaledDot, site: Site) -> None:
        super().__init__(site.width)
        self.factor = spec.factor(site.width)
        self.cap = spec.cap
        self.scale = None if spec.cap else self.factor

    def forward(
        self, queries: Tensor, keys: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Score (B, H, T, D) and (B, H, S, D): (B, H, T, S)."""
        scores = (queries * self.factor) @ keys.mT
        return scores if self.cap is None else self.cap * (scores / self.cap).tanh()


class DotScore(Score):
    """q · k. Luong 2015, arXiv:1508.04025."""

    scale = 1.0

    def __init__(self, spec: scoring.Dot, site: Site) -> None:
        super().__init__(site.width)

    def forward(
        self, queries: Tensor, keys: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Score (B, H, T, D) and (B, H, S, D): (B, H, T, S)."""
        return queries @ keys.mT


class HeadLinear(Mechanism):
    """x_h → W_h x_h: a linear layer for each head, (B, H, T, inputs) to (B, H, T, outputs)."""

    def __init__(self, heads: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.heads = heads
        # One matrix for all heads, the rows of a head one after the other, as in a linear layer.
        self.weight = nn.Parameter(torch.zeros(heads * outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map each head of x by its own matrix."""
        return x @ self.weight.to(x.dtype).view(self.heads, -1, x.shape[-1]).mT

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize as a linear layer: normal, with standard deviation 1/√inputs."""
        nn.init.normal_(self.weight, std=self.weight.shape[1] ** -0.5, generator=generator)

    def weight_flops(self) -> int:
        """Return two operations per weight."""
        return 2 * self.weight.numel()


class HeadVector(HeadLinear):
    """x_h → v_h · x_h: a vector for each head, (B, H, T, inputs) to (B, H, T, 1)."""

    KINDS: ClassVar[Mapping[str, Kind]] = {"weight": "scale"}  # the vectors are no matrix

    def __init__(self, heads: int, inputs: int) -> None:
        super().__init__(heads, inputs, 1)


class GeneralScore(Score):
    """q · W k, computed as Wᵀ q · k. Luong 2015, arXiv:1508.04025.

    W starts as random as a linear layer's, divided by √D, so that scores are as large at first as
    those of the scaled dot product.
    """

    def __init__(self, spec: scoring.General, site: Site) -> None:
        super().__init__(site.width)
        self.query = HeadLinear(site.heads, site.width, site.width)  # Wᵀ

    def initialize(self, generator: torch.Generator) -> None:
        """Divide the matrices by √D."""
        with torch.no_grad():
            self.query.weight.mul_(self.query.weight.shape[1] ** -0.5)

    def forward(
        self, queries: Tensor, keys: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Score (B, H, T, D) and (B, H, S, D): (B, H, T, S)."""
        scores: Tensor = self.query(queries) @ keys.mT
        return scores


class AdditiveScore(Score):
    """v · tanh(W q + U k). Bahdanau 2014, arXiv:1409.0473; "concat" of Luong 2015.

    [W U] is the matrix of Luong's formula, v tanh(W [q; k]).
    """

    def __init__(self, spec: scoring.Additive, site: Site) -> None:
        hidden = spec.hidden or site.width
        super().__init__(hidden)
        self.query = HeadLinear(site.heads, site.width, hidden)
        self.key = HeadLinear(site.heads, site.width, hidden)
        self.vector = HeadVector(site.heads, hidden)

    def forward(
        self, queries: Tensor, keys: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Score (B, H, T, D) and (B, H, S, D): (B, H, T, S), in memory B · H · T · S · hidden."""
        mixed = (self.query(queries)[:, :, :, None] + self.key(keys)[:, :, None]).tanh()
        scores: Tensor = self.vector(mixed.flatten(2, 3))
        return scores.view(mixed.shape[:-1])

    def weight_flops(self) -> int:
        """Return those of W and U: the products with v are those of pairs (`features`)."""
        return self.query.weight_flops() + self.key.weight_flops()


class LocationScore(Score):
    """(W q)_s for the key at position s of its document. Luong 2015, arXiv:1508.04025."""

    def __init__(self, spec: scoring.Location, site: Site) -> None:
        super().__init__(0)
        self.query = HeadLinear(site.heads, site.width, site.architecture.context)

    def forward(
        self, queries: Tensor, keys: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Score the positions of the keys for (B, H, T, D): (B, H, T, S)."""
        scores: Tensor = self.query(queries)  # (B, H, T, context)
        # Slots without a token have negative positions, and no query attends to them.
        rows = key_positions.clamp(min=0)[:, None].expand(*scores.shape[:3], -1)
        # Keys count as zeros, so that their projection has a gradient: DDP waits for every one.
        return scores.gather(-1, rows) + 0 * keys.sum(-1)[:, :, None]
