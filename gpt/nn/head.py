"""Logit caps.

A cap has its function and its derivative, because the loss computes its own gradients
(`gpt.nn.loss`).
"""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor

from gpt.spec import head


class NoCap:
    """z → z."""

    def __init__(self, spec: head.NoCap) -> None:
        pass

    def __call__(self, logits: Tensor) -> Tensor:
        """Return *logits* unchanged."""
        return logits

    def derivative(self, capped: Tensor) -> float:
        """Return the derivative of *capped* with respect to the logits: 1."""
        return 1.0


class SoftCap:
    """z → L tanh(z / L). Gemma Team 2024, arXiv:2408.00118."""

    def __init__(self, spec: head.SoftCap) -> None:
        self.limit = spec.limit

    def __call__(self, logits: Tensor) -> Tensor:
        """Cap *logits*, elementwise."""
        return self.limit * (logits / self.limit).tanh()

    def derivative(self, capped: Tensor) -> Tensor:
        """Return the derivative of *capped* with respect to the logits: 1 - (capped / L)²."""
        return 1 - (capped / self.limit).square()


Cap: TypeAlias = NoCap | SoftCap
