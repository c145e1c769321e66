"""DoRA: LoRA of the directions of a weight, with its magnitudes trained separately.

Shapes as in `gpt.adapt.lora`. Outputs and gradients equal those of peft 0.21, with dropout, too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpt.adapt.lora import LoRALinear
from gpt.nn.quantized.linear import AnyLinear
from gpt.nn.quantized.weight import Weight, product
from gpt.spec.adapter import DoRA


class DoRALinear(nn.Module):
    """x → m ⊙ V / ‖V‖ x + b, with V = W + s B A, m initially ‖W‖. Liu 2024, arXiv:2402.09353.

    ‖V‖ is the norm of each row (or column: `DoRA.axis`). No gradient flows through it (section 4.3
    of the paper), so the gradient of V / ‖V‖ costs the same as LoRA's.
    """

    def __init__(self, layer: AnyLinear, spec: DoRA, generator: torch.Generator) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.lora = LoRALinear(layer, spec, generator)
        self.dim = 1 if spec.axis == "out" else 0
        """Dimension of W (outputs, inputs) that the norm reduces."""
        self.magnitude = nn.Parameter(torch.linalg.vector_norm(layer.weight.detach(), dim=self.dim))

    @property
    def base(self) -> Weight:
        """The frozen W."""
        return self.lora.base

    @property
    def bias(self) -> Tensor | None:
        """The frozen b."""
        return self.lora.bias

    @property
    def weight(self) -> Tensor:
        """The adapted weight, m ⊙ V / ‖V‖: (outputs, inputs)."""
        return self.lora.weight * self._gain().unsqueeze(self.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        gain, lora = self._gain(), self.lora
        y = product(x, self.base)
        # As in peft, dropout applies to what the adapter changes, (gain - 1) W x + gain · delta,
        # and not to the frozen W x.
        dropping = self.training and lora.dropout.p > 0
        dropped = lora.dropout(x) if dropping else x
        if self.dim == 1:
            base = product(dropped, self.base) if dropping else y
            y = y + (gain - 1) * base + gain * lora.delta(dropped)
        else:
            y = y + product(dropped * (gain - 1), self.base) + lora.delta(dropped * gain)
        return y if self.bias is None else y + self.bias

    def _gain(self) -> Tensor:
        """Compute m / ‖V‖: (outputs,), or (inputs,)."""
        with torch.no_grad():
            norm: Tensor = torch.linalg.vector_norm(self.lora.weight, dim=self.dim)
        return self.magnitude / norm
