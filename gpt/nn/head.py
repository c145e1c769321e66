"""The head, a linear layer from the residual stream to logits, a layer before it, and the cap.

A cap has its function and its derivative, because the loss computes its own gradients
(`gpt.nn.loss`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.activation import build_activation
from gpt.nn.mechanism import Kind, Mechanism
from gpt.nn.site import Site
from gpt.spec import head


class Head(Mechanism, nn.Linear):
    """x → W x, or W x + b: a logit for each token, and for the rows that pad the vocabulary."""

    KINDS: ClassVar[Mapping[str, Kind]] = {"weight": "head"}
    TOKEN_ROWS = True

    def __init__(self, site: Site, *, bias: bool = False) -> None:
        super().__init__(site.width, site.vocab_rows, bias=bias)
        self.vocab_size, self.has_bias = site.vocab_size, bias

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize as an embedding (Radford 2019, GPT-2)."""
        nn.init.normal_(self.weight, std=0.02, generator=generator)
        if self.has_bias:
            nn.init.zeros_(self.bias)

    def weight_flops(self) -> int:
        """Count the rows of the vocabulary: rows past it are not computed in training."""
        return 2 * self.in_features * self.vocab_size


def logit_factors(head: Any, hidden: Tensor, vocab_size: int) -> tuple[Tensor, Tensor]:
    """Return rows (N, W) and a matrix (V, W) whose product is the logits of *hidden*.

    *head* is a linear layer of any kind, an adapted one too. Its bias is the weight of one more
    feature, which is always 1, so that the loss has one form.
    """
    rows, weight = hidden.flatten(0, -2), head.weight[:vocab_size]
    if head.bias is None:
        return rows, weight
    return F.pad(rows, (0, 1), value=1.0), torch.cat((weight, head.bias[:vocab_size, None]), dim=1)


class HeadTransform(Mechanism):
    """x → norm(f(W x + b)), f being the activation. Devlin 2018, BERT, arXiv:1810.04805."""

    def __init__(self, spec: head.HeadTransform, site: Site) -> None:
        super().__init__()
        self.linear = nn.Linear(site.width, site.width)
        self.activation = build_activation(spec.activation)
        self.norm = site.build(site.architecture.norm) or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to x (..., width)."""
        y: Tensor = self.norm(self.activation(self.linear(x)))
        return y


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
