"""Grouped-query attention's options, and sinks, beside modules of transformers."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Olmo2Config, OlmoConfig, Qwen2Config
from transformers.models.gpt_oss.modeling_gpt_oss import eager_attention_forward
from transformers.models.olmo import modeling_olmo
from transformers.models.olmo2 import modeling_olmo2
from transformers.models.qwen2 import modeling_qwen2

from gpt.nn.attention.pairwise import PairwiseAttention
from gpt.nn.build import site_of
from gpt.spec.attention import GroupedQuery, Latent
from gpt.spec.linear_attention import LinearAttention
from gpt.spec.pattern import Window
from gpt.spec.position import T5, ALiBi, Rope, Shaw
from gpt.spec.scoring import ScaledDot, Softmax
from tests.gpt.models import context_of, mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL

T = 7
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "attn_implementation": "eager",
}
CASES = {
    "Qwen2": (
        modeling_qwen2.Qwen2Attention(Qwen2Config(**SIZES), 0),
        modeling_qwen2.Qwen2RotaryEmbedding(Qwen2Config(**SIZES)),
        {"bias": "qkv"},
    ),
    "OLMo": (
        modeling_olmo.OlmoAttention(OlmoConfig(**SIZES, clip_qkv=0.7), 0),
        modeling_olmo.OlmoRotaryEmbedding(OlmoConfig(**SIZES)),
        {"clip": 0.7},
    ),
    "OLMo 2": (
        modeling_olmo2.Olmo2Attention(Olmo2Config(**SIZES, rms_norm_eps=1e-2), 0),
        modeling_olmo2.Olmo2RotaryEmbedding(Olmo2Config(**SIZES)),
        {"qk_norm": True, "qk_norm_over": "heads", "qk_norm_eps": 1e-2},
    ),
}
"""Attention of transformers, its positions, and the fields of ours."""
NAMES = {
    "q_proj": "query",
    "k_proj": "key",
    "v_proj": "value",
    "o_proj": "output",
    "q_norm": "query_norm",
    "k_norm": "key_norm",
}


def causal() -> Tensor:
    """Added to scores."""
    return torch.zeros(T, T).masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf)[None, None]


@pytest.mark.parametrize("name", CASES)
def test_options_equal_those_of_transformers(name: str) -> None:
    """In output and all gradients."""
    torch.manual_seed(0)
    theirs, rotary, fields = CASES[name]
    spec = GroupedQuery(heads=4, kv_heads=2, **fields)
    architecture = dataclasses.replace(SMALL, attention=spec, position=Rope())
    ours, position = mechanism(spec, architecture), mechanism(Rope(), architecture)
    weights = dict(theirs.named_parameters())
    for weight in weights.values():
        nn.init.normal_(weight, std=0.3)
    renamed = {NAMES[each.split(".")[0]] + "." + each.split(".")[1]: each for each in weights}
    ours.load_state_dict({name: weights[each] for name, each in renamed.items()})
    x = torch.randn(2, T, 32, requires_grad=True)
    expected, _ = theirs(x, rotary(x, torch.arange(T)[None]), causal())
    actual, _ = ours(x, context_of(x, position))
    grad = torch.randn_like(expected)
    parameters = dict(ours.named_parameters())

    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        torch.autograd.grad(actual, [x, *parameters.values()], grad),
        torch.autograd.grad(expected, [x, *(weights[renamed[n]] for n in parameters)], grad),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("model_bias", [False, True])
@pytest.mark.parametrize(
    ("bias", "expected"),
    [
        (None, None),
        ("all", (True, True)),
        ("qkv", (True, False)),
        ("output", (False, True)),
        ("off", (False, False)),
    ],
)
def test_biases_of_attention_can_differ_from_the_models(
    bias: Any, expected: tuple[bool, bool] | None, model_bias: bool
) -> None:
    """By default they do not."""
    spec = GroupedQuery(heads=4, kv_heads=4, bias=bias)
    attention = mechanism(spec, dataclasses.replace(SMALL, attention=spec, bias=model_bias))
    inputs = {getattr(attention, name).bias is not None for name in ("query", "key", "value")}

    assert (inputs, attention.output.bias is not None) == (
        ({expected[0]}, expected[1]) if expected else ({model_bias}, model_bias)
    )


def with_sink(**fields: Any) -> PairwiseAttention:
    """Attention by pairs of 4 heads of 8, in float64."""
    spec = GroupedQuery(heads=4, kv_heads=2, **fields)
    site = site_of(dataclasses.replace(SMALL, attention=spec), 50)
    return PairwiseAttention(spec, site).double()


def vectors() -> list[Tensor]:
    """Queries, keys and values."""
    torch.manual_seed(0)
    shapes = [(2, 4, T, 8), (2, 2, T, 8), (2, 2, T, 8)]
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("kind", ["learned", "zero"])
@pytest.mark.parametrize("grad", [True, False])
def test_sinks_equal_those_of_gpt_oss(kind: Any, grad: bool) -> None:
    """In output and gradients, that of the sink included; with zero it is softmax off by one."""
    attention, inputs = with_sink(normalizer=Softmax(sink=kind)), vectors()
    sink = attention.normalizer.sink
    if kind == "learned":
        nn.init.normal_(sink)
        inputs.append(sink)
    module = SimpleNamespace(sinks=sink, num_key_value_groups=2, training=False)
    expected, _ = eager_attention_forward(
        module, *inputs[:3], causal().double(), 8**-0.5
    )  # (B, T, H, D)
    with torch.set_grad_enabled(grad):
        actual = attention(*inputs[:3], context_of(torch.zeros(2, T, 32)))

    torch.testing.assert_close(actual.transpose(1, 2), expected, rtol=1e-9, atol=1e-9)
    if grad:
        weights = torch.randn_like(expected)
        torch.testing.assert_close(
            torch.autograd.grad(actual.transpose(1, 2), inputs, weights),
            torch.autograd.grad(expected, inputs, weights),
            rtol=1e-9,
            atol=1e-9,
        )


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize(
    ("attention", "position"),
    [
        ({}, Rope()),
        ({"pattern": Window(size=3)}, Rope()),
        ({"pattern": Window(size=3, dilations=(1, 2))}, ALiBi()),
        ({"qk_norm": True}, T5(buckets=8, distance=12)),
        ({}, Shaw(distance=5)),
    ],
)
def test_fused_kernels_have_sinks(
    attention: dict[str, Any],
    position: Any,
    grad: bool,
    short: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Logits, cached ones and gradients are those of the plain path, which a temperature takes."""
    monkeypatch.setattr("gpt.nn.attention.pairwise.prefers_written_out", lambda queries: short)
    found = []
    for temperature in (None, 1.0):
        sink = Softmax(sink="learned", temperature=temperature)
        spec = GroupedQuery(heads=4, kv_heads=2, normalizer=sink, **attention)
        model = perturbed(dataclasses.replace(SMALL, attention=spec, position=position)).double()
        ids = torch.randint(50, (2, 16), generator=torch.Generator().manual_seed(1))
        documents = (torch.arange(16) > 6).long().expand(2, -1)
        with torch.set_grad_enabled(grad):
            logits = [model(ids), model(ids, document_ids=documents)]
        cache = model.new_cache(2, torch.float64)
        with torch.no_grad():
            logits += [model(part, cache=cache) for part in ids.split([9, 1, 6], dim=1)]
        if grad:
            total = sum(each.logsumexp(-1).sum() for each in logits[:2])
            logits += torch.autograd.grad(total, list(model.parameters()))  # type: ignore[arg-type]
        found.append(logits)

    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("fields", [{}, {"pattern": Window(size=3)}, {"score": ScaledDot(cap=1.0)}])
