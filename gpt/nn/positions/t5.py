"""Relative position biases of T5, by buckets of distances."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gpt.nn.positions.encoding import PositionEncoding
from gpt.nn.site import Site
from gpt.spec import position


class T5Position(PositionEncoding):
    """score(q_i, k_j) → score + b_h,bucket(j - i), b shared by all layers. arXiv:1910.10683.

    Of N buckets, where tokens attend to no later ones, distances d < N/2 have bucket d, and longer
    ones N/2 + ⌊N/2 · ln(2d/N) / ln(2D/N)⌋ < N, D being the distance from which on they share the
    last. Otherwise earlier and later tokens have half of the buckets each. The bias belongs to
    scores that are not divided by √head_width in T5 itself: score `Dot`.
    """

    biases_scores = True

    def __init__(self, spec: position.T5, site: Site) -> None:
        super().__init__()
        attentions = [site.architecture.attention_in(layer) for layer in site.served_layers]
        self.bidirectional = not all(each.causal for each in attentions)
        self.distance = spec.distance
        self.bias = nn.Embedding(spec.buckets, attentions[0].heads)

    def score_bias(self, queries: Tensor, positions: Tensor, keys: Tensor) -> Tensor:
        """Return the numbers of the buckets: (B or 1, H, T, S)."""
        bias: Tensor = self.bias(self.bucket(keys - positions))  # (B or 1, T, S, H)
        return bias.movedim(-1, 1)

    def row_bias(self, queries: Tensor) -> Tensor:
        """Return the same for complete rows: one look-up for each distance, not for each pair."""
        tokens = queries.shape[2]
        distances = torch.arange(1 - tokens, tokens, device=queries.device)
        by_distance: Tensor = self.bias(self.bucket(distances)).T  # (H, 2 T - 1)
        # Row i is the T numbers from that of distance -i on.
        index = torch.arange(tokens, device=queries.device)
        return by_distance[:, index - index[:, None] + tokens - 1][None]

    def bucket(self, relative: Tensor) -> Tensor:
        """Return the buckets of *relative*, int64: key position minus query position."""
        buckets, first = self.bias.num_embeddings, torch.zeros_like(relative)
        distances = (-relative).clamp(min=0)
        if self.bidirectional:
            buckets //= 2
            first, distances = (relative > 0) * buckets, relative.abs()
        exact = buckets // 2
        # In float32, as in T5: the bounds of the buckets follow from its rounding.
        ratio = (distances.clamp(min=1).float() / exact).log() / math.log(self.distance / exact)
        longer = exact + (ratio * (buckets - exact)).long()
        return first + torch.where(distances < exact, distances, longer.clamp(max=buckets - 1))
