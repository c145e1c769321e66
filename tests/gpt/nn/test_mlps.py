"""Activations and MLPs equal those of torch and transformers, in values and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, T5Config
from transformers.activations import ACT2FN
from transformers.models.llama.modeling_llama import LlamaMLP
from transformers.models.t5.modeling_t5 import T5DenseGatedActDense

from gpt.nn.activation import ACTIVATIONS, build_activation
from gpt.spec.architecture import Architecture
from gpt.spec.dropout import Dropout
from gpt.spec.mlp import MLP
from tests.gpt.models import mechanism

NARROW = Architecture(width=16)
ORACLES: dict[str, Any] = {
    "identity": ACT2FN["linear"],
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "softsign": nn.Softsign(),
    "softplus": nn.Softplus(),
    "relu": nn.ReLU(),
    "relu2": ACT2FN["relu2"],
    "leaky_relu": nn.LeakyReLU(),
    "prelu": nn.PReLU().double(),
    "elu": nn.ELU(),
    "selu": nn.SELU(),
    "gelu": nn.GELU(),
    "gelu_tanh": ACT2FN["gelu_new"],
    "gelu_quick": ACT2FN["quick_gelu"],
    "silu": nn.SiLU(),
    "mish": nn.Mish(),
    "hardswish": nn.Hardswish(),
}
"""Modules of torch and transformers by our names."""


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_equal_those_of_other_libraries(name: str) -> None:
    """On a grid, in float64, with their derivatives."""
    x = torch.linspace(-6, 6, 1201).double().requires_grad_()
    ours, theirs = build_activation(name)(x), ORACLES[name](x)

    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours.sum(), x), torch.autograd.grad(theirs.sum(), x)
    )


def test_selu_keeps_mean_and_variance_in_fifty_layers() -> None:
    """Self-normalization, which ReLU does not have."""
    generator = torch.Generator().manual_seed(0)
    x = selu = relu = torch.randn(256, 256, generator=generator)
    for _ in range(50):
        weight = torch.randn(256, 256, generator=generator) / 16
        selu, relu = ACTIVATIONS["selu"](selu @ weight), ACTIVATIONS["relu"](relu @ weight)

    assert abs(selu.mean()) < 0.2
    assert 0.7 < selu.var() < 1.3
    assert relu.var() < 1e-6 < x.var()


def lively(spec: MLP) -> Any:
    """An MLP in float64 whose output is not zero."""
    mlp = mechanism(spec, NARROW).double()
    nn.init.normal_(mlp.output.weight)
    return mlp


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_plain_mlp_equals_its_formula(name: Any) -> None:
    """W₂ f(W₁ x)."""
    mlp, x = lively(MLP(activation=name, hidden=40)), torch.randn(3, 5, 16).double()

    torch.testing.assert_close(
        mlp(x)[0], ORACLES[name](x @ mlp.input.weight.T) @ mlp.output.weight.T
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gated_mlp_equals_its_formula(name: Any) -> None:
    """W₂ (f(W₁ x) ⊙ W₃ x)."""
    mlp, x = lively(MLP(activation=name, gated=True)), torch.randn(3, 5, 16).double()
    hidden = ORACLES[name](x @ mlp.gate.weight.T) * (x @ mlp.input.weight.T)

    torch.testing.assert_close(mlp(x)[0], hidden @ mlp.output.weight.T)


def test_a_gated_sigmoid_is_torchs_glu() -> None:
    """F.glu of both products."""
    mlp, x = lively(MLP(activation="sigmoid", gated=True)), torch.randn(3, 5, 16).double()
    hidden = F.glu(torch.cat((mlp.input(x), mlp.gate(x)), dim=-1))

    torch.testing.assert_close(mlp(x)[0], mlp.output(hidden))


def test_a_gated_identity_is_bilinear() -> None:
    """nn.Bilinear of x with itself, whose matrices are products of rows of both weights."""
    mlp, x = lively(MLP(activation="identity", gated=True, hidden=6)), torch.randn(7, 16).double()
    bilinear = nn.Bilinear(16, 16, 6, bias=False).double()
    with torch.no_grad():
        bilinear.weight.copy_(torch.einsum("hi,hj->hij", mlp.gate.weight, mlp.input.weight))

    torch.testing.assert_close(mlp(x)[0], mlp.output(bilinear(x, x)))


def equal_with_gradients(ours: Any, theirs: nn.Module, names: dict[str, str], x: Tensor) -> None:
    """Assert that the MLPs are equal in values and gradients after copying weights by *names*."""
    for name, other in names.items():
        getattr(ours, name).load_state_dict(getattr(theirs, other).state_dict())
    x = x.requires_grad_()
    y, expected = ours(x)[0], theirs(x)
    grad = torch.randn_like(y)

    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(
        torch.autograd.grad(y, [x, *(getattr(ours, name).weight for name in names)], grad),
        torch.autograd.grad(
            expected, [x, *(getattr(theirs, other).weight for other in names.values())], grad
        ),
    )


def test_geglu_equals_that_of_transformers() -> None:
    """The MLP of T5 v1.1, with the same weights."""
    config = T5Config(d_model=16, d_ff=40, dense_act_fn="gelu_new", dropout_rate=0.0)
    ours = lively(MLP(activation="gelu_tanh", gated=True, hidden=40))
    theirs = T5DenseGatedActDense(config).double()

    names = {"gate": "wi_0", "input": "wi_1", "output": "wo"}
    equal_with_gradients(ours, theirs, names, torch.randn(3, 5, 16).double())


def test_swiglu_equals_that_of_transformers() -> None:
    """The MLP of Llama, with the same weights."""
    config = LlamaConfig(hidden_size=16, intermediate_size=40, num_attention_heads=4)
    ours = lively(MLP(activation="silu", gated=True, hidden=40))

    names = {"gate": "gate_proj", "input": "up_proj", "output": "down_proj"}
    equal_with_gradients(ours, LlamaMLP(config).double(), names, torch.randn(3, 5, 16).double())


@pytest.mark.parametrize(
    ("width", "hidden"), [(4096, 11008), (5120, 13824), (6656, 17920), (8192, 22016)]
)
def test_llamas_hidden_widths_are_multiples_of_256(width: int, hidden: int) -> None:
    """Of the models of 7, 13, 33 and 65 billion weights."""
    assert MLP(gated=True, multiple_of=256).hidden_width(width) == hidden


@pytest.mark.parametrize("width", [192, 384, 768])
def test_a_gated_mlp_has_as_many_parameters_as_a_plain_one(width: int) -> None:
    """Exactly, where 8/3 of the width is a multiple of 64."""
    site = Architecture(width=width)
    plain, gated = (mechanism(MLP(gated=gated), site) for gated in (False, True))

    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in gated.parameters())


def test_hidden_units_are_dropped_after_the_activation() -> None:
    """By the mask that the same random state gives; none in evaluation."""
    architecture = Architecture(width=16, dropout=Dropout(hidden=0.5))
    mlp, x = mechanism(MLP(), architecture), torch.randn(3, 5, 16)
    nn.init.normal_(mlp.output.weight)
    hidden = mlp.activation(mlp.input(x))
    torch.manual_seed(3)
    y = mlp.train()(x)[0]
    torch.manual_seed(3)

    torch.testing.assert_close(y, mlp.output(mlp.dropout(hidden)))
    torch.testing.assert_close(mlp.eval()(x)[0], mlp.output(hidden))
