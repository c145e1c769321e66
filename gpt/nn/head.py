"""The head, a linear layer from the residual stream to logits, and the logit cap.

A cap has its function and its derivative, because the loss computes its own gradients
(`gpt.nn.loss`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gpt.nn.mechanism import Kind, Mechanism
from gpt.nn.site import Site
from gpt.spec import head


class Head(Mechanism, nn.Linear):
    """x → W x: a logit for each token, and for the rows that pad the vocabulary."""

    KINDS: ClassVar[Mapping[str, Kind]] = {"weight": "head"}
    TOKEN_ROWS = True

    def __init__(self, site: Site) -> None:
        super().__init__(site.width, site.vocab_rows, bias=False)
        self.vocab_size = site.vocab_size

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize as an embedding (Radford 2019, GPT-2)."""
        nn.init.normal_(self.weight, std=0.02, generator=generator)

    def weight_flops(self) -> int:
        """Count the rows of the vocabulary: rows past it are not computed in training."""
        return 2 * self.in_features * self.vocab_size


class SoftCap:
    """z → L tanh(z / L). Gemma Team 2024, arXiv:2408.00118."""

    def __init__(self, spec: head.SoftCap, site: Site) -> None:
        self.limit = spec.limit

    def __call__(self, logits: Tensor) -> Tensor:
        """Cap *logits*, elementwise."""
        return self.limit * (logits / self.limit).tanh()

    def derivative(self, capped: Tensor) -> Tensor:
        """Return the derivative of *capped* with respect to the logits: 1 - (capped / L)²."""
        return 1 - (capped / self.limit).square()
