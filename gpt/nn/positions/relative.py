"""Encodings by learned vectors of relative positions, which each layer has for itself.

Products with the vectors are computed once for each query and each distance, and then picked for
each pair of tokens: no vector is copied for a pair. N: number of vectors, D: head_width.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gpt.nn.positions.encoding import PositionEncoding
from gpt.nn.site import Site
from gpt.spec import position


class OfEachLayer(PositionEncoding):
    """An encoding that consists of one for each layer, `of_layer`."""

    of_layer: ClassVar[Any]
    """Makes the encoding of the spec and the site of a layer."""

    def __init__(self, spec: Any, site: Site) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {str(layer): self.of_layer(spec, site.at(layer)) for layer in site.served_layers}
        )

    def in_layer(self, layer: int) -> PositionEncoding:
        """Return the encoding of *layer*."""
        encoding = self.layers[str(layer)]
        assert isinstance(encoding, PositionEncoding)
        return encoding


class ShawLayer(PositionEncoding):
    """The vectors of one layer: `ShawPosition`."""

    biases_scores = True

    def __init__(self, spec: position.Shaw, site: Site) -> None:
        super().__init__()
        attention = site.architecture.attention_in(site.layer)
        self.factor, self.heads = _dot_factor(site), attention.heads
        self.earlier, self.later = spec.distance, 0 if attention.causal else spec.distance
        rows = self.earlier + 1 + self.later
        self.key = nn.Embedding(rows, attention.query_width(site.width))
        self.biases_values = spec.values
        if spec.values:
            self.value = nn.Embedding(rows, attention.output_width(site.width))

    def score_bias(self, queries: Tensor, positions: Tensor, keys: Tensor) -> Tensor:
        """Return q_i a_c / √D: (B, H, T, S)."""
        products = self.factor * queries @ self.key.weight.to(queries.dtype).T  # (B, H, T, N)
        return pick(products, self._rows(positions, keys))

    def value_bias(self, weights: Tensor, positions: Tensor, keys: Tensor) -> Tensor:
        """Return Σ_j α_ij b_c: (B, H, T, D)."""
        rows = self._rows(positions, keys)[:, None].expand(*weights.shape)
        by_row = weights.new_zeros((*weights.shape[:3], self.value.num_embeddings))
        return by_row.scatter_add(-1, rows, weights) @ self.value.weight.to(weights.dtype)

    def mixing_flops(self, context: int) -> int:
        """Count the products with all vectors."""
        return 2 * self.heads * sum(each.numel() for each in self.parameters())

    def _rows(self, positions: Tensor, keys: Tensor) -> Tensor:
        """Return the row of the table for each pair, (B or 1, T, S)."""
        return (keys - positions).clamp(-self.earlier, self.later) + self.earlier


class ShawPosition(OfEachLayer):
    """e_ij = q_i (k_j + a_c) / √D, z_i = Σ_j α_ij (v_j + b_c), c = j - i clipped to -k to k.

    Shaw 2018, arXiv:1803.02155. Each layer has its own a and b, for all heads; with a causal
    pattern there are no vectors of later tokens. Instead of 1 / √D the factor can be another one:
    that of the layer's score.
    """

    of_layer = ShawLayer


class MusicLayer(PositionEncoding):
    """The vectors of one layer: `MusicPosition`."""

    biases_scores = True

    def __init__(self, spec: position.Music, site: Site) -> None:
        super().__init__()
        attention = site.architecture.attention_in(site.layer)
        self.factor, self.query_heads = _dot_factor(site), attention.heads
        self.rows = site.architecture.context if spec.distance is None else spec.distance + 1
        self.heads = attention.heads if spec.per_head else 1
        self.vectors = nn.Embedding(self.heads * self.rows, attention.query_width(site.width))

    def score_bias(self, queries: Tensor, positions: Tensor, keys: Tensor) -> Tensor:
        """Return q_i E_(i - j) / √D: (B, H, T, S)."""
        products = self._products(queries, self._vectors(queries))  # (B, H, T, N)
        return pick(products, (positions - keys).clamp(0, self.rows - 1))

    def row_bias(self, queries: Tensor) -> Tensor:
        """Return the same for complete rows, (B, H, T, T), skewed; undefined for later keys."""
        distances = torch.arange(queries.shape[2] - 1, -1, -1, device=queries.device)
        vectors = self._vectors(queries)[:, distances.clamp(max=self.rows - 1)]
        return skew(self._products(queries, vectors))

    def mixing_flops(self, context: int) -> int:
        """Count the products with the vectors of all distances."""
        return 2 * self.query_heads * context * self.vectors.embedding_dim

    def _vectors(self, queries: Tensor) -> Tensor:
        """Return the vectors by distance, (H or 1, N, D)."""
        return self.vectors.weight.to(queries.dtype).view(self.heads, self.rows, -1)

    def _products(self, queries: Tensor, vectors: Tensor) -> Tensor:
        return self.factor * queries @ vectors.mT


class MusicPosition(OfEachLayer):
    """e_ij = q_i (k_j + E_(i - j)) / √D. Huang 2018 (Music Transformer), arXiv:1809.04281.

    Each layer has its own E, of a vector for each distance, up to the longest, which all longer
    ones share. Heads share E, or have one each. In complete rows the products q_i E_d are skewed;
    while decoding they are picked by distance.
    """

    of_layer = MusicLayer


def _dot_factor(site: Site) -> float:
    """Return the factor of q · k in the scores of the layer; specs ensure that there is one."""
    factor = site.architecture.attention_in(site.layer).dot_factor(site.width)
    assert factor is not None
    return factor


def pick(products: Tensor, rows: Tensor) -> Tensor:
    """Return for each pair of tokens that of its query's *products* which *rows* names.

    (B, H, T, N) and (B or 1, T, S) to (B, H, T, S).
    """
    batch, heads = products.shape[:2]
    return products.gather(-1, rows[:, None].expand(batch, heads, -1, -1))


def skew(x: Tensor) -> Tensor:
    """Move row i of the last two axes, (..., T, T), by T - 1 - i to the left: y_ij = x_i,j+T-1-i.

    What would be left of the first column is undefined in the result, as is all right of the
    diagonal. Huang 2018, arXiv:1809.04281, figure 1: a column is padded, and the rows are cut
    one element later.
    """
    *outer, tokens, _ = x.shape
    padded = torch.nn.functional.pad(x, (1, 0))
    return padded.view(*outer, tokens + 1, tokens)[..., 1:, :]
