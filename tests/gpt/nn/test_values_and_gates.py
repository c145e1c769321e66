"""What is done with the values and the outputs of attention heads, and convolutions before both."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Qwen3NextConfig
from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextAttention

from gpt.errors import ConfigError
from gpt.spec.attention import GroupedQuery, Interleaved
from gpt.spec.convolution import Canon
from gpt.spec.dropout import Dropout
from gpt.spec.embedding import ValueEmbedding, ValueResidual
from gpt.spec.gate import HeadGate
from gpt.spec.norm import RMSNorm
from gpt.spec.scoring import Additive
from tests.gpt.models import context_of, mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL, heads, random_ids


def attention(spec: Any, **changes: Any) -> Any:
    """Attention of *spec* in float64 with random weights."""
    config = dataclasses.replace(SMALL, attention=spec, **changes)
    built = mechanism(spec, config).double().eval()
    for parameter in built.parameters():
        nn.init.normal_(parameter, std=0.3)
    return built


def test_gates_of_features_equal_those_of_qwen3_next() -> None:
    """With the same weights, without rotations, in values and gradients.

    Its queries and gates are one product, and the scales of its norms are stored minus one.
    """
    config = Qwen3NextConfig(
        hidden_size=32, num_attention_heads=4, num_key_value_heads=2, head_dim=8
    )
    config._attn_implementation = "eager"
    theirs = Qwen3NextAttention(config, layer_idx=3).double()
    spec = heads(kv_heads=2, qk_norm=True, gate=HeadGate(per_feature=True))
    ours = attention(spec)
    with torch.no_grad():
        both = torch.stack([each.weight.view(4, 8, 32) for each in (ours.query, ours.gate.linear)])
        theirs.q_proj.weight.copy_(both.transpose(0, 1).reshape(-1, 32))
        theirs.q_norm.weight.copy_(ours.query_norm.weight - 1)
        theirs.k_norm.weight.copy_(ours.key_norm.weight - 1)
        for name, other in (("key", "k_proj"), ("value", "v_proj"), ("output", "o_proj")):
            getattr(theirs, other).weight.copy_(getattr(ours, name).weight)
    x = torch.randn(2, 6, 32).double().requires_grad_()
    one = torch.ones(1, 6, 8).double()
    mask = torch.full((1, 1, 6, 6), -math.inf).double().triu(1)
    expected = theirs(x, (one, 0 * one), mask)[0]
    y, grad = ours(x, context_of(x))[0], torch.randn(2, 6, 32).double()

    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    found = torch.autograd.grad(y, [x, ours.value.weight, ours.gate.linear.weight], grad)
    x_grad, value_grad, q_grad = torch.autograd.grad(
        expected, [x, theirs.v_proj.weight, theirs.q_proj.weight], grad
    )
    wanted = (x_grad, value_grad, q_grad.view(4, 2, 8, 32)[:, 1].reshape(-1, 32))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_gate_of_a_head_multiplies_its_output() -> None:
    """By the sigmoid of one product for each head."""
    gated = attention(heads(gate=HeadGate()))
    plain = attention(heads())
    plain.load_state_dict(gated.state_dict(), strict=False)
    nn.init.eye_(plain.output.weight)
    x = torch.randn(2, 6, 32).double()
    outputs = plain(x, context_of(x))[0].view(2, 6, 4, 8)
    gates = torch.sigmoid(x @ gated.gate.linear.weight.T)

    expected = (outputs * gates[..., None]).flatten(2) @ gated.output.weight.T
    torch.testing.assert_close(gated(x, context_of(x))[0], expected)


@pytest.mark.parametrize("fields", [{}, {"score": Additive(hidden=5)}], ids=str)
def test_weights_of_attention_are_dropped_after_the_softmax(fields: Any) -> None:
    """By the mask that the same random state gives, whatever the kernel; none in evaluation."""
    spec = heads(kv_heads=2, **fields)
    dropping = attention(spec, position=None, dropout=Dropout(attention=0.5))
    plain = attention(spec, position=None)
    plain.load_state_dict(dropping.state_dict())
    for each in (dropping, plain):
        nn.init.eye_(each.output.weight)
    x = torch.randn(2, 6, 32).double()
    q, k, v = (
        each.view(2, 6, -1, 8).transpose(1, 2)
        for each in (dropping.query(x), dropping.key(x), dropping.value(x))
    )
    index = torch.arange(6)[None]
    k, v = k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)
    scores = dropping.pairwise.score(q, k, index[..., None], index[:, None])
    if not fields:
        scores = q @ k.mT / math.sqrt(8)
    weights = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf).softmax(-1)
    torch.manual_seed(4)
    y = dropping.train()(x, context_of(x))[0]
    torch.manual_seed(4)
    dropped = dropping.pairwise.dropout(weights)

    assert (dropped == 0).double().mean() > 0.4
    torch.testing.assert_close(y, (dropped @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(dropping.eval()(x, context_of(x)), plain(x, context_of(x)))


class Observed:
    """The values that the kernel of each layer of a model gets."""

    def __init__(self, model: Any) -> None:
        self.values: list[Tensor] = []
        for block in model.blocks:
            block.attention.pairwise.register_forward_pre_hook(self._record)

    def _record(self, module: nn.Module, inputs: Any) -> None:
        self.values.append(inputs[2].transpose(1, 2).flatten(2))


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("embedded", [None, ValueEmbedding()])
def test_values_are_mixed_with_those_of_the_first_layer(learned: bool, embedded: Any) -> None:
    """Each layer by its own weights; those of the first layer, and what is added to them, stay."""
    spec = ValueResidual(first=0.7, own=0.2, learned=learned)
    config = dataclasses.replace(SMALL, layers=3, value_residual=spec, value_embedding=embedded)
    model, ids = perturbed(config), random_ids(2, 16)
    inputs: list[Tensor] = []
    for block in model.blocks:
        block.attention.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))  # type: ignore[union-attr,operator]
    observed = Observed(model)
    model(ids)
    own = []
    for layer, (block, x) in enumerate(zip(model.blocks, inputs, strict=True)):
        values = block.attention.value(x)  # type: ignore[union-attr,operator]
        added = None if model.values is None else model.values(ids, layer)
        own.append(values if added is None else values + added)
    first, mine = model.value_residual.first, model.value_residual.own

    torch.testing.assert_close(observed.values[0], own[0])
    for layer in (1, 2):
        expected = first[layer - 1] * own[0] + mine[layer - 1] * own[layer]
        torch.testing.assert_close(observed.values[layer], expected)
    assert ("value_residual.first" in dict(model.named_parameters())) is learned


def test_a_value_residual_needs_values_of_one_width() -> None:
    """Layers can differ in all else."""
    layers = (heads(kv_heads=2), heads(kv_heads=4))
    with pytest.raises(ConfigError, match=r"values of widths \[16, 32\]"):
        dataclasses.replace(
            SMALL, attention=Interleaved(layers=layers), value_residual=ValueResidual()
        )


def test_queries_keys_and_values_are_convolved_at_point_b() -> None:
    """Side by side, each feature by itself, before they are normalized."""
    spec = GroupedQuery(heads=4, kv_heads=2, qk_norm=True)
    convolved = attention(spec, convolution=Canon(points=("B",)), norm=RMSNorm())
    x = torch.randn(2, 6, 32).double()
    kernel = convolved.convolution.weight.flip(0).T[:, None]
    products = torch.cat(
        [each(x) for each in (convolved.query, convolved.key, convolved.value)], -1
    )
    mixed = products + F.conv1d(F.pad(products.mT, (3, 0)), kernel, groups=64).mT
    q, k, v = (
        each.unflatten(-1, (-1, 8)).transpose(1, 2) for each in mixed.split([32, 16, 16], -1)
    )
    q, k = convolved.query_norm(q), convolved.key_norm(k)
    outputs = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    expected = outputs.transpose(1, 2).flatten(2) @ convolved.output.weight.T
    torch.testing.assert_close(convolved(x, context_of(x))[0], expected)
