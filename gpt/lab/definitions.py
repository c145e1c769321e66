"""Definitions of attention, written out plainly: what mechanisms are compared with.

B: batch size, T: tokens, H: query heads, K: key and value heads, D and E: widths of a query and of
a value.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def heads_of(x: Tensor, width: int) -> Tensor:
    """Return the heads of x (B, T, heads · width): (B, heads, T, width)."""
    return x.view(*x.shape[:2], -1, width).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    """Invert `heads_of`."""
    return x.transpose(1, 2).flatten(2)


def attended(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return causal softmax(q kᵀ / √D) v of (B, H, T, D), (B, K, T, D) and (B, K, T, E).

    Each query head has a copy of the key and value head of its group.
    """
    group = queries.shape[1] // keys.shape[1]
    keys, values = (each.repeat_interleave(group, 1) for each in (keys, values))
    scores = queries @ keys.mT / math.sqrt(queries.shape[-1])
    later = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -math.inf).softmax(-1) @ values


def grouped(attention: Any, x: Tensor) -> Tensor:
    """Return what grouped-query attention makes of x (B, T, width), without positions."""
    projections = attention.query, attention.key, attention.value
    mixed = attended(*(heads_of(layer(x), attention.head_width) for layer in projections))
    y: Tensor = attention.output(joined(mixed))
    return y
