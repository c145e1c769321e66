"""Specs of the weights of attention: scores of queries and keys, and how they are normalized."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.checks import above_zero
from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class ScaledDot(Part):
    """Score q · k / √head_width (Vaswani 2017, arXiv:1706.03762)."""

    scale: float | None = None
    """Factor of the dot product instead. [default: 1 / √head_width]"""
    cap: float | None = None
    """Bound the scores by cap · tanh(score / cap) (Gemma 2, arXiv:2408.00118). [default: none]"""

    def __post_init__(self) -> None:
        above_zero(scale=self.scale, cap=self.cap)


@dataclass(frozen=True, kw_only=True)
class Softmax(Part):
    """Normalize by the softmax of all scores of a query."""