def test_a_sink_far_below_the_scores_changes_nothing(fields: dict[str, Any]) -> None:
    """With every pattern and score."""
    with_one, without = with_sink(normalizer=Softmax(sink="learned"), **fields), with_sink(**fields)
    nn.init.constant_(with_one.normalizer.sink, -100.0)
    context = context_of(torch.zeros(2, T, 32))

    torch.testing.assert_close(with_one(*vectors(), context), without(*vectors(), context))


@pytest.mark.parametrize(
    ("spec", "per_token", "constant"),
    [
        (GroupedQuery(heads=4, kv_heads=4), 2 * 4 * 8, 0),
        (GroupedQuery(heads=4, kv_heads=2), 2 * 2 * 8, 0),
        (GroupedQuery(heads=4, kv_heads=1, head_width=6), 2 * 6, 0),
        (Latent(heads=4, kv_rank=12, rope_width=6), 12 + 6, 0),
        (LinearAttention(heads=4, kv_heads=2), 0, 2 * (8 * 8 + 8)),
    ],
    ids=str,
)
def test_bytes_of_the_state_are_those_of_the_papers(
    spec: Any, per_token: int, constant: int
) -> None:
    """2 n_kv d_h, d_c + d_r, or a constant, in float32; and no more is allocated in the end."""
    architecture = dataclasses.replace(SMALL, attention=spec)
    state = mechanism(spec, architecture).new_state(3, torch.float32)
    expected = [3 * 4 * (per_token * tokens + constant) for tokens in (1, 7, 16)]

    assert [state.bytes_at(tokens) for tokens in (1, 7, 16)] == expected
    assert state.nbytes == state.bytes_at(architecture.context)


def test_a_window_bounds_the_bytes_of_the_state() -> None:
    """To those of its tokens."""
    spec = GroupedQuery(heads=4, kv_heads=2, pattern=Window(size=5))
    state = mechanism(spec, dataclasses.replace(SMALL, attention=spec)).new_state(1, torch.float32)

    assert [state.bytes_at(n) // (2 * 2 * 8 * 4) for n in (1, 4, 5, 6, 16)] == [1, 4, 5, 5, 5]


def test_the_first_tokens_that_a_window_keeps_are_counted_once() -> None:
    """Besides those of the window, and no more is allocated in the end."""
    spec = GroupedQuery(heads=4, kv_heads=2, pattern=Window(size=5, first=2))
    state = mechanism(spec, dataclasses.replace(SMALL, attention=spec)).new_state(1, torch.float32)

    assert [state.bytes_at(n) // (2 * 2 * 8 * 4) for n in (1, 4, 5, 6, 16)] == [2, 6, 7, 7, 7]
    assert state.nbytes == state.bytes_at(16)
