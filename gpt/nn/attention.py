"""Grouped-query attention, with a kernel for training on the CPU.

B: batch size, T: new tokens, S: cached and new tokens, H: query heads, K: key and value heads,
D: head_width.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.cache import KeyValueCache
from gpt.nn.linear import FusedLinear, apply_linears
from gpt.nn.norm import RMSNorm
from gpt.nn.position import PositionEncoding, Positions
from gpt.spec import architecture, attention, norm

MAX_EAGER_TOKENS = 512
"""Longest row for which training on the CPU uses `eager_attention`. PERF: forward and backward of
16 rows, 6 heads of 64, 256 tokens take 15 ms in bfloat16 on two cores, the flash kernel 43."""


class GroupedQueryAttention(nn.Module):
    """softmax(q kᵀ / √D) v, query heads sharing kv heads. Ainslie 2023, arXiv:2305.13245.

    Query head h reads kv head h // (H / K). `output` is the linear layer back into the residual
    stream, which the model initializes to zero.
    """

    FUSIBLE: ClassVar[tuple[str, ...]] = ("query", "key", "value")

    def __init__(
        self, spec: attention.GroupedQuery, architecture: architecture.Architecture, layer: int
    ) -> None:
        super().__init__()
        width, head_width, bias = architecture.width, architecture.head_width, architecture.bias
        self.head_width = head_width
        self.kv_heads = spec.kv_heads
        self.grouped = spec.heads != spec.kv_heads
        self.window = architecture.window(layer)
        self.query = nn.Linear(width, spec.heads * head_width, bias=bias)
        self.key = nn.Linear(width, spec.kv_heads * head_width, bias=bias)
        self.value = nn.Linear(width, spec.kv_heads * head_width, bias=bias)
        self.fused: FusedLinear | None = None
        self.output = nn.Linear(spec.heads * head_width, width, bias=bias)
        self.query_norm = _head_norm(spec, head_width)
        self.key_norm = _head_norm(spec, head_width)

    def forward(
        self,
        x: Tensor,
        position: PositionEncoding,
        positions: Positions = 0,
        cache: KeyValueCache | None = None,
        value_embedding: Tensor | None = None,
        same_document: Tensor | None = None,
    ) -> Tensor:
        """Attend from x (B, T, width), at *positions*, to x and the tokens in *cache*.

        *value_embedding* (B, T, K · D), if given, is added to the values. *same_document*, bool
        (B, T, T), limits attention to pairs of tokens of one document; not together with a cache.
        """
        queries, keys, values = apply_linears(self, x)
        if value_embedding is not None:
            values = values + value_embedding.to(values.dtype)
        queries, keys, values = map(self._split_heads, (queries, keys, values))  # (B, H or K, T, D)
        # Keys are cached after rotation, so that each is rotated once.
        queries = position.rotate(self.query_norm(queries), positions)
        keys = position.rotate(self.key_norm(keys), positions)
        tokens, mask = x.shape[1], None
        if cache is not None:
            keys, values = cache.append(keys, values)  # (B, K, S, D)
        elif x.device.type == "cpu" and torch.is_grad_enabled() and tokens <= MAX_EAGER_TOKENS:
            allowed = causal_mask(tokens, tokens, self.window, x.device)
            allowed = _within_documents(allowed, same_document)
            return self._project_output(eager_attention(queries, keys, values, allowed))
        # SDPA uses its flash kernel only without a mask; causality alone needs none.
        causal = tokens == keys.shape[2] and self.window is None and same_document is None
        if cache is not None and tokens == 1:
            # Cached tokens all precede the new one; only the empty slots are masked.
            mask, causal = cache.mask(), False
        elif not causal:
            allowed = causal_mask(tokens, keys.shape[2], self.window, x.device)
            mask = _within_documents(allowed, same_document)[:, None]  # (B or 1, 1, T, S)
        mixed = F.scaled_dot_product_attention(
            queries.to(keys.dtype),
            keys,
            values,
            attn_mask=mask,
            is_causal=causal,
            enable_gqa=self.grouped,
        )
        return self._project_output(mixed)

    def _project_output(self, mixed: Tensor) -> Tensor:
        """Project the heads' outputs (B, H, T, D) to the residual stream (B, T, width)."""
        y: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return y

    def new_cache(self, batch: int, capacity: int, dtype: torch.dtype) -> KeyValueCache:
        """Create an empty cache for *batch* rows of *capacity* tokens, or of the window if less."""
        shape = (batch, self.kv_heads, min(capacity, self.window or capacity), self.head_width)
        empty = self.key.weight.new_empty(shape, dtype=dtype)
        return KeyValueCache(empty, torch.empty_like(empty))

    def _split_heads(self, x: Tensor) -> Tensor:
        """(B, T, heads · D) → (B, heads, T, D)."""
        batch, tokens, _ = x.shape
        return x.view(batch, tokens, -1, self.head_width).transpose(1, 2)


def eager_attention(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
    """Compute softmax(q kᵀ / √D) v over (B, H, T, D) and (B, K, S, D), without a fused kernel.

    *allowed*, bool (B or 1, T, S), is true for the keys that each query attends to.
    """
    batch, heads, tokens, head_width = queries.shape
    kv_heads = keys.shape[1]
    group = heads // kv_heads
    # The queries of all heads that share a kv head form one matrix, so no key is copied.
    bias = torch.zeros(allowed.shape, dtype=queries.dtype, device=queries.device)
    bias = bias.masked_fill_(~allowed, -math.inf).repeat(1, group, 1)
    if len(bias) > 1:
        bias = bias.repeat_interleave(kv_heads, 0)  # (B · K, H / K · T, S)
    with torch.autocast(queries.device.type, enabled=False):  # it would run softmax in float32
        q = (queries * head_width**-0.5).reshape(-1, group * tokens, head_width)
        k, v = keys.flatten(0, 1), values.flatten(0, 1)
        probabilities = torch.baddbmm(bias, q, k.mT).softmax(-1)  # (B · K, H / K · T, S)
        return (probabilities @ v).view(batch, heads, tokens, head_width)


def causal_mask(queries: int, keys: int, window: int | None, device: torch.device) -> Tensor:
    """Return which of *keys* tokens each of the last *queries* attends to: bool (queries, keys)."""
    key = torch.arange(keys, device=device)
    query = key[keys - queries :, None]
    allowed = key <= query
    return allowed if window is None else allowed & (key > query - window)


def _within_documents(allowed: Tensor, same_document: Tensor | None) -> Tensor:
    """Limit *allowed* (T, S) to pairs of tokens of the *same_document*: (B or 1, T, S)."""
    return allowed[None] if same_document is None else allowed & same_document


def _head_norm(spec: attention.GroupedQuery, head_width: int) -> nn.Module:
    return RMSNorm(norm.RMSNorm(), head_width) if spec.qk_norm else nn.Identity()
