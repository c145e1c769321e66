"""Tables of optimizers and schedules: from the type of a spec to what implements it.

To add one, write a spec in `gpt.spec`, a module in `gpt.optim` whose docstring has the formula and
the source, and a row in a table here. The tests are parametrized by these tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gpt.optim.adamw import adamw
from gpt.optim.muon import Muon
from gpt.optim.parameters import ParameterKinds
from gpt.optim.schedules import (
    cosine,
    early_dropout,
    late_dropout,
    linear,
    noam,
    warmup_stable_decay,
)
from gpt.spec import optimizer, schedule

# spec, parameters, dtype of matrix products
OPTIMIZERS: dict[type, Callable[[Any, ParameterKinds, torch.dtype], torch.optim.Optimizer]] = {
    optimizer.AdamW: adamw,
    optimizer.Muon: Muon,
}

# spec, step (from 0), fraction of the run that is over at its end
SCHEDULES: dict[type, Callable[[Any, int, float], float]] = {
    schedule.Cosine: cosine,
    schedule.WarmupStableDecay: warmup_stable_decay,
    schedule.Linear: linear,
    schedule.Noam: noam,
}

# spec, fraction of the run that is over at the end of the step
DROPOUT_SCHEDULES: dict[type, Callable[[Any, float], float]] = {
    schedule.EarlyDropout: early_dropout,
    schedule.LateDropout: late_dropout,
}


def build_optimizer(
    spec: optimizer.AdamW | optimizer.Muon, model: nn.Module, dtype: torch.dtype
) -> torch.optim.Optimizer:
    """Create the optimizer of *spec* for the trained parameters of *model*.

    Its matrix products are in *dtype*, its state is float32. Each parameter group stores its peak
    learning rate as ``peak``.
    """
    optimizer = OPTIMIZERS[type(spec)](spec, ParameterKinds.of(model), dtype)
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, fraction: float) -> float:
    """Set the learning rate of each group to *fraction* of its peak; return the first group's."""
    for group in optimizer.param_groups:
        group["lr"] = fraction * group["peak"]
    rate: float = optimizer.param_groups[0]["lr"]
    return rate
