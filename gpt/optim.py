"""How weights move: AdamW's parameter groups, and the learning rate of each step.

Knows modules and parameters, nothing of GPT.
"""

from __future__ import annotations

import math

import torch
from torch import nn


def adamw(
    model: nn.Module, *, lr: float, weight_decay: float, betas: tuple[float, float]
) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101), fused, over all of *model*.

    Only the matrices of linears decay. Scales and biases do not: zero is no neutral value for
    them. Embeddings do not: the row of a rare token would shrink at every step and be trained at
    few. A head tied to an embedding is one.
    """
    embedded = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        for parameter in module.parameters()
    }
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for parameter in model.parameters():
        matrix = parameter.ndim >= 2 and id(parameter) not in embedded
        (decayed if matrix else kept).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)


def learning_rate(step: int, *, steps: int, warmup: int, peak: float, floor: float) -> float:
    """Return the rate of update *step* (from 0) of *steps*.

    Rises linearly over *warmup* updates to *peak*, then falls along half a cosine (Loshchilov and
    Hutter 2016, arXiv:1608.03983) to reach *floor* at the last update.

    >>> [round(learning_rate(s, steps=5, warmup=2, peak=1.0, floor=0.0), 2) for s in range(5)]
    [0.5, 1.0, 0.75, 0.25, 0.0]
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup + 1) / (steps - warmup)
    return floor + (peak - floor) * (1 + math.cos(math.pi * progress)) / 2
