"""Activations by the names in `gpt.spec.mlp`: elementwise functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor


def relu2(x: Tensor) -> Tensor:
    """max(0, x)². So 2021 (Primer), arXiv:2109.08668."""
    return F.relu(x).square()


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu2": relu2,
    "gelu": F.gelu,  # x Φ(x). Hendrycks and Gimpel 2016, arXiv:1606.08415
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,  # x σ(x). Elfwing 2017, arXiv:1702.03118
}
