"""Norms, MLPs, wirings and the small mechanisms, each by itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import T5Config
from transformers.models.t5.modeling_t5 import T5DenseGatedActDense

from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture
from gpt.spec.embedding import TokenShift, ValueEmbedding
from gpt.spec.head import SoftCap
from gpt.spec.mlp import MLP
from gpt.spec.norm import BatchNorm, LayerNorm, RMSNorm
from gpt.spec.wiring import Lambdas, PostNorm, PreNorm
from tests.gpt.models import context_of, mechanism
from tests.gpt.nn.test_mechanisms import SMALL, random_ids

NARROW = Architecture(width=16)


def test_token_shift_adds_a_fraction_of_the_previous_token() -> None:
    """Each feature has its own fraction; the oracle is RWKV's shift by padding."""
    shift = mechanism(TokenShift(), NARROW)
    nn.init.uniform_(shift.fraction)
    x = torch.randn(2, 3, 16)

    torch.testing.assert_close(shift(x), x + shift.fraction * nn.ZeroPad2d((0, 0, 1, -1))(x))


def test_lambdas_mix_the_residual_stream_and_the_embeddings() -> None:
    """Each layer has its own two weights."""
    mix = mechanism(Lambdas(embedded=0.25))
    nn.init.constant_(mix.stream, 0.5)
    x, x0 = torch.randn(2, 3, 4), torch.randn(2, 3, 4)

    torch.testing.assert_close(mix(x, x0, 1), 0.5 * x + 0.25 * x0)


@pytest.mark.parametrize(("layers", "expected"), [(1, {0}), (2, {0, 1}), (5, {0, 4})])
def test_value_embeddings_are_in_the_first_and_last_layer(layers: int, expected: set[int]) -> None:
    """Each has its own table."""
    config = dataclasses.replace(SMALL, layers=layers, value_embedding=ValueEmbedding())
    values, ids = GPT(config).values, random_ids(2, 16)

    assert {layer for layer in range(layers) if values(ids, layer) is not None} == expected
    assert torch.equal(values(ids, 0)[1, 3], values.tables["0"].weight[ids[1, 3]])


def test_soft_cap_equals_its_formula() -> None:
    """Its values stay within the limit."""
    logits = 50 * torch.randn(99)
    capped = mechanism(SoftCap(limit=15.0))(logits)

    torch.testing.assert_close(capped, 15 * torch.tanh(logits / 15))
    assert capped.abs().max() <= 15


@pytest.mark.parametrize("shape", [(6, 16), (2, 3, 5, 16)], ids=str)
def test_rms_norm_has_torchs_gradients(shape: tuple[int, ...]) -> None:
    """Gradients of the input, contiguous or not, and of the scale."""
    ours, theirs = mechanism(RMSNorm(), NARROW), nn.RMSNorm(16, eps=1e-6)
    x = torch.randn(shape).transpose(0, -2).requires_grad_()
    with torch.no_grad():
        nn.init.normal_(ours.weight)
        theirs.weight.copy_(ours.weight)
    grad = torch.randn_like(x)

    gradients = [torch.autograd.grad(n(x), [x, n.weight], grad) for n in (ours, theirs)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("weight", [True, False])
def test_rms_norm_equals_torchs(weight: bool) -> None:
    """It also equals the formula."""
    ours = mechanism(RMSNorm(eps=1e-3, weight=weight), NARROW)
    x = 5 * torch.randn(4, 16)

    torch.testing.assert_close(ours(x), nn.RMSNorm(16, eps=1e-3)(x))
    torch.testing.assert_close(ours(x), x / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt())


def test_layer_norm_equals_torchs() -> None:
    """With scale, bias and eps."""
    ours, theirs = mechanism(LayerNorm(eps=1e-3), NARROW), nn.LayerNorm(16, 1e-3)
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    theirs.load_state_dict(ours.state_dict())
    x = 5 * torch.randn(4, 16)

    torch.testing.assert_close(ours(x), theirs(x))


def batch_norms() -> tuple[nn.Module, nn.BatchNorm1d]:
    return mechanism(BatchNorm(leaks=True, momentum=0.3), NARROW), nn.BatchNorm1d(16, momentum=0.3)


def test_batch_norm_trains_as_torchs() -> None:
    """Over all tokens of all rows; the moving averages, too."""
    ours, theirs = batch_norms()
    for _ in range(3):
        x = 5 * torch.randn(4, 7, 16)
        torch.testing.assert_close(ours(x), theirs(x.flatten(0, 1)).view(x.shape))

    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.variance, theirs.running_var)


def test_batch_norm_evaluates_with_its_moving_averages() -> None:
    """So other tokens of the batch have no influence."""
    ours, _ = batch_norms()
    ours(5 * torch.randn(4, 7, 16))
    ours.eval()
    x = torch.randn(2, 3, 16)

    torch.testing.assert_close(ours(x)[:1, :1], ours(x[:1, :1]))


def test_batch_norm_must_be_allowed_to_leak() -> None:
    """Its statistics include later tokens."""
    with pytest.raises(ConfigError, match="training sees what it predicts; set leaks to true"):
        BatchNorm()


