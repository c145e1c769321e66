"""AdamW over a whole model: torch's, fused."""

from __future__ import annotations

import torch

from gpt import learning
from gpt.optim.weights import Weights


def adamw(spec: learning.AdamW, weights: Weights, dtype: torch.dtype) -> torch.optim.AdamW:
    """Loshchilov and Hutter 2017, arXiv:1711.05101. *dtype* is for those that multiply matrices.

    Only the matrices of linears decay. Scales and biases do not: zero is no neutral value for
    them. Embeddings do not: the row of a rare token would shrink at every step and be trained at
    few. A head tied to an embedding is one.
    """
    groups = [
        {"params": weights.matrices + weights.head, "weight_decay": spec.weight_decay},
        {"params": weights.embeddings + weights.scales, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=spec.lr, betas=spec.betas, eps=spec.eps, fused=True)
