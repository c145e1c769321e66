"""Gates of the outputs of attention. B: batch size, T: tokens, H: heads, D: width of a head."""

from __future__ import annotations

from torch import Tensor, nn

from gpt.nn.mechanism import Mechanism
from gpt.nn.site import Site
from gpt.spec import gate


class HeadGate(Mechanism):
    """o → σ(W x) ⊙ o, with a gate for each head, or for each of its features.

    Qiu 2025, arXiv:2505.06708. x is the input of attention.
    """

    def __init__(self, spec: gate.HeadGate, site: Site) -> None:
        super().__init__()
        heads = site.architecture.attention_in(site.layer)
        width = heads.output_width(site.width) if spec.per_feature else 1
        self.linear = nn.Linear(site.width, heads.heads * width, bias=False)

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Gate the *outputs* of the heads, (B, T, H, D), by x (B, T, width)."""
        gates: Tensor = self.linear(x).sigmoid().unflatten(-1, (outputs.shape[2], -1))
        return outputs * gates.to(outputs.dtype)
