"""Grouped-query attention.

B: batch size, T: new tokens, S: kept and new tokens, H: query heads, K: key and value heads,
D: head_width.
"""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from gpt.nn.attention.kernels import general, masked_bias, prefers_written_out, sdpa, written_out
from gpt.nn.attention.patterns import Pattern
from gpt.nn.attention.scores import Score, SoftmaxNormalizer
from gpt.nn.context import Context
from gpt.nn.linear import FusedLinear, apply_linears
from gpt.nn.mechanism import BranchOutput, ExportNames, Mechanism, Mixed
from gpt.nn.norm import RMSNorm
from gpt.nn.site import Site
from gpt.nn.state import Ring
from gpt.spec import attention, norm


class GroupedQueryAttention(Mechanism):
    """softmax(q kᵀ / √D) v, query heads sharing kv heads. Ainslie 2023, arXiv:2305.13245.

    Query head h reads kv head h // (H / K). Score, pattern and normalizer are those of the spec;
    the position encoding rotates queries and keys and biases scores and outputs.
    """

    FUSIBLE: ClassVar[tuple[str, ...]] = ("query", "key", "value")
    EXPORT_NAMES: ClassVar[ExportNames] = {
        "gpt2": {"attn.c_attn": ("query", "key", "value"), "attn.c_proj": ("output",)},
        "llama": {
            "self_attn.q_proj": ("query",),
            "self_attn.k_proj": ("key",),
            "self_attn.v_proj": ("value",),
            "self_attn.o_proj": ("output",),
            "self_attn.q_norm": ("query_norm",),
            "self_attn.k_norm": ("key_norm",),
        },
        "gguf": {
            "attn_q": ("query",),
            "attn_k": ("key",),
            "attn_v": ("value",),
            "attn_output": ("output",),
            "attn_q_norm": ("query_norm",),
            "attn_k_norm": ("key_norm",),
        },
        "gguf-gpt2": {"attn_qkv": ("query", "key", "value"), "attn_output": ("output",)},
    }

    def __init__(self, spec: attention.GroupedQuery, site: Site) -> None:
        super().__init__()
        width, bias = site.width, site.architecture.bias
        self.heads, self.kv_heads = spec.heads, spec.kv_heads
        self.head_width = spec.width_of_head(width)
        head_site = site.of_width(self.head_width)
        self.pattern: Pattern = site.build(spec.pattern)
        self.score: Score = head_site.build(spec.score)
        self.normalizer: SoftmaxNormalizer = head_site.build(spec.normalizer)
        self.query = nn.Linear(width, spec.heads * self.head_width, bias=bias)
        self.key = nn.Linear(width, spec.kv_heads * self.head_width, bias=bias)
        self.value = nn.Linear(width, spec.kv_heads * self.head_width, bias=bias)
        self.fused: FusedLinear | None = None
        self.output = BranchOutput(spec.heads * self.head_width, width, bias=bias)
        self.query_norm, self.key_norm = (
            RMSNorm(norm.RMSNorm(), head_site) if spec.qk_norm else nn.Identity() for _ in range(2)
        )

    def forward(self, x: Tensor, context: Context, state: Ring | None = None) -> Mixed:
        """Attend from x (B, T, width) to x and the tokens in *state*, which gets those of x."""
        queries, keys, values = apply_linears(self, x)
        if context.value_embedding is not None:
            values = values + context.value_embedding.to(values.dtype)
        queries, keys, values = map(self._split_heads, (queries, keys, values))  # (B, H or K, T, D)
        # Keys are kept after rotation, so that each is rotated once.
        queries = context.position.rotate(self.query_norm(queries), context.positions)
        keys = context.position.rotate(self.key_norm(keys), context.positions)
        if state is not None:
            keys, values = state.append(keys, values, length=context.starts[0])  # (B, K, S, D)
        mixed = self._attend(queries, keys, values, context, state)
        y: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return y, None

    def _attend(
        self, queries: Tensor, keys: Tensor, values: Tensor, context: Context, state: Ring | None
    ) -> Tensor:
        """Choose the kernel and the masks; return the outputs of the heads, (B, H, T, D)."""
        tokens, pattern, scale = queries.shape[2], self.pattern, self.score.scale
        fusible = scale is not None and self.normalizer.fused
        fusible = fusible and not context.position.biases_values
        bias = None
        if context.position.biases_scores or not fusible:
            positions, key_positions = _pair_positions(context, tokens, keys.shape[2], state)
            bias = context.position.score_bias(queries, positions, key_positions)
        if fusible and state is None and prefers_written_out(queries):
            allowed = context.allowed(pattern, keys.shape[2])
            return written_out(queries, keys, values, cast(float, scale), allowed, bias)
        mask, causal = self._mask(tokens, keys.shape[2], context, state)
        if fusible:
            if bias is not None:
                if causal:
                    mask, causal = context.allowed(pattern, keys.shape[2])[:, None], False
                mask = masked_bias(bias, mask, keys.dtype)
            return sdpa(queries, keys, values, cast(float, scale), mask, causal=causal)
        if causal:
            mask = context.allowed(pattern, keys.shape[2])[:, None]
        mixed, weights = general(queries, keys, values, self.score, self.normalizer, mask, bias)
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
            positions, key_positions = _pair_positions(context, tokens, keys, state)
            allowed = key_positions >= 0
            if not pattern.every:
                allowed = allowed & pattern.allowed(positions, key_positions)
            return allowed[:, None], False
        if context.same_document is None and pattern.every and pattern.reach >= keys:
            if not pattern.causal:
                return None, False
            if tokens == keys:
                return None, True
        return context.allowed(pattern, keys)[:, None], False  # (B or 1, 1, T, S)

    def mixing_flops(self, context: int) -> int:
        """Count the products of queries with keys, and of weights with values."""
        return 4 * self.heads * self.head_width * self.pattern.attended(context)

    def new_state(self, batch: int, dtype: torch.dtype) -> Ring:
        """Create what *batch* rows keep: as many keys and values as the pattern attends to."""
        like = self.key.weight.new_empty((batch, self.kv_heads, 0, self.head_width), dtype=dtype)
        return Ring(like, like, capacity=self.pattern.reach)

    def _split_heads(self, x: Tensor) -> Tensor:
        """(B, T, heads · D) → (B, heads, T, D)."""
        batch, tokens, _ = x.shape
        return x.view(batch, tokens, -1, self.head_width).transpose(1, 2)


def _pair_positions(
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
