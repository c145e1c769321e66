"""Attention to an encoder's outputs, against the formula written out."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gpt.errors import ConfigError
from gpt.model.encoder_decoder import EncoderDecoder
from gpt.nn.attention.cross import CrossAttention
from gpt.nn.build import site_of
from gpt.nn.context import Context, Memory
from gpt.nn.positions.encoding import PositionEncoding
from gpt.spec.attention import GroupedQuery, Latent, Longformer
from gpt.spec.attention_base import Attention
from gpt.spec.dropout import Dropout
from gpt.spec.encoder_decoder import EncoderDecoderConfig
from gpt.spec.linear_attention import LinearAttention
from gpt.spec.mlp import MLP
from gpt.spec.pattern import Window
from gpt.spec.scoring import Additive
from gpt.spec.wiring import DeepNorm

MODEL = EncoderDecoderConfig(
    vocab_size=50,
    context=16,
    layers=2,
    width=32,
    attention=GroupedQuery(heads=4, kv_heads=2),
    mlp=MLP(hidden=48),
    position=None,
)
LENGTHS = 5, 3
"""Tokens of the two sources."""


def cross(spec: Attention) -> CrossAttention:
    """The cross attention beside *spec* in a model of `MODEL`, with noise in all weights."""
    config = dataclasses.replace(MODEL, attention=spec)
    block: Any = EncoderDecoder(config).double().decoder.blocks[1]
    for parameter in block.cross_attention.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    found: CrossAttention = block.cross_attention.eval()
    return found


def inputs() -> tuple[Tensor, Context]:
    """Four tokens of two targets, and a memory with sources of 5 and 3 tokens."""
    mask = torch.arange(5) < torch.tensor(LENGTHS)[:, None]
    memory = Memory(torch.randn(2, 5, 32).double(), mask)
    ids = torch.zeros(2, 4, dtype=torch.int64)
    context = Context(
        ids=ids, starts=(0, 0), positions=0, position=PositionEncoding(), memory=memory
    )
    return torch.randn(2, 4, 32).double(), context


def normalized(x: Tensor, over_heads: bool, weight: Tensor) -> Tensor:
    """The RMS norm of x (T, H, D), over D or over all of a token."""
    flat = x.flatten(1) if over_heads else x
    y = flat / (flat.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * weight
    return y.view_as(x)


@pytest.mark.parametrize("over", [None, "head", "heads"])
def test_outputs_are_those_of_the_formula(over: Any) -> None:
    """Query head h reads key and value head h // 2; with QK-norm of either kind."""
    spec = GroupedQuery(heads=4, kv_heads=2, qk_norm=over is not None, qk_norm_over=over or "head")
    module, (x, context) = cross(spec), inputs()
    assert context.memory is not None
    expected = []
    for row, length in enumerate(LENGTHS):
        hidden = context.memory.hidden[row, :length]
        q = module.query(x[row]).view(4, 4, 8)
        k, v = (each(hidden).view(length, 2, 8) for each in (module.key, module.value))
        if over is not None:
            q = normalized(q, over == "heads", module.query_norm.weight)
            k = normalized(k, over == "heads", module.key_norm.weight)
        heads = [
            (q[:, head] @ k[:, head // 2].T / math.sqrt(8)).softmax(-1) @ v[:, head // 2]
            for head in range(4)
        ]
        expected.append(module.output(torch.cat(heads, -1)))

    torch.testing.assert_close(module(x, context), torch.stack(expected))


@pytest.mark.parametrize(
    "spec",
    [
        Longformer(heads=4, kv_heads=2, pattern=Window(size=4, first=1)),
        Latent(heads=4, head_width=8),
        GroupedQuery(heads=4, kv_heads=2, score=Additive()),
    ],
)
def test_tokens_one_at_a_time_equal_all_at_once(spec: Attention) -> None:
    """Keys and values of the memory are projected once; every kind of decoder has its heads."""
    module, (x, context) = cross(spec), inputs()
    assert context.memory is not None
    state = module.project(context.memory)
    steps = [
        module(
            x[:, at : at + 1],
            dataclasses.replace(context, ids=context.ids[:, :1], starts=(at, at), memory=None),
            state,
        )
        for at in range(4)
    ]

    torch.testing.assert_close(torch.cat(steps, 1), module(x, context))


def test_weights_are_dropped_in_training() -> None:
    """As those of the decoder's own attention: in evaluation, nothing is."""
    spec = Dropout(attention=0.5)
    model = EncoderDecoder(dataclasses.replace(MODEL, dropout=spec)).double()
    module: Any = model.decoder.blocks[0].cross_attention  # type: ignore[union-attr]
    torch.nn.init.normal_(module.output.weight)
    x, context = inputs()

    assert not torch.equal(module.train()(x, context), module.eval()(x, context))
    assert torch.equal(module(x, context), module(x, context))


def test_deepnorm_does_not_scale_queries_and_keys() -> None:
    """Wang 2022, section 3: β scales values and outputs only."""
    config = dataclasses.replace(
        MODEL, width=256, attention=GroupedQuery(heads=4, kv_heads=4), wiring=DeepNorm(beta=0.25)
    )
    module: Any = EncoderDecoder(config).decoder.blocks[0].cross_attention  # type: ignore[union-attr]
    stds = [each.weight.std().item() for each in (module.query, module.key, module.value)]

    assert stds == pytest.approx([1 / 16, 1 / 16, 0.25 / 16], rel=0.05)


def test_attention_without_pairs_has_no_cross_attention() -> None:
    """By its name."""
    with pytest.raises(ConfigError, match="LinearAttention"):
        CrossAttention(LinearAttention(heads=4), site_of(MODEL, 50))
