"""MLPs: applied to each token separately."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from gpt.nn.activation import build_activation
from gpt.nn.context import Context
from gpt.nn.dropout import Dropout
from gpt.nn.linear import FusedLinear, apply_linears
from gpt.nn.mechanism import BranchOutput, ExportNames, Mechanism, Mixed
from gpt.nn.site import Site
from gpt.spec import mlp


class PlainMLP(Mechanism):
    """x → W₂ f(W₁ x), f being the activation."""

    EXPORT_NAMES: ClassVar[ExportNames] = {
        "gpt2": {"mlp.c_fc": ("input",), "mlp.c_proj": ("output",)},
        "gguf": {"ffn_up": ("input",), "ffn_down": ("output",)},
    }

    def __init__(self, spec: mlp.MLP, site: Site) -> None:
        super().__init__()
        hidden, bias = spec.hidden_width(site.width), site.architecture.bias
        self.activation = build_activation(spec.activation)
        self.input = nn.Linear(site.width, hidden, bias=bias)
        self.dropout = Dropout(site.architecture.dropout.hidden)
        self.output = BranchOutput(hidden, site.width, bias=bias)

    def forward(self, x: Tensor, context: Context | None = None) -> Mixed:
        """Apply the MLP to x (B, T, width)."""
        return self.output(self.dropout(self.activation(self.input(x)))), None


class GatedMLP(Mechanism):
    """x → W₂ (f(W₁ x) ⊙ W₃ x), f being the activation. Shazeer 2020, arXiv:2002.05202."""

    FUSIBLE: ClassVar[tuple[str, ...]] = ("gate", "input")
    EXPORT_NAMES: ClassVar[ExportNames] = {
        "llama": {
            "mlp.gate_proj": ("gate",),
            "mlp.up_proj": ("input",),
            "mlp.down_proj": ("output",),
        },
        "gguf": {"ffn_gate": ("gate",), "ffn_up": ("input",), "ffn_down": ("output",)},
    }

    def __init__(self, spec: mlp.MLP, site: Site) -> None:
        super().__init__()
        hidden, bias = spec.hidden_width(site.width), site.architecture.bias
        self.activation = build_activation(spec.activation)
        self.gate = nn.Linear(site.width, hidden, bias=bias)
        self.input = nn.Linear(site.width, hidden, bias=bias)
        self.fused: FusedLinear | None = None
        self.dropout = Dropout(site.architecture.dropout.hidden)
        self.output = BranchOutput(hidden, site.width, bias=bias)

    def forward(self, x: Tensor, context: Context | None = None) -> Mixed:
        """Apply the MLP to x (B, T, width)."""
        gate, value = apply_linears(self, x)
        return self.output(self.dropout(self.activation(gate) * value)), None


def build_mlp(spec: mlp.MLP, site: Site) -> PlainMLP | GatedMLP:
    """Build the MLP of *spec*."""
    return (GatedMLP if spec.gated else PlainMLP)(spec, site)
