"""Kernels: how attention is computed once its queries, keys, values and masks are known.

`written_out` is the fastest for training on the CPU, `sdpa` elsewhere, and `general` computes all
scores, normalizers and biases. B: batch size, T: queries, S: keys, H: query heads, K: key and value
heads, D: head_width.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_WRITTEN_OUT_TOKENS = 512
"""Longest row for which training on the CPU uses `written_out`. PERF: forward and backward of
16 rows, 6 heads of 64, 256 tokens take 15 ms in bfloat16 on two cores, the flash kernel 43."""


def prefers_written_out(queries: Tensor) -> bool:
    """Return whether `written_out` is the fastest for rows of *queries* (B, H, T, D)."""
    small = queries.shape[2] <= MAX_WRITTEN_OUT_TOKENS
    return queries.device.type == "cpu" and torch.is_grad_enabled() and small


def written_out(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    scale: float,
    allowed: Tensor,
    bias: Tensor | None = None,
    dropout: Callable[[Tensor], Tensor] | None = None,
    sink: Tensor | None = None,
) -> Tensor:
    """Compute softmax(scale q kᵀ + bias) v over (B, H, T, D) and (B, K, S, D), step by step.

    *allowed*, bool (B or 1, 1 or H, T, S), is true for the keys that each query attends to. *bias*
    broadcasts to (B, H, T, S). *dropout* is applied to the weights. *sink* is as in `sdpa`.
    """
    batch, heads, tokens, head_width = queries.shape
    kv_heads = keys.shape[1]
    group = heads // kv_heads
    # The queries of all heads that share a kv head form one matrix, so no key is copied.
    if bias is None and allowed.shape[1] == 1:
        mask = torch.zeros(allowed.shape, dtype=queries.dtype, device=queries.device)
        mask = mask.masked_fill_(~allowed, -math.inf)[:, 0].repeat(1, group, 1)
        if len(mask) > 1:
            mask = mask.repeat_interleave(kv_heads, 0)  # (B · K, H / K · T, S)
    else:
        if bias is None:
            bias = queries.new_zeros(())
        mask = masked_bias(bias, allowed, queries.dtype).expand(batch, heads, -1, -1)
        mask = mask.reshape(batch * kv_heads, group * tokens, -1)
    with torch.autocast(queries.device.type, enabled=False):  # it would run softmax in float32
        q = (queries * scale).reshape(-1, group * tokens, head_width)
        k, v = keys.flatten(0, 1), values.flatten(0, 1)
        scores = torch.baddbmm(mask, q, k.mT)  # (B · K, H / K · T, S)
        if sink is None:
            probabilities = scores.softmax(-1)
        else:
            column = sink.to(scores.dtype).repeat_interleave(tokens).view(kv_heads, -1, 1)
            scores = torch.cat((scores, column.repeat(batch, 1, 1)), dim=-1)
            probabilities = scores.softmax(-1)[..., :-1]
        if dropout is not None:
            probabilities = dropout(probabilities)
        return (probabilities @ v).view(batch, heads, tokens, -1)


def sdpa(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    scale: float,
    mask: Tensor | None = None,
    *,
    causal: bool = False,
    sink: Tensor | None = None,
) -> Tensor:
    """Compute the same by torch's fused kernels. *mask*, bool or float, broadcasts to (B, H, T, S).

    The flash kernel needs that there is no mask; *causal* needs none. *sink* (H,) is the score of a
    further key, whose value is zero.
    """
    if sink is not None:
        return _sdpa_with_sink(queries, keys, values, scale, mask, sink, causal=causal)
    group = queries.shape[1] // keys.shape[1]
    if group > 1 and queries.shape[2] == 1:
        # PERF: the query heads of a kv head as rows of one matrix, so that no key is copied.
        folded = queries.reshape(-1, keys.shape[1], group, queries.shape[3])  # (B, K, H / K, D)
        if mask is not None and mask.ndim == 4 and mask.shape[1] > 1:
            mask = mask.reshape(len(mask), -1, group, mask.shape[3])
        return sdpa(folded, keys, values, scale, mask).flatten(1, 2)[:, :, None]
    return F.scaled_dot_product_attention(
        queries.to(keys.dtype),
        keys,
        values,
        attn_mask=mask,
        is_causal=causal,
        scale=scale,
        enable_gqa=queries.shape[1] != keys.shape[1],
    )


def _sdpa_with_sink(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    scale: float,
    mask: Tensor | None,
    sink: Tensor,
    *,
    causal: bool,
) -> Tensor:
    """Compute `sdpa` with a sink: a key that is zero but for a feature of its own.

    Queries have the score in that feature, so there is no bias, for which kernels would need a mask
    of all heads. If *causal*, the sink comes before all keys, with a query that is dropped. PERF: 2
    rows of 1,024 tokens, 6 heads of 64 on one core: 28 ms, `general` 195, without a sink 21; with
    gradients 115, 380 and 78.
    """
    width, sink_first = values.shape[-1], int(causal)
    rows = (sink_first, 1 - sink_first)
    column = (sink / scale).to(keys.dtype)[:, None, None].expand(*queries.shape[:-1], 1)
    queries = torch.cat((queries.to(keys.dtype), column), dim=-1)
    # Values as wide as keys: the kernels of the CPU want that.
    values = F.pad(values, (0, int(width == keys.shape[-1]), *rows))
    keys = F.pad(keys, (0, 1, *rows))
    keys[:, :, 0 if causal else -1, -1] = 1
    if causal:
        queries = F.pad(queries, (0, 0, 1, 0))
    elif mask is not None:
        mask = F.pad(mask, (0, 1), value=mask.dtype == torch.bool)
    return sdpa(queries, keys, values, scale, mask, causal=causal)[:, :, sink_first:, :width]


def general(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    score: Callable[[Tensor, Tensor], Tensor],
    normalize: Callable[[Tensor], Tensor],
    allowed: Tensor | None,
    bias: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Compute normalize(score(q, k) + bias) v step by step; return that and the weights.

    *allowed* broadcasts to (B, H, T, S), as *bias* does; None allows all pairs.
    """
    group = queries.shape[1] // keys.shape[1]
    queries = queries.to(keys.dtype)
    scores = score(queries, keys.repeat_interleave(group, 1))  # (B, H, T, S)
    if bias is not None:
        scores = scores + bias
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -math.inf)
    weights = normalize(scores)
    return weights @ values.repeat_interleave(group, 1).to(weights.dtype), weights


def masked_bias(bias: Tensor, allowed: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Return *bias* (B or 1, H, T, S) in *dtype*, -inf for pairs that are not *allowed*.

    That broadcasts to it; None allows all pairs.
    """
    if allowed is not None:
        bias = torch.where(allowed, bias, -math.inf)
    return bias.to(dtype)


def split_heads(x: Tensor, head_width: int) -> Tensor:
    """Return the heads of x (B, T, heads · D), of *head_width*: (B, heads, T, D)."""
    batch, tokens, _ = x.shape
    return x.view(batch, tokens, -1, head_width).transpose(1, 2)


def select_heads(
    heads: range, queries: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the *queries* (B, H, T, D) of *heads*, and the keys and values that they read."""
    group = queries.shape[1] // keys.shape[1]
    first, last = heads.start, heads.stop
    queries = queries[:, first:last]
    if first % group == 0 == last % group:
        shared = slice(first // group, last // group)
        return queries, keys[:, shared], values[:, shared]
    each = torch.arange(first, last, device=keys.device) // group
    return queries, keys[:, each], values[:, each]
