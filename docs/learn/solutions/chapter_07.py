"""Solutions of chapter 7."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def averages(x: Tensor) -> Tensor:
    """Return the mean of each token of *x* (T, C) and all before it: (T, C). No Python loop.

    Row 0 is x[0], row 1 is (x[0] + x[1]) / 2.
    """
    return x.cumsum(0) / torch.arange(1, len(x) + 1)[:, None]


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return what one causal head computes of queries, keys and values (T, D) each: (T, D).

    softmax(q kᵀ / √D) v, where token t weighs tokens 0 to t only.
    """
    tokens, head_width = q.shape
    scores = q @ k.T / math.sqrt(head_width)
    future = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ v


def sees_the_future(attend: Callable[[Tensor], Tensor], tokens: int, width: int) -> bool:
    """Return whether any output of *attend* depends on an input after it.

    *attend* maps (T, C) to (T, C), here with T = *tokens* and C = *width*.
    """
    x = torch.randn(tokens, width)
    before = attend(x)
    for token in range(1, tokens):
        changed = x.clone()
        changed[token] += 1
        if not torch.allclose(attend(changed)[:token], before[:token]):
            return True
    return False


def split(x: Tensor, heads: int) -> Tensor:
    """Return *x* (B, T, C) as heads (B, H, T, C / H): head h has the h-th slice of the features."""
    batch, tokens, _ = x.shape
    return x.view(batch, tokens, heads, -1).transpose(1, 2)
