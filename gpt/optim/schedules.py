"""Schedules: learning rates as fractions of their peak, and dropout as one of the recipe's.

*fraction* is the part of the run that is over at the end of the step, by its steps or by its time
(`gpt.training.clock`); it is 1 at the last step. *step* counts from 0; f is the floor. All
schedules but `noam` reach it at the last step.
"""

from __future__ import annotations

import math

from gpt.spec.schedule import (
    Cosine,
    EarlyDropout,
    LateDropout,
    Linear,
    Noam,
    Trapezoid,
    Warmup,
    WarmupStableDecay,
)


def cosine(spec: Cosine, step: int, fraction: float) -> float:
    """Linear warm-up, then f + (1 - f) (1 + cos(π · progress)) / 2. arXiv:1608.03983.

    >>> spec = Cosine(warmup=0.4)
    >>> [round(cosine(spec, step, (step + 1) / 5), 2) for step in range(5)]
    [0.5, 1.0, 0.75, 0.25, 0.0]
    """
    if fraction <= spec.warmup:
        return _warmup(spec, fraction)
    progress = (fraction - spec.warmup) / (1 - spec.warmup)
    return spec.floor + (1 - spec.floor) * (1 + math.cos(math.pi * progress)) / 2


def warmup_stable_decay(spec: WarmupStableDecay, step: int, fraction: float) -> float:
    """Linear warm-up, constant 1, then f + (1 - f) (1 - √progress). arXiv:2405.18392."""
    left = 1 - math.sqrt(_decay_progress(spec, fraction))
    return _warmup(spec, fraction) * (spec.floor + (1 - spec.floor) * left)


def linear(spec: Linear, step: int, fraction: float) -> float:
    """Linear warm-up, constant 1, then f + (1 - f) (1 - progress).

    >>> spec = Linear(warmup=0.25, decay=0.5)
    >>> [linear(spec, step, (step + 1) / 8) for step in range(8)]
    [0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    left = 1 - _decay_progress(spec, fraction)
    return _warmup(spec, fraction) * (spec.floor + (1 - spec.floor) * left)


def noam(spec: Noam, step: int, fraction: float) -> float:
    """min((t / w), √(w / t)) at t = step + 1: the paper's formula divided by its maximum.

    >>> [noam(Noam(warmup=4), step, fraction=0.5) for step in (0, 3, 15)]
    [0.25, 1.0, 0.5]
    """
    return min((step + 1) / spec.warmup, math.sqrt(spec.warmup / (step + 1)))


def early_dropout(spec: EarlyDropout, fraction: float) -> float:
    """1 - fraction / cutoff, at least 0. arXiv:2303.01500.

    >>> spec = EarlyDropout(cutoff=0.5)
    >>> [early_dropout(spec, (step + 1) / 8) for step in range(8)]
    [0.75, 0.5, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    return max(0.0, 1 - fraction / spec.cutoff)


def late_dropout(spec: LateDropout, fraction: float) -> float:
    """0 up to the start, then 1. arXiv:2303.01500.

    >>> [late_dropout(LateDropout(start=0.5), (step + 1) / 4) for step in range(4)]
    [0.0, 0.0, 1.0, 1.0]
    """
    return float(fraction > spec.start)


def _warmup(spec: Warmup, fraction: float) -> float:
    return min(1.0, fraction / spec.warmup) if spec.warmup else 1.0


def _decay_progress(spec: Trapezoid, fraction: float) -> float:
    """Return the progress of the decay: 0 before it starts, 1 at the last step."""
    return max(0.0, 1 - (1 - fraction) / spec.decay) if spec.decay else 0.0
