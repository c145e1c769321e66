"""Activations beside their formulas, in Python's own arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from gpt.lab.checks import Below, Equal
from gpt.lab.experiment import Figures, Part, Setting
from gpt.nn.activation import ACTIVATIONS, build_activation


def sigmoid(x: float) -> float:
    """Return 1 / (1 + e⁻ˣ)."""
    return 1 / (1 + math.exp(-x))


PLAIN: Mapping[str, Callable[[float], float]] = {
    "identity": lambda x: x,
    "sigmoid": sigmoid,
    "tanh": lambda x: 2 * sigmoid(2 * x) - 1,
    "softsign": lambda x: x / (1 + abs(x)),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "relu": lambda x: max(0.0, x),
    "relu2": lambda x: max(0.0, x) ** 2,
    "leaky_relu": lambda x: max(0.01 * x, x),
    "prelu": lambda x: max(0.25 * x, x),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "gelu": lambda x: x * (1 + math.erf(x / 2**0.5)) / 2,
    "gelu_tanh": lambda x: x * sigmoid(2 * (2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)),
    "gelu_quick": lambda x: x * sigmoid(1.702 * x),
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    "hardswish": lambda x: x * min(6.0, max(0.0, x + 3)) / 6,
}
"""The formulas, by names of `gpt.spec.mlp`."""


def function_of(name: str) -> Callable[[Tensor], Tensor]:
    """Return the activation of the project, in float64 if it has a parameter."""
    found = build_activation(name)
    return found.double() if isinstance(found, nn.Module) else found


def values(setting: Setting) -> Figures:
    """Compare values and derivatives with the formula, its derivative by central differences."""
    points = [-7.995 + 0.01 * i for i in range(1600)]  # none of 0 and ±3, where some have kinks
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    y = function_of(setting.arm)(x)
    (derivative,) = torch.autograd.grad(y.sum(), x)
    plain, h = PLAIN[setting.arm], 1e-5
    slopes = [(plain(each + h) - plain(each - h)) / (2 * h) for each in points]
    expected, gelu = ([formula(each) for each in points] for formula in (plain, PLAIN["gelu"]))
    return {
        "value": difference(y, expected),
        "derivative": difference(derivative, slopes),
        "from gelu": difference(y, gelu),
        "x": points[400:1200:5],
        "y": y[400:1200:5].tolist(),
    }


def difference(ours: Tensor, plain: Sequence[float]) -> float:
    """Return the largest absolute difference."""
    return float((ours.detach() - ours.new_tensor(plain)).abs().max())


VALUES = Part(
    name="values",
    kind="EXACT",
    arms=list(ACTIVATIONS),
    measure=values,
    sizes={name: {} for name in ("smoke", "cpu", "gpu")},
    checks=[
        Below(claim="each equals its formula", figure="value", bound=1e-12),
        Below(claim="and its derivative that of the formula", figure="derivative", bound=1e-8),
        Equal(
            claim="GPT-2's GELU is not torch's default, but an approximation: off by 0.0005",
            arm="gelu_tanh",
            figure="from gelu",
            value=4.73e-4,
            tolerance=1e-6,
        ),
        Equal(
            claim="CLIP's is off by 0.02",
            arm="gelu_quick",
            figure="from gelu",
            value=0.0203,
            tolerance=1e-4,
        ),
    ],
)
"""Values and derivatives of all activations, and how far approximations of GELU are from it."""
