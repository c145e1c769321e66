"""Attention by pairs of queries and keys: all that follows the projections.

B: batch size, T: queries, S: keys, H: query heads, K: key and value heads, D: width of a query and
a key, E: width of a value.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from gpt.nn.attention.normalizers import Normalizer
from gpt.nn.attention.patterns import Pattern
from gpt.nn.attention.scores import Score
from gpt.nn.context import Context
from gpt.nn.dropout import Dropout
from gpt.nn.mechanism import Mechanism
from gpt.nn.positions.encoding import PositionEncoding
from gpt.nn.site import Site
from gpt.nn.state import PinnedRing, Ring
from gpt.spec import attention


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Positions of queries, int64 (B or 1, T, 1), and of keys, (B or 1, 1, S)."""

    rows: tuple[Tensor, Tensor]
    """Positions in the row; negative for a key that is no token."""
    documents: tuple[Tensor, Tensor]
    """Positions in the documents of the row."""

    def repeated(self, times: int) -> Pairs:
        """Return the same for *times* as many rows, one after the other."""
        (queries, keys), (in_documents, keys_in_documents) = self.rows, self.documents
        return Pairs(
            rows=(queries.repeat(times, 1, 1), keys.repeat(times, 1, 1)),
            documents=(in_documents.repeat(times, 1, 1), keys_in_documents.repeat(times, 1, 1)),
        )


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
        tokens, total = queries.shape[2], keys.shape[2]
        if tokens == total > 1 and asked is None:
            layouts = self._layouts(tokens, context)
            if layouts:
                parts = [self._in_blocks(queries, keys, values, context, each) for each in layouts]
                mixed = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
                return self._with_global_rows(mixed, queries, keys, values, context)
        asked = queries if asked is None else asked
        pattern, position = self.pattern, context.position
        fusible, bias = self._fusible(position), None
        if position.biases_scores or not fusible:
            pairs = _pairs(context, tokens, total, state)
            if state is None and tokens == total:
                bias = position.row_bias(asked)
            else:
                bias = position.score_bias(asked, *pairs.rows)
        if fusible and state is None and (self._drops or prefers_written_out(queries)):
            allowed = context.allowed(pattern, total)
            return self._written_out(queries, keys, values, allowed, bias)
        mask, causal = self._mask(tokens, total, context, state)
        if causal and (bias is not None or not fusible):
            mask, causal = context.allowed(pattern, total), False
        if fusible:
            return self._sdpa(queries, keys, values, mask, bias, causal=causal)
        return self._general(queries, keys, values, position, pairs, mask, bias, asked)

    def over(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        position: PositionEncoding,
        pairs: Pairs,
        allowed: Tensor,
    ) -> Tensor:
        """Attend from *queries* to *keys* at any positions, where *allowed*.

        Shapes are those of `forward`; *allowed* broadcasts to (B, H, T, S).
        """
        bias = position.score_bias(queries, *pairs.rows)
        if not self._fusible(position):
            return self._general(queries, keys, values, position, pairs, allowed, bias, queries)
        # PERF: in float32, SDPA's kernels are 1.2 to 1.8 times as fast for such short rows.
        small = keys.dtype == torch.bfloat16 and prefers_written_out(queries)
        if self._drops or small:
            return self._written_out(queries, keys, values, allowed, bias)
        return self._sdpa(queries, keys, values, allowed, bias)

    def new_state(self, *like: Tensor) -> Ring:
        """Create what rows keep of vectors like those of *like*, (B, K, 0, D): those attended to.

        B is the number of rows.
        """
        pattern = self.pattern
        if pattern.pinned:
            return PinnedRing(*like, capacity=pattern.reach, at=pattern.pinned)
        return Ring(*like, capacity=pattern.reach)

    def mixing_flops(self, context: int) -> int:
        """Count the products of queries with keys, and of weights with values."""
        return 2 * self.heads * self.features * self.pattern.attended(context)

    @property
    def _drops(self) -> bool:
        """Whether weights are dropped: by a schedule, which fused kernels do not follow."""
        return self.training and self.dropout.p > 0

    def _fusible(self, position: PositionEncoding) -> bool:
        """Return whether fused kernels compute the same."""
        softmax = self.normalizer.fused or self.normalizer.fused_sink is not None
        return self.score.scale is not None and softmax and not position.biases_values

    def _written_out(
        self, queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor, bias: Tensor | None
    ) -> Tensor:
        scale = cast(float, self.score.scale)
        sink = self.normalizer.fused_sink
        return written_out(queries, keys, values, scale, allowed, bias, self.dropout, sink)

    def _sdpa(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        allowed: Tensor | None,
        bias: Tensor | None,
        *,
        causal: bool = False,
    ) -> Tensor:
        mask = allowed if bias is None else masked_bias(bias, allowed, keys.dtype)
        scale, sink = cast(float, self.score.scale), self.normalizer.fused_sink
        return sdpa(queries, keys, values, scale, mask, causal=causal, sink=sink)

    def _general(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        position: PositionEncoding,
        pairs: Pairs,
        allowed: Tensor | None,
        bias: Tensor | None,
        asked: Tensor,
    ) -> Tensor:
        mixed, weights = general(
            queries,
            keys,
            values,
            lambda q, k: self.score(q, k, *pairs.documents),
            lambda scores: self.dropout(self.normalizer(scores, asked, *pairs.documents)),
            allowed,
            bias,
        )
        if position.biases_values:
            mixed = mixed + position.value_bias(weights, *pairs.rows)
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
        pairs, allowed = context.once(
            (Layout, self.pattern.key, layout), lambda: _in_layout(self.pattern, layout, context)
        )
        # Biases, scores and normalizers know heads by their index, so they need all of them.
        heads, position = layout.heads, context.position
        alone = heads is not None and self._fusible(position) and not position.biases_scores
        alone = alone and self.normalizer.fused
        if heads is not None and alone:
            queries, keys, values = select_heads(heads, queries, keys, values)
            allowed = allowed[:, heads.start : heads.stop]
        blocks = len(queries) * len(layout.blocks)
        mixed = self.over(
            layout.gather_queries(queries),
            layout.gather_keys(keys),
            layout.gather_keys(values),
            position,
            pairs.repeated(blocks // len(pairs.rows[0])),
            allowed.repeat(blocks // len(allowed), 1, 1, 1),
        )
        mixed = layout.join(mixed)
        return mixed if heads is None or alone else mixed[:, heads.start : heads.stop]

    def _with_global_rows(
        self, mixed: Tensor, queries: Tensor, keys: Tensor, values: Tensor, context: Context
    ) -> Tensor:
        """Replace the outputs of the tokens that attend to more than the layouts contain."""
        tokens = queries.shape[2]
        found = self.pattern.global_rows(tokens)
        if not found:
            return mixed
        rows = torch.tensor(found, device=queries.device)
        index = rows[None, :, None], torch.arange(tokens, device=queries.device)[None, None]
        new = self.over(
            queries[:, :, rows],
            keys,
            values,
            context.position,
            Pairs(rows=index, documents=index),
            self.pattern.allowed(index[0][:, None], index[1][:, None]),
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
            positions, key_positions = _pairs(context, tokens, keys, state).rows
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
        positions, key_positions = _pairs(context, tokens, keys, state).rows
        allowed = context.once(
            (pattern.key, keys),
            lambda: pattern.allowed(positions[:, None], key_positions[:, None]),
        )
        return allowed, False


def _pairs(context: Context, tokens: int, keys: int, state: Ring | None) -> Pairs:
    """Return the positions of *tokens* queries, the new tokens, and of *keys* keys in *state*.

    Without a state, the keys are the latest tokens.
    """
    device = context.ids.device
    if isinstance(context.positions, int):
        positions = torch.arange(tokens, device=device)[None, :, None] + context.positions
    else:
        positions = context.positions[:, :, None]
    latest = positions[:, -1]
    if state is None:
        key_positions = latest - torch.arange(keys - 1, -1, -1, device=device)
    else:
        key_positions = state.positions(latest, tokens, keys)
    rows = documents = positions, key_positions[:, None]
    if context.document_positions is not None:
        documents = context.document_positions[:, :, None], context.document_positions[:, None]
    return Pairs(rows=rows, documents=documents)


def _in_layout(pattern: Pattern, layout: Layout, context: Context) -> tuple[Pairs, Tensor]:
    """Return the positions in the blocks of *layout*, and which of their pairs attend.

    That is bool (N or B · N, 1 or H, t, M).
    """
    device = context.ids.device
    queries, keys = layout.query_index.to(device), layout.key_index.to(device)
    # A query that is padding attends to all keys: with none, its gradient would be NaN.
    present, padding = (keys >= 0)[:, None, None], (queries < 0)[:, None, :, None]
    rows = documents = queries.clamp(min=0)[:, :, None], keys.clamp(min=0)[:, None]
    if context.document_positions is None or context.document_ids is None:
        found = pattern.allowed(rows[0][:, None], rows[1][:, None])
        return Pairs(rows=rows, documents=documents), found & present | padding
    documents, ids = (
        (layout.gather_queries(each)[:, 0], layout.gather_keys(each)[:, 0].mT)
        for each in (
            context.document_positions[:, None, :, None],
            context.document_ids[:, None, :, None],
        )
    )
    found = pattern.allowed(documents[0][:, None], documents[1][:, None])
    found = found & (ids[0] == ids[1])[:, None]
    batch = len(context.ids)
    pairs = Pairs(rows=rows, documents=rows).repeated(batch)
    pairs = Pairs(rows=pairs.rows, documents=documents)
    return pairs, found & present.repeat(batch, 1, 1, 1) | padding.repeat(batch, 1, 1, 1)
