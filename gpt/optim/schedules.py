"""Learning rate schedules: the learning rate at *step* of *steps*, as a fraction of the peak.

Steps count from 0; f is the floor. All schedules but `noam` reach it at the last step.
"""

from __future__ import annotations

import math

from gpt.spec.schedule import Cosine, Linear, Noam, Trapezoid, WarmupStableDecay


def cosine(spec: Cosine, step: int, steps: int) -> float:
    """Linear warm-up, then f + (1 - f) (1 + cos(π · progress)) / 2. arXiv:1608.03983.

    >>> spec = Cosine(warmup=0.4)
    >>> [round(cosine(spec, step, 5), 2) for step in range(5)]
    [0.5, 1.0, 0.75, 0.25, 0.0]
    """
    warmup = round(spec.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    progress = (step + 1 - warmup) / (steps - warmup)
    return spec.floor + (1 - spec.floor) * (1 + math.cos(math.pi * progress)) / 2


def warmup_stable_decay(spec: WarmupStableDecay, step: int, steps: int) -> float:
    """Linear warm-up, constant 1, then f + (1 - f) (1 - √progress). arXiv:2405.18392."""
    progress = _decay_progress(spec, step, steps)
    return _warmup(spec, step, steps) * (spec.floor + (1 - spec.floor) * (1 - math.sqrt(progress)))


def linear(spec: Linear, step: int, steps: int) -> float:
    """Linear warm-up, constant 1, then f + (1 - f) (1 - progress).

    >>> spec = Linear(warmup=0.25, decay=0.5)
    >>> [linear(spec, step, 8) for step in range(8)]
    [0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    progress = _decay_progress(spec, step, steps)
    return _warmup(spec, step, steps) * (spec.floor + (1 - spec.floor) * (1 - progress))


def noam(spec: Noam, step: int, steps: int) -> float:
    """min((t / w), √(w / t)) at t = step + 1: the paper's formula divided by its maximum.

    >>> [noam(Noam(warmup=4), step, 99) for step in (0, 3, 15)]
    [0.25, 1.0, 0.5]
    """
    return min((step + 1) / spec.warmup, math.sqrt(spec.warmup / (step + 1)))


def _warmup(spec: Trapezoid, step: int, steps: int) -> float:
    return min(1.0, (step + 1) / max(1, round(spec.warmup * steps)))


def _decay_progress(spec: Trapezoid, step: int, steps: int) -> float:
    """Return the progress of the decay: 0 before it starts, 1 at the last step."""
    decay = round(spec.decay * steps)
    return max(0.0, 1 - (steps - step - 1) / decay) if decay else 0.0
