"""Specs of the logit cap."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.checks import above_zero
from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class SoftCap(Part):
    """Bound the logits by limit x tanh(logits / limit) (Gemma 2, arXiv:2408.00118)."""

    limit: float = 15.0
    """Upper bound of the logits' absolute values."""

    def __post_init__(self) -> None:
        above_zero(limit=self.limit)
