"""Scores of queries and keys, and how they are normalized to weights of the values.

B: batch size, H: heads, T: queries, S: keys. Positions are those in the row, (B or 1, T, 1) of
queries and (B or 1, 1, S) of keys.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from gpt.nn.mechanism import Mechanism
from gpt.nn.site import Site
from gpt.spec import scoring


class Score(Mechanism):
    """A score of each query and key."""

    scale: float | None = None
    """If the score is the dot product times a number, that number. Fused kernels need it."""

    def forward(
        self, queries: Tensor, keys: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Score (B, H, T, head_width) and (B, H, S, head_width): (B, H, T, S)."""
        raise NotImplementedError


class ScaledDotScore(Score):
    """q · k / √head_width, or another factor. Vaswani 2017, arXiv:1706.03762.

    With a cap C: C tanh(q · k / √head_width / C). Gemma Team 2024, arXiv:2408.00118.
    """

    def __init__(self, spec: scoring.ScaledDot, site: Site) -> None:
        super().__init__()
        self.factor = spec.scale or site.width**-0.5
        self.cap = spec.cap
        self.scale = None if spec.cap else self.factor

    def forward(
        self, queries: Tensor, keys: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Score (B, H, T, head_width) and (B, H, S, head_width): (B, H, T, S)."""
        scores = (queries * self.factor) @ keys.mT
        return scores if self.cap is None else self.cap * (scores / self.cap).tanh()


class Normalizer(Mechanism):
    """From the scores of each query to weights of the values."""

    fused: ClassVar[bool] = False
    """Whether it is the softmax, which fused kernels compute."""

    def forward(
        self, scores: Tensor, queries: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Normalize *scores* (B, H, T, S), -inf for pairs that are not allowed.

        *queries* are (B, H, T, head_width).
        """
        raise NotImplementedError


class SoftmaxNormalizer(Normalizer):
    """s → exp(s) / Σ exp(s) over the keys."""

    fused = True

    def __init__(self, spec: scoring.Softmax, site: Site) -> None:
        super().__init__()

    def forward(
        self, scores: Tensor, queries: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Normalize *scores* (B, H, T, S), -inf for pairs that are not allowed."""
        return scores.softmax(-1)
