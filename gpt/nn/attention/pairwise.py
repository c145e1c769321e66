"""Attention by pairs of queries and keys: all that follows the projections.

B: batch size, T: queries, S: keys, H: query heads, K: key and value heads, D: width of a query and
a key, E: width of a value.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from gpt.nn.attention.kernels import (
    general,
    masked_bias,
    prefers_written_out,
    sdpa,
    select_heads,
    written_out,
)
from gpt.nn.attention.layouts import Layout
from gpt.nn.attention.patterns import Pattern
from gpt.nn.attention.scores import Normalizer, Score
from gpt.nn.context import Context
from gpt.nn.mechanism import Mechanism
from gpt.nn.position import PositionEncoding
from gpt.nn.site import Site
from gpt.nn.state import PinnedRing, Ring
from gpt.spec import attention


class PairwiseAttention(Mechanism):
    """normalize(score(q, k) + bias) v over the pairs that the pattern allows.

    Query head h reads key and value head h // (H / K). Score, pattern and normalizer are those of
    the spec; the position encoding biases scores and outputs.
    """

    def __init__(self, spec: attention.Pairwise, site: Site) -> None:
        super().__init__()
        self.heads = spec.heads
        self.features = spec.query_width(site.width) + spec.output_width(site.width)
        head_site = site.of_width(spec.query_width(site.width))
        self.pattern: Pattern = site.build(spec.pattern)
        self.score: Score = head_site.build(spec.score)
        self.normalizer: Normalizer = head_site.build(spec.normalizer)

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        context: Context,
        state: Ring | None = None,
    ) -> Tensor:
        """Attend from *queries* (B, H, T, D) to *keys* (B, K, S, D): (B, H, T, E).

        *values* are (B, K, S, E). Keys and values are those of the tokens of *context*, or all that
        are in *state*, these included.
        """
        tokens, total = queries.shape[2], keys.shape[2]
        if tokens == total > 1:
            layouts = self._layouts(tokens, context)
            if layouts:
                parts = [self._in_blocks(queries, keys, values, context, each) for each in layouts]
                mixed = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
                return self._with_global_rows(mixed, queries, keys, values, context)
        pattern, scale, fusible = self.pattern, self.score.scale, self._fusible(context.position)
        bias = None
        if context.position.biases_scores or not fusible:
            positions, key_positions = _positions(context, tokens, total, state)
            bias = context.position.score_bias(queries, positions, key_positions)
        if fusible and state is None and prefers_written_out(queries):
            allowed = context.allowed(pattern, total)
            return written_out(queries, keys, values, cast(float, scale), allowed, bias)
        mask, causal = self._mask(tokens, total, context, state)
        if fusible:
            if bias is not None:
                if causal:
                    mask, causal = context.allowed(pattern, total), False
                mask = masked_bias(bias, mask, keys.dtype)
            return sdpa(queries, keys, values, cast(float, scale), mask, causal=causal)
        if causal:
            mask = context.allowed(pattern, total)
        return self._general(
            queries, keys, values, context.position, positions, key_positions, mask, bias
        )

    def over(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        position: PositionEncoding,
        positions: Tensor,
        key_positions: Tensor,
        allowed: Tensor,
    ) -> Tensor:
        """Attend from *queries* to *keys* at given positions, where *allowed*.

        Shapes are those of `forward`; *positions* are (B or 1, T, 1), *key_positions*
        (B or 1, 1, S), *allowed* broadcasts to (B, H, T, S).
        """
        bias = position.score_bias(queries, positions, key_positions)
        if not self._fusible(position):
            return self._general(
                queries, keys, values, position, positions, key_positions, allowed, bias
            )
        scale = cast(float, self.score.scale)
        if keys.dtype == torch.bfloat16 and prefers_written_out(queries):
            return written_out(queries, keys, values, scale, allowed, bias)
        mask = allowed if bias is None else masked_bias(bias, allowed, keys.dtype)
        return sdpa(queries, keys, values, scale, mask)

    def new_state(self, *like: Tensor) -> Ring:
        """Create what rows keep of vectors like those of *like*, (B, K, 0, D): those attended to.

        B is the number of rows.
        """
        pattern = self.pattern
        if pattern.pinned:
            return PinnedRing(*like, capacity=pattern.reach, at=pattern.pinned)
        return Ring(*like, capacity=pattern.reach)

    def _fusible(self, position: PositionEncoding) -> bool:
        """Return whether fused kernels compute the same."""
        fused = self.score.scale is not None and self.normalizer.fused
        return fused and not position.biases_values

    def _general(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        position: PositionEncoding,
        positions: Tensor,
        key_positions: Tensor,
        allowed: Tensor | None,
        bias: Tensor | None,
    ) -> Tensor:
        mixed, weights = general(
            queries,
            keys,
            values,
            lambda q, k: self.score(q, k, positions, key_positions),
            lambda scores: self.normalizer(scores, queries, positions, key_positions),
            allowed,
            bias,
        )
        if position.biases_values:
            mixed = mixed + position.value_bias(weights, positions, key_positions)
        return mixed

    def _layouts(self, tokens: int, context: Context) -> list[Layout]:
        """Return those of the pattern; empty if all pairs are to be computed."""
        documents = context.document_ids is not None
        return context.once(
            (Layout, self.pattern.key, tokens),
            lambda: self.pattern.layouts(tokens, documents=documents),
        )

    def _in_blocks(
        self, queries: Tensor, keys: Tensor, values: Tensor, context: Context, layout: Layout
    ) -> Tensor:
        """Attend as *layout* says, from the heads that it is for: (B, heads, T, E)."""
        rows, heads = len(queries), layout.heads
        alone = self._fusible(context.position) and not context.position.biases_scores
        allowed = context.once(
            (Layout, self.pattern.key, layout), lambda: _pairs(self.pattern, layout, context)
        )
        if heads is not None and alone:
            queries, keys, values = select_heads(heads, queries, keys, values)
            allowed = allowed[:, heads.start : heads.stop]
        repeats = rows * len(layout.blocks) // len(allowed)
        mixed = self.over(
            layout.gather_queries(queries),
            layout.gather_keys(keys),
            layout.gather_keys(values),
            context.position,
            layout.query_index.clamp(min=0)[:, :, None].repeat(rows, 1, 1).to(queries.device),
            layout.key_index.clamp(min=0)[:, None].repeat(rows, 1, 1).to(queries.device),
            allowed.repeat(repeats, 1, 1, 1),
        )
        mixed = layout.join(mixed)
        return mixed if alone or heads is None else mixed[:, heads.start : heads.stop]

    def _with_global_rows(
        self, mixed: Tensor, queries: Tensor, keys: Tensor, values: Tensor, context: Context
    ) -> Tensor:
        """Replace the outputs of the tokens that attend to more than the layouts contain."""
        tokens = queries.shape[2]
        found = self.pattern.global_rows(tokens)
        if not found:
            return mixed
        rows = torch.tensor(found, device=queries.device)
        all_tokens = torch.arange(tokens, device=queries.device)
        positions, key_positions = rows[None, :, None], all_tokens[None, None]
        allowed = self.pattern.allowed(positions[:, None], key_positions[:, None])
        new = self.over(
            queries[:, :, rows], keys, values, context.position, positions, key_positions, allowed
        )
        return mixed.index_copy(2, rows, new.to(mixed.dtype))

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
        if state is None:
            return context.allowed(pattern, keys), False
        positions, key_positions = _positions(context, tokens, keys, state)
        return context.once(
            (pattern.key, keys),
            lambda: pattern.allowed(positions[:, None], key_positions[:, None]),
        ), False

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
    latest = positions[:, -1]
    if state is None:
        return positions, (latest - torch.arange(keys - 1, -1, -1, device=device))[:, None]
    return positions, state.positions(latest, tokens, keys)[:, None]


def _pairs(pattern: Pattern, layout: Layout, context: Context) -> Tensor:
    """Return which pairs of a block attend, bool (N or B · N, 1 or H, t, M)."""
    device = context.ids.device
    queries, keys = layout.query_index.to(device), layout.key_index.to(device)
    # A query that is padding attends to all keys: with none, its gradient would be NaN.
    present, padding = (keys >= 0)[:, None, None], (queries < 0)[:, None, :, None]
    if context.document_positions is None or context.document_ids is None:
        found = pattern.allowed(queries[:, None, :, None], keys[:, None, None])
        return found & present | padding
    positions, ids = (
        (layout.gather_queries(each), layout.gather_keys(each).mT)
        for each in (
            context.document_positions[:, None, :, None],
            context.document_ids[:, None, :, None],
        )
    )
    rows = len(context.ids)
    found = pattern.allowed(*positions) & (ids[0] == ids[1])
    return found & present.repeat(rows, 1, 1, 1) | padding.repeat(rows, 1, 1, 1)
