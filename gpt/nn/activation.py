"""Activations by the names in `gpt.spec.mlp`: elementwise functions, or modules of such."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.mechanism import Mechanism


def identity(x: Tensor) -> Tensor:
    """Return x itself. The MLP is then linear; gated it is bilinear. arXiv:2002.05202."""
    return x


def relu2(x: Tensor) -> Tensor:
    """max(0, x)². So 2021 (Primer), arXiv:2109.08668."""
    return F.relu(x).square()


def gelu_quick(x: Tensor) -> Tensor:
    """σ(1.702 x) x. Hendrycks and Gimpel 2016, arXiv:1606.08415; the form that CLIP has."""
    return x * torch.sigmoid(1.702 * x)


class PReLU(Mechanism):
    """max(0, x) + a min(0, x), one learned a per MLP. He 2015, arXiv:1502.01852."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to x, elementwise."""
        return F.prelu(x, self.weight.to(x.dtype))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor] | type[nn.Module]] = {
    "identity": identity,
    "sigmoid": torch.sigmoid,  # 1 / (1 + e⁻ˣ); gated it is GLU. Dauphin 2016, arXiv:1612.08083
    "tanh": torch.tanh,
    "softsign": F.softsign,  # x / (1 + |x|). Turian 2009
    "softplus": F.softplus,  # log(1 + eˣ). Dugas 2000
    "relu": F.relu,  # max(0, x). Nair and Hinton 2010
    "relu2": relu2,
    "leaky_relu": F.leaky_relu,  # max(0, x) + 0.01 min(0, x). Maas 2013
    "prelu": PReLU,
    "elu": F.elu,  # max(0, x) + min(0, eˣ - 1). Clevert 2015, arXiv:1511.07289
    "selu": F.selu,  # ELU whose fixed point is mean 0, variance 1. Klambauer 2017, arXiv:1706.02515
    "gelu": F.gelu,  # x Φ(x). Hendrycks and Gimpel 2016, arXiv:1606.08415
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "gelu_quick": gelu_quick,
    "silu": F.silu,  # x σ(x). Elfwing 2017, arXiv:1702.03118
    "mish": F.mish,  # x tanh(softplus(x)). Misra 2019, arXiv:1908.08681
    "hardswish": F.hardswish,  # x min(6, max(0, x + 3)) / 6. Howard 2019, arXiv:1905.02244
}
"""Functions; classes of modules that have parameters, which are constructed for each MLP."""


def build_activation(name: str) -> Callable[[Tensor], Tensor]:
    """Return the function called *name*, or a new module."""
    found = ACTIVATIONS[name]
    return found() if isinstance(found, type) else found
