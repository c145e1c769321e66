"""Attention: how tokens look at each other.

B: batch, T: new tokens, S: all tokens seen, H: query heads, K: key and value heads, D: head_width.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.cache import KeyValueCache
from gpt.nn.linear import FusedLinear, project
from gpt.nn.norm import RMSNorm
from gpt.nn.position import Position, Positions
from gpt.spec import architecture, attention, norm

EXPLICIT = 512
"""Tokens up to which training on the CPU takes `attend`. PERF: forward and backward of 16 rows, 6
heads of 64, 256 tokens take 15 ms in bfloat16 on two cores, the flash kernel 43."""


class GroupedQueryAttention(nn.Module):
    """softmax(q kᵀ / √D) v, query heads sharing kv heads. Ainslie 2023, arXiv:2305.13245.

    Query head h reads kv head h // (H / K). Has `output`, the linear back into the residual
    stream, which the model initializes to zero.
    """

    INPUTS: ClassVar[tuple[str, ...]] = ("query", "key", "value")

    def __init__(
        self, spec: attention.GroupedQuery, architecture: architecture.Architecture, layer: int
    ) -> None:
        super().__init__()
        width, head_width, bias = architecture.width, architecture.head_width, architecture.bias
        self.head_width = head_width
        self.kv_heads = spec.kv_heads
        self.shared = spec.heads != spec.kv_heads
        self.window = architecture.window(layer)
        self.query = nn.Linear(width, spec.heads * head_width, bias=bias)
        self.key = nn.Linear(width, spec.kv_heads * head_width, bias=bias)
        self.value = nn.Linear(width, spec.kv_heads * head_width, bias=bias)
        self.joined: FusedLinear | None = None
        self.output = nn.Linear(spec.heads * head_width, width, bias=bias)
        self.query_norm = _head_norm(spec, head_width)
        self.key_norm = _head_norm(spec, head_width)

    def forward(
        self,
        x: Tensor,
        position: Position,
        positions: Positions = 0,
        cache: KeyValueCache | None = None,
        value_embedding: Tensor | None = None,
        same_document: Tensor | None = None,
    ) -> Tensor:
        """Attend from x (B, T, width), at *positions*, to it and what *cache* holds.

        *value_embedding* (B, T, K · D), where given, is added to the values. *same_document* (B, T, T), bool,
        is which tokens are of one document, where they must not see others; without a cache.
        """
        queries, keys, values = project(self, x)
        if value_embedding is not None:
            values = values + value_embedding.to(values.dtype)
        queries, keys, values = map(self._heads, (queries, keys, values))  # (B, H or K, T, D)
        queries = position.rotate(self.query_norm(queries), positions)
        keys = position.rotate(self.key_norm(keys), positions)
        tokens, mask = x.shape[1], None
        if cache is not None:
            keys, values = cache.append(keys, values)  # (B, K, S, D)
        elif x.device.type == "cpu" and torch.is_grad_enabled() and tokens <= EXPLICIT:
            seen = visible(tokens, tokens, self.window, x.device)
            return self._out(attend(queries, keys, values, _within(seen, same_document)))
        # Without a mask SDPA may take its flash kernel, which is also the one on CPU.
        causal = tokens == keys.shape[2] and self.window is None and same_document is None
        if cache is not None and tokens == 1:
            mask, causal = cache.seen(), False
        elif not causal:
            seen = visible(tokens, keys.shape[2], self.window, x.device)
            mask = _within(seen, same_document)[:, None]  # (B or 1, 1, T, S)
        mixed = F.scaled_dot_product_attention(
            queries.to(keys.dtype),
            keys,
            values,
            attn_mask=mask,
            is_causal=causal,
            enable_gqa=self.shared,
        )
        return self._out(mixed)

    def _out(self, mixed: Tensor) -> Tensor:
        """What the heads found (B, H, T, D), back into the residual stream (B, T, width)."""
        y: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return y

    def new_cache(self, batch: int, capacity: int, dtype: torch.dtype) -> KeyValueCache:
        """Make an empty cache for *batch* rows of *capacity* tokens, or of the window."""
        shape = (batch, self.kv_heads, min(capacity, self.window or capacity), self.head_width)
        empty = self.key.weight.new_empty(shape, dtype=dtype)
        return KeyValueCache(empty, torch.empty_like(empty))

    def _heads(self, x: Tensor) -> Tensor:
        """(B, T, heads · D) → (B, heads, T, D)."""
        batch, tokens, _ = x.shape
        return x.view(batch, tokens, -1, self.head_width).transpose(1, 2)


def attend(queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
    """softmax(q kᵀ / √D) v over (B, H, T, D) and (B, K, S, D), each factor a tensor in memory.

    *seen* is which keys each query sees: bool, (B or 1, T, S).
    """
    batch, heads, tokens, head_width = queries.shape
    kv_heads = keys.shape[1]
    shared = heads // kv_heads
    bias = torch.zeros(seen.shape, dtype=queries.dtype, device=queries.device)
    bias = bias.masked_fill_(~seen, -math.inf).repeat(1, shared, 1)
    if len(bias) > 1:
        bias = bias.repeat_interleave(kv_heads, 0)  # (B · K, H / K · T, S)
    with torch.autocast(queries.device.type, enabled=False):  # it would take softmax to float32
        q = (queries * head_width**-0.5).reshape(-1, shared * tokens, head_width)
        k, v = keys.flatten(0, 1), values.flatten(0, 1)
        probabilities = torch.baddbmm(bias, q, k.mT).softmax(-1)  # (B · K, H / K · T, S)
        return (probabilities @ v).view(batch, heads, tokens, head_width)


def visible(queries: int, keys: int, window: int | None, device: torch.device) -> Tensor:
    """Which of the *keys* each of the last *queries* positions sees: bool, (queries, keys)."""
    key = torch.arange(keys, device=device)
    query = key[keys - queries :, None]
    seen = key <= query
    return seen if window is None else seen & (key > query - window)


def _within(seen: Tensor, same_document: Tensor | None) -> Tensor:
    """Narrow *seen* (T, S) to the pairs of tokens that are *same_document*: (B or 1, T, S)."""
    return seen[None] if same_document is None else seen & same_document


def _head_norm(spec: attention.GroupedQuery, head_width: int) -> nn.Module:
    return RMSNorm(norm.RMSNorm(), head_width) if spec.qk_norm else nn.Identity()
