"""MLPs: applied to each token separately."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from gpt.nn.activation import build_activation
from gpt.nn.context import Context
from gpt.nn.convolution import Canon, LatestTokens, convolution_at
from gpt.nn.dropout import Dropout
from gpt.nn.linear import FusedLinear, apply_linears
from gpt.nn.mechanism import BranchOutput, Mechanism, Mixed
from gpt.nn.site import Site
from gpt.spec import mlp


class ConvolvedMLP(Mechanism):
    """An MLP whose hidden layer may have a convolution, before the activation."""

    convolution: Canon | None

    def new_state(self, batch: int, dtype: torch.dtype) -> LatestTokens | None:
        """Create what *batch* rows keep while decoding; None without a convolution."""
        return None if self.convolution is None else self.convolution.new_state(batch, dtype)


class PlainMLP(ConvolvedMLP):
    """x → W₂ f(W₁ x), f being the activation."""

    def __init__(self, spec: mlp.MLP, site: Site) -> None:
        super().__init__()
        hidden, bias = spec.hidden_width(site.width), site.architecture.bias
        self.activation = build_activation(spec.activation)
        self.input = nn.Linear(site.width, hidden, bias=bias)
        self.convolution = convolution_at("D", site.of_width(hidden))
        self.dropout = Dropout(site.architecture.dropout.hidden)
        self.output = BranchOutput(hidden, site.width, bias=bias)

    def forward(
        self, x: Tensor, context: Context | None = None, state: LatestTokens | None = None
    ) -> Mixed:
        """Apply the MLP to x (B, T, width)."""
        hidden = self.input(x)
        if self.convolution is not None:
            hidden = self.convolution(hidden, state, context and context.document_ids)
        return self.output(self.dropout(self.activation(hidden))), None


class GatedMLP(ConvolvedMLP):
    """x → W₂ (f(W₁ x) ⊙ W₃ x), f being the activation. Shazeer 2020, arXiv:2002.05202.

    With a limit c and an offset b, f(min(W₁ x, c)) ⊙ (max(-c, min(W₃ x, c)) + b): gpt-oss,
    arXiv:2508.10925.
    """

    FUSIBLE: ClassVar[tuple[str, ...]] = ("gate", "input")

    def __init__(self, spec: mlp.MLP, site: Site) -> None:
        super().__init__()
        hidden, bias = spec.hidden_width(site.width), site.architecture.bias
        self.spec = spec
        self.activation = build_activation(spec.activation)
        self.gate = nn.Linear(site.width, hidden, bias=bias)
        self.input = nn.Linear(site.width, hidden, bias=bias)
        self.fused: FusedLinear | None = None
        self.convolution = convolution_at("D", site.of_width(2 * hidden))
        self.dropout = Dropout(site.architecture.dropout.hidden)
        self.output = BranchOutput(hidden, site.width, bias=bias)

    def forward(
        self, x: Tensor, context: Context | None = None, state: LatestTokens | None = None
    ) -> Mixed:
        """Apply the MLP to x (B, T, width)."""
        gate, value = apply_linears(self, x)
        if self.convolution is not None:
            both = torch.cat((gate, value), dim=-1)
            both = self.convolution(both, state, context and context.document_ids)
            gate, value = both.chunk(2, dim=-1)
        return self.output(self.dropout(gated(self.spec, self.activation, gate, value))), None


def gated(
    spec: mlp.MLP, activation: Callable[[Tensor], Tensor], gate: Tensor, value: Tensor
) -> Tensor:
    """Multiply *value* by the activations of *gate*, both within the limit of *spec*."""
    if spec.limit is not None:
        gate, value = gate.clamp(max=spec.limit), value.clamp(-spec.limit, spec.limit)
    return activation(gate) * (value + spec.offset if spec.offset else value)


def build_mlp(spec: mlp.MLP, site: Site) -> PlainMLP | GatedMLP:
    """Build the MLP of *spec*."""
    return (GatedMLP if spec.gated else PlainMLP)(spec, site)