def test_batch_norm_does_leak_while_training() -> None:
    """A later token changes the logits of earlier ones; the warning is true."""
    model = GPT(dataclasses.replace(SMALL, norm=BatchNorm(leaks=True))).train()
    ids = random_ids(1, 16)
    other = ids.clone()
    other[0, 9] = (ids[0, 9] + 1) % SMALL.vocab_size

    assert not torch.allclose(model(ids)[:, :9], model(other)[:, :9])


def activation(name: str, x: Tensor) -> Tensor:
    """The formula of an activation."""
    formulas = {
        "relu": x.clamp(min=0),
        "relu2": x.clamp(min=0) ** 2,
        "gelu": x * (1 + torch.erf(x / 2**0.5)) / 2,
        "gelu_tanh": F.gelu(x, approximate="tanh"),
        "silu": x / (1 + torch.exp(-x)),
    }
    return formulas[name]


@pytest.mark.parametrize("name", ["relu", "relu2", "gelu", "gelu_tanh", "silu"])
def test_plain_mlp_equals_its_formula(name: Any) -> None:
    """W₂ f(W₁ x)."""
    mlp, x = mechanism(MLP(activation=name, hidden=40), NARROW), torch.randn(3, 5, 16)
    nn.init.normal_(mlp.output.weight)

    torch.testing.assert_close(mlp(x)[0], mlp.output(activation(name, mlp.input(x))))


@pytest.mark.parametrize("name", ["relu", "relu2", "gelu", "gelu_tanh", "silu"])
def test_gated_mlp_equals_its_formula(name: Any) -> None:
    """W₂ (f(W₁ x) ⊙ W₃ x)."""
    mlp, x = mechanism(MLP(activation=name, gated=True), NARROW), torch.randn(3, 5, 16)
    nn.init.normal_(mlp.output.weight)

    expected = mlp.output(activation(name, mlp.gate(x)) * mlp.input(x))
    torch.testing.assert_close(mlp(x)[0], expected)


def test_geglu_equals_that_of_transformers() -> None:
    """The MLP of T5 v1.1, with the same weights."""
    config = T5Config(d_model=16, d_ff=40, dense_act_fn="gelu_new", dropout_rate=0.0)
    theirs = T5DenseGatedActDense(config)
    ours = mechanism(MLP(activation="gelu_tanh", gated=True, hidden=40), NARROW)
    for name, other in (("gate", "wi_0"), ("input", "wi_1"), ("output", "wo")):
        getattr(ours, name).load_state_dict(getattr(theirs, other).state_dict())
    x = torch.randn(3, 5, 16)

    torch.testing.assert_close(ours(x)[0], theirs(x))


def lively_block(spec: Any) -> Any:
    """A block whose branches are not zero, in evaluation mode."""
    block = mechanism(spec, dataclasses.replace(SMALL, norm=LayerNorm(), wiring=spec))
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    return block.eval()


def test_pre_norm_normalizes_the_inputs_of_branches() -> None:
    """X + f(norm(x)), for attention, then the MLP."""
    block, x = lively_block(PreNorm()), torch.randn(2, 6, 32)
    context = context_of(x)
    y = x + block.attention(block.attention_norm(x), context)[0]

    torch.testing.assert_close(block(x, context)[0], y + block.mlp(block.mlp_norm(y), context)[0])


def test_post_norm_equals_torchs_encoder_layer() -> None:
    """nn.TransformerEncoderLayer with norm_first=False and a causal mask is the oracle."""
    config = dataclasses.replace(
        SMALL, norm=LayerNorm(), wiring=PostNorm(), bias=True, mlp=MLP(activation="relu")
    )
    block = mechanism(PostNorm(), config).eval()
    theirs = nn.TransformerEncoderLayer(32, 4, 128, dropout=0.0, batch_first=True).eval()
    attention, mlp = block.attention, block.mlp
    with torch.no_grad():
        for parameter in block.parameters():
            nn.init.normal_(parameter, std=0.3)
        projections = (attention.query, attention.key, attention.value)
        theirs.self_attn.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
    for ours, other in (
        (attention.output, theirs.self_attn.out_proj),
        (mlp.input, theirs.linear1),
        (mlp.output, theirs.linear2),
        (block.attention_norm, theirs.norm1),
        (block.mlp_norm, theirs.norm2),
    ):
        other.load_state_dict(ours.state_dict())
    x = torch.randn(2, 6, 32)
    mask = nn.Transformer.generate_square_subsequent_mask(6)

    torch.testing.assert_close(
        block(x, context_of(x))[0], theirs(x, src_mask=mask), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("spec", "normalized"), [(PreNorm(), True), (PostNorm(), False)])
def test_the_last_norm_belongs_to_the_wiring(spec: Any, normalized: bool) -> None:
    """With post-norm the stream is normalized already."""
    model = GPT(dataclasses.replace(SMALL, wiring=spec))

    assert bool(list(model.norm.parameters())) is normalized
