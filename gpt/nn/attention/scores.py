"""Scores of queries and keys, and how they are normalized to weights of the values."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from gpt.nn.site import Site
from gpt.spec import attention


class Score:
    """A score of each query and key. B: batch size, H: heads, T: queries, S: keys."""

    scale: ClassVar[float | None] = None
    """If the score is the dot product times a number, that number. Fused kernels need it."""

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Score (B, H, T, head_width) and (B, H, S, head_width): (B, H, T, S)."""
        raise NotImplementedError


class ScaledDotScore(Score):
    """q · k / √head_width. Vaswani 2017, arXiv:1706.03762."""

    scale: float  # type: ignore[misc]

    def __init__(self, spec: attention.ScaledDot, site: Site) -> None:
        self.scale = site.width**-0.5

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Score (B, H, T, head_width) and (B, H, S, head_width): (B, H, T, S)."""
        return (queries * self.scale) @ keys.mT


class SoftmaxNormalizer:
    """s → exp(s) / Σ exp(s) over the keys."""

    fused: ClassVar[bool] = True
    """Whether fused kernels compute it."""

    def __init__(self, spec: attention.Softmax, site: Site) -> None:
        pass

    def __call__(self, scores: Tensor) -> Tensor:
        """Normalize *scores* (..., S), -inf for pairs that are not allowed."""
        return scores.softmax(-1)
