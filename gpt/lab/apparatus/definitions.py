"""Definitions of mechanisms, written out plainly: what those of the models are compared with.

B: batch size, T: tokens, H: query heads, K: key and value heads, D and E: widths of a query and of
a value.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
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


def turned(x: Tensor, theta: float = 10_000.0) -> Tensor:
    """Return x (B, H, T, R) with features i and i + R/2 of token t turned by t θ^(-2i/R): RoPE."""
    half = x.shape[-1] // 2
    rates = theta ** -(torch.arange(half, dtype=x.dtype) / half)
    angles = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * rates
    first, second = torch.split(x, half, -1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((first * cos - second * sin, first * sin + second * cos), -1)


def latent(attention: Any, x: Tensor) -> Tensor:
    """Return what latent attention makes of x (B, T, width), with RoPE: all keys and values."""
    widths: list[int] = attention.query_widths
    queries = attention.query_up(attention.query_norm(attention.query(x)))
    straight, rotated = torch.split(heads_of(queries, sum(widths)), widths, -1)
    latents, shared = torch.split(attention.kv(x), attention.kept_widths, -1)
    up = heads_of(attention.kv_up(attention.kv_norm(latents)), sum(attention.up_widths))
    keys, values = torch.split(up, attention.up_widths, -1)
    shared = turned(shared[:, None]).expand(-1, keys.shape[1], -1, -1)
    keys = torch.cat((keys, shared), -1)
    mixed = attended(torch.cat((straight, turned(rotated)), -1), keys, values)
    y: Tensor = attention.output(joined(mixed))
    return y


def linear(attention: Any, x: Tensor) -> Tensor:
    """Return what linear attention makes of x (B, T, width) by all pairs, without positions.

    Features are elu(x) + 1, heads have keys and values of their own.
    """
    projections = attention.query, attention.key, attention.value
    queries, keys, values = (heads_of(layer(x), attention.head_width) for layer in projections)
    weights = ((F.elu(queries) + 1) @ (F.elu(keys) + 1).mT).tril()
    mixed = weights @ values / (weights.sum(-1, keepdim=True) + attention.eps)
    y: Tensor = attention.output(joined(mixed))
    return y


@torch.no_grad()
def mixture(experts: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what gated experts make of x (T, width), token by token, and their balance loss.

    A token gets its k best experts, weighted by the softmax of their logits (Mixtral,
    arXiv:2401.04088, section 2.1). The loss is α E Σ fᵢ Pᵢ: fᵢ is expert i's fraction of all
    choices, Pᵢ its mean probability (Switch, arXiv:2101.03961, equations 4 to 6).
    """
    spec, routed = experts.router.spec, experts.routed
    logits = x @ experts.router.weight.T
    y, fractions = torch.zeros_like(x), torch.zeros_like(logits[0])
    for token, row in enumerate(logits):
        largest, chosen = row.topk(spec.top_k)
        for weight, i in zip(largest.softmax(-1), chosen, strict=True):
            gate, up, down = (
                linear.weight[i] for linear in (routed.gate, routed.input, routed.output)
            )
            y[token] += weight * (down @ (F.silu(gate @ x[token]) * (up @ x[token])))
            fractions[i] += 1 / chosen.numel() / len(x)
    loss = spec.balance.weight * spec.count * fractions @ logits.softmax(-1).mean(0)
    return y, loss


def thinned(x: Tensor, weight: Tensor, p: float) -> Tensor:
    """Return the geometric mean, normalized, of the softmaxes of all 2^D thinned networks.

    x is (D,), *weight* (classes, D). Each network has lost some of the inputs, each with
    probability *p*; the others are divided by 1 - p.
    """
    masks = torch.cartesian_prod(*torch.tensor([[0.0, 1.0]], dtype=x.dtype).expand(len(x), -1))
    kept = masks.sum(-1)
    probabilities = (1 - p) ** kept * p ** (len(x) - kept)
    logs = (masks * x / (1 - p) @ weight.T).log_softmax(-1)
    return (probabilities @ logs).softmax(-1)
