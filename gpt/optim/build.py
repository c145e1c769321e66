"""How weights move: one table an axis, from a spec of `gpt.spec` to what computes it.

A new optimizer or schedule is a spec there, a module here whose docstring is its formula and its
source, and a row in a table. The tables also parametrise the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gpt.optim.adamw import adamw
from gpt.optim.muon import Muon
from gpt.optim.parameters import Weights
from gpt.optim.schedules import cosine, linear, noam, warmup_stable_decay
from gpt.spec import optimizer, schedule

# spec, weights, dtype in which matrices are multiplied
OPTIMIZERS: dict[type, Callable[[Any, Weights, torch.dtype], torch.optim.Optimizer]] = {
    optimizer.AdamW: adamw,
    optimizer.Muon: Muon,
}

# spec, step, steps
SCHEDULES: dict[type, Callable[[Any, int, int], float]] = {
    schedule.Cosine: cosine,
    schedule.WarmupStableDecay: warmup_stable_decay,
    schedule.Linear: linear,
    schedule.Noam: noam,
}


def build_optimizer(
    spec: optimizer.AdamW | optimizer.Muon, model: nn.Module, dtype: torch.dtype
) -> torch.optim.Optimizer:
    """Make the optimizer of *spec* for all of *model*; each group keeps its peak rate.

    *dtype* is what the optimizer multiplies matrices in; its state is float32.
    """
    optimizer = OPTIMIZERS[type(spec)](spec, Weights.of(model), dtype)
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, share: float) -> float:
    """Set each group's rate to *share* of its peak; return that of the first group."""
    for group in optimizer.param_groups:
        group["lr"] = share * group["peak"]
    rate: float = optimizer.param_groups[0]["lr"]
    return rate
