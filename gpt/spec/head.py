"""Specs of the logit cap, and of a layer before the head."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.checks import above_zero
from gpt.spec.mlp import Activation
from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class SoftCap(Part):
    """Bound the logits by limit x tanh(logits / limit) (Gemma 2, arXiv:2408.00118)."""

    limit: float = 15.0
    """Upper bound of the logits' absolute values."""

    def __post_init__(self) -> None:
        above_zero(limit=self.limit)


@dataclass(frozen=True, kw_only=True)
class HeadTransform(Part):
    """Apply a linear layer, an activation and a norm before the head (Devlin 2018, BERT).

    The norm is of the kind that the model has, arXiv:1810.04805.
    """

    activation: Activation = "gelu"
    """Activation."""
