"""Attention by pairs of queries and keys: all that follows the projections.

B: batch size, T: queries, S: keys, H: query heads, K: key and value heads, D: width of a query and
a key, E: width of a value.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from gpt.nn.attention.kernels import general, masked_bias, prefers_written_out, sdpa, written_out
from gpt.nn.attention.normalizers import Normalizer
from gpt.nn.attention.patterns import Pattern
from gpt.nn.attention.scores import Score
from gpt.nn.context import Context
from gpt.nn.dropout import Dropout
from gpt.nn.mechanism import Mechanism
from gpt.nn.site import Site
from gpt.nn.state import Ring
from gpt.spec import attention


class PairwiseAttention(Mechanism):
    """normalize(score(q, k) + bias) v over the pairs that the pattern allows.

    Query head h reads key and value head h // (H / K). Score, pattern and normalizer are those of
    the spec; the position encoding biases scores and outputs.
    """

    def __init__(self, spec: attention.Pairwise, site: Site) -> None:
        super().__init__()
        self.heads = spec.heads
        head_site = site.of_width(spec.query_width(site.width))
        self.pattern: Pattern = site.build(spec.pattern)
        self.score: Score = head_site.build(spec.score)
        self.features: int = self.score.features + spec.output_width(site.width)
        self.normalizer: Normalizer = head_site.build(spec.normalizer)
        self.dropout = Dropout(site.architecture.dropout.attention)

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        context: Context,
        state: Ring | None = None,
        asked: Tensor | None = None,
    ) -> Tensor:
        """Attend from *queries* (B, H, T, D) to *keys* (B, K, S, D): (B, H, T, E).

        *values* are (B, K, S, E). Keys and values are those of the tokens of *context*, or all that
        are in *state*, these included. *asked* are the queries that positions and normalizer see,
        if *queries* are a linear function of them.
        """
        asked = queries if asked is None else asked
        tokens, pattern, scale = queries.shape[2], self.pattern, self.score.scale
        fusible = scale is not None and self.normalizer.fused
        fusible = fusible and not context.position.biases_values
        bias = None
        if context.position.biases_scores or not fusible:
            positions, key_positions = _positions(context, tokens, keys.shape[2], state)
            if state is None and tokens == keys.shape[2]:
                bias = context.position.row_bias(asked)
            else:
                bias = context.position.score_bias(asked, positions, key_positions)
        # The dropout of fused kernels follows no schedule, so weights are written out for it.
        drops = self.training and self.dropout.p > 0
        if fusible and state is None and (drops or prefers_written_out(queries)):
            allowed = context.allowed(pattern, keys.shape[2])
            return written_out(
                queries, keys, values, cast(float, scale), allowed, bias, self.dropout
            )
        mask, causal = self._mask(tokens, keys.shape[2], context, state)
        if fusible:
            if bias is not None:
                if causal:
                    mask, causal = context.allowed(pattern, keys.shape[2]), False
                mask = masked_bias(bias, mask, keys.dtype)
            return sdpa(queries, keys, values, cast(float, scale), mask, causal=causal)
        if causal:
            mask = context.allowed(pattern, keys.shape[2])
        documents = _in_documents(context, positions, key_positions)
        mixed, weights = general(
            queries,
            keys,
            values,
            lambda q, k: self.score(q, k, *documents),
            lambda scores: self.dropout(self.normalizer(scores, asked, *documents)),
            mask,
            bias,
        )
        if context.position.biases_values:
            mixed = mixed + context.position.value_bias(weights, positions, key_positions)
        return mixed

    def _mask(
        self, tokens: int, keys: int, context: Context, state: Ring | None
    ) -> tuple[Tensor | None, bool]:
        """Return which pairs attend, bool, broadcasting to (B, H, T, S), or None for all.

        The second result is whether it is the causal mask, which kernels need not be given.
        """
        pattern = self.pattern
        if state is not None and tokens == 1:
            # Kept tokens all precede the new one, so only empty slots are masked.
            if pattern.every and state.holds_all([start + 1 for start in context.starts]):
                return None, False
            positions, key_positions = _positions(context, tokens, keys, state)
            allowed = key_positions[:, None] >= 0
            if not pattern.every:
                allowed = allowed & pattern.allowed(positions[:, None], key_positions[:, None])
            return allowed, False
        if context.document_ids is None and pattern.every and pattern.reach >= keys:
            if not pattern.causal:
                return None, False
            if tokens == keys:
                return None, True
        return context.allowed(pattern, keys), False

    def mixing_flops(self, context: int) -> int:
        """Count the products of queries with keys, and of weights with values."""
        return 2 * self.heads * self.features * self.pattern.attended(context)


def _positions(
    context: Context, tokens: int, keys: int, state: Ring | None
) -> tuple[Tensor, Tensor]:
    """Return positions in the row of queries, (B or 1, T, 1), and of keys, (B or 1, 1, S).

    Negative for slots of *state* that hold no token of a row.
    """
    device = context.ids.device
    if isinstance(context.positions, int):
        positions = torch.arange(tokens, device=device)[None, :, None] + context.positions
    else:
        positions = context.positions[:, :, None]
    ages = (
        state.ages()
        if state is not None and tokens == 1
        else torch.arange(keys - 1, -1, -1, device=device)
    )
    return positions, positions[:, -1:] - ages


def _in_documents(context: Context, positions: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """Return *positions* of queries and *keys* in their documents instead of in the row."""
    if context.document_positions is None:
        return positions, keys
    return context.document_positions[:, :, None], context.document_positions[:, None]
