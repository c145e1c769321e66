"""AdamW over a whole model: torch's, fused."""

from __future__ import annotations

import torch

from gpt.optim.parameters import Weights
from gpt.spec.optimizer import AdamW


def adamw(spec: AdamW, weights: Weights, dtype: torch.dtype) -> torch.optim.AdamW:
    """Loshchilov and Hutter 2017, arXiv:1711.05101. *dtype* is for those that multiply matrices.

    Only the matrices of linears decay. Scales and biases do not: zero is no neutral value for
    them. Embeddings do not: the row of a rare token would shrink at every step and be trained at
    few. A head tied to an embedding is one.
    """
    kinds = (
        (weights.matrices, spec.lr, spec.weight_decay),
        (weights.head, spec.head_lr, spec.weight_decay),
        (weights.embeddings, spec.embedding_lr, 0.0),
        (weights.scales, spec.lr, 0.0),
    )
    groups = [
        {"params": parameters, "lr": spec.lr if rate is None else rate, "weight_decay": decay}
        for parameters, rate, decay in kinds
        if parameters
    ]
    return torch.optim.AdamW(groups, betas=spec.betas, eps=spec.eps, fused=True)
