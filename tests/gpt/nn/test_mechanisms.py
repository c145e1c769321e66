"""Every mechanism in the tables of `gpt.nn.build`, by itself and in a model."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.data.batch import IGNORED
from gpt.model.gpt import GPT, padded_vocab
from gpt.nn.attention import causal_mask, eager_attention
from gpt.nn.build import (
    ATTENTIONS,
    CAPS,
    MLPS,
    NORMS,
    POSITIONS,
    RESIDUALS,
    SHIFTS,
    VALUE_EMBEDDINGS,
)
from gpt.nn.dropout import Dropout
from gpt.nn.loss import linear_cross_entropy
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import NoShift, NoValueEmbedding, TokenShift, ValueEmbedding
from gpt.spec.head import NoCap, SoftCap
from gpt.spec.mlp import Gelu, Relu2, SwiGLU
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, NoPosition, Rope
from gpt.spec.wiring import Lambdas, PlainResidual

SMALL = GPTConfig(
    vocab_size=50, context=16, layers=2, width=32, attention=GroupedQuery(heads=4, kv_heads=4)
)
SPECS: dict[str, list[Any]] = {
    "norm": [
        LayerNorm(),
        LayerNorm(bias=False),
        RMSNorm(),
        RMSNorm(weight=False),
    ],
    "mlp": [Gelu(), Gelu(tanh=True), Relu2(), SwiGLU(hidden=40)],
    "position": [
        Learned(),
        Rope(),
        Rope(fraction=0.5),
        NoPosition(),
    ],
    "attention": [
        GroupedQuery(heads=4, kv_heads=4),
        GroupedQuery(heads=4, kv_heads=2, qk_norm=True),
        GroupedQuery(heads=4, kv_heads=1, head_width=6),
        GroupedQuery(heads=4, kv_heads=4, window=5),
        GroupedQuery(heads=4, kv_heads=2, window=5, long_every=2),
    ],
    "shift": [NoShift(), TokenShift()],
    "residual": [PlainResidual(), Lambdas(), Lambdas(embedded=0.1)],
    "value_embedding": [NoValueEmbedding(), ValueEmbedding()],
    "cap": [NoCap(), SoftCap(limit=2.0)],
}
MODELS = [
    pytest.param(dataclasses.replace(SMALL, **{axis: spec}), id=f"{axis}-{spec}")
    for axis, specs in SPECS.items()
    for spec in specs
] + [
    pytest.param(dataclasses.replace(SMALL, tie=False), id="untied"),
    pytest.param(dataclasses.replace(SMALL, bias=True), id="bias"),
]


def perturbed(config: GPTConfig) -> GPT:
    """A model with noise in all weights: in a new one, every branch is zero."""
    model = GPT(config)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=noise)
    return model.eval()


def random_ids(rows: int, tokens: int) -> Tensor:
    return torch.randint(
        SMALL.vocab_size, (rows, tokens), generator=torch.Generator().manual_seed(2)
    )


@pytest.mark.parametrize(
    ("axis", "table"),
    [
        ("norm", NORMS),
        ("mlp", MLPS),
        ("position", POSITIONS),
        ("attention", ATTENTIONS),
        ("shift", SHIFTS),
        ("residual", RESIDUALS),
        ("value_embedding", VALUE_EMBEDDINGS),
        ("cap", CAPS),
    ],
)
def test_every_row_of_a_table_has_a_case(axis: str, table: dict[type, Any]) -> None:
    """A mechanism cannot be added without a case here."""
    assert {type(spec) for spec in SPECS[axis]} == set(table)


@pytest.mark.parametrize("config", MODELS)
def test_logits_have_the_size_of_the_vocabulary(config: GPTConfig) -> None:
    """At every position, without the rows that pad the vocabulary."""
    assert perturbed(config)(random_ids(3, 7)).logits.shape == (3, 7, SMALL.vocab_size)


@pytest.mark.parametrize("config", MODELS)
def test_future_tokens_do_not_change_the_past(config: GPTConfig) -> None:
    """Causality: replacing a token changes no logits before it."""
    model, ids = perturbed(config), random_ids(1, 16)
    other = ids.clone()
    other[0, 9] = (ids[0, 9] + 1) % SMALL.vocab_size
    before, after = model(ids).logits, model(other).logits

    torch.testing.assert_close(before[:, :9], after[:, :9])
    assert not torch.allclose(before[:, 9:], after[:, 9:])


@pytest.mark.parametrize("config", MODELS)
@pytest.mark.parametrize("chunks", [(16,), (1,) * 16, (5, 1, 7, 3)], ids=str)
def test_cached_logits_equal_uncached(config: GPTConfig, chunks: tuple[int, ...]) -> None:
    """Whether the tokens come all at once, one by one, or in uneven chunks."""
    model, ids = perturbed(config), random_ids(2, 16)
    cache = model.new_cache(2)
    cached = [model(chunk, cache=cache).logits for chunk in ids.split(chunks, dim=1)]

    torch.testing.assert_close(torch.cat(cached, dim=1), model(ids).logits)


@pytest.mark.parametrize("config", MODELS)
def test_gradients_reach_every_parameter(config: GPTConfig) -> None:
    """Every parameter is in the graph, and has a gradient other than zero."""
    model = perturbed(config)
    ids = random_ids(4, 16)
    model(ids, ids.roll(-1, 1)).loss.backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]

    assert missing == []


@pytest.mark.parametrize("config", MODELS)
def test_loss_is_the_cross_entropy_of_the_logits(config: GPTConfig) -> None:
    """The chunked loss equals F.cross_entropy of all logits."""
    model, ids = perturbed(config), random_ids(3, 16)
    targets = ids.flip(1)
    expected = F.cross_entropy(model(ids).logits.flatten(0, 1), targets.flatten())

    torch.testing.assert_close(model(ids, targets).loss, expected)


@pytest.mark.parametrize("num_targets", [10, 7, 0])
@pytest.mark.parametrize("spec", SPECS["cap"], ids=str)
def test_chunked_loss_has_torchs_gradients(
    spec: Any, num_targets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients of hidden states and head, with chunks that do not divide the rows.

    Ignored targets do not count; if all are ignored, the loss is 0.
    """
    monkeypatch.setattr("gpt.nn.loss.CHUNK_LOGITS", {"cpu": 3 * 20})
    monkeypatch.setattr("gpt.nn.loss.MIN_CHUNK_ROWS", 1)
    hidden, weight = torch.randn(10, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    targets = torch.randint(20, (10,))
    targets[torch.randperm(10)[num_targets:]] = IGNORED
    cap = CAPS[type(spec)](spec)
    chunked = 3 * linear_cross_entropy(hidden, weight, targets, cap)
    ours = torch.autograd.grad(chunked, [hidden, weight])
    losses = F.cross_entropy(cap(F.linear(hidden, weight)), targets, reduction="sum")
    loss = 3 * losses / max(1, num_targets)

    torch.testing.assert_close(chunked, loss)
    torch.testing.assert_close(ours, torch.autograd.grad(loss, [hidden, weight]))


def test_loss_is_summed_in_float32_under_autocast() -> None:
    """The products are bfloat16, but the loss is not: bfloat16 has about three digits."""
    noise = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(300, 16, generator=noise) for _ in range(2))
    targets = torch.randint(300, (300,), generator=noise)
    logits = F.linear(hidden.bfloat16(), weight.bfloat16()).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(hidden, weight, targets, CAPS[NoCap](NoCap()))

    assert loss.item() == pytest.approx(F.cross_entropy(logits, targets).item(), rel=1e-5)


def test_new_model_is_a_function_of_its_seed() -> None:
    """Equal seeds give equal weights, different seeds different ones."""
    weights = [GPT(SMALL, seed).embedding.weight for seed in (3, 3, 4)]

    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_new_model_predicts_uniformly() -> None:
    """Its loss is about the logarithm of the vocabulary size, without padding."""
    ids = random_ids(8, 16)
    loss = GPT(dataclasses.replace(SMALL, tie=False))(ids, ids).loss

    assert loss.item() == pytest.approx(math.log(SMALL.vocab_size), abs=0.05)


def test_padding_rows_get_no_gradient() -> None:
    """The rows past the vocabulary are not trained."""
    model, ids = perturbed(SMALL), random_ids(4, 16)
    model(ids, ids).loss.backward()
    grad = model.embedding.weight.grad

    assert grad is not None
    assert grad.shape[0] == padded_vocab(50) == 64
    assert not grad[50:].any()


def test_tokens_past_the_context_are_rejected() -> None:
    """Cached tokens count."""
    model = GPT(SMALL)
    cache = model.new_cache(1)
    model(random_ids(1, 10), cache=cache)
    with pytest.raises(ValueError, match="17 tokens do not fit the context of 16"):
        model(random_ids(1, 7), cache=cache)


@pytest.mark.parametrize("shift", [1, 5])
def test_rope_depends_only_on_distances(shift: int) -> None:
    """Shifting both positions leaves the product of a rotated query and key unchanged."""
    rope = POSITIONS[Rope](Rope(), Architecture(width=256))
    q, k = torch.randn(1, 1, 1, 64), torch.randn(1, 1, 1, 64)

    near = (rope.rotate(q, 7) * rope.rotate(k, 3)).sum()
    far = (rope.rotate(q, 7 + shift) * rope.rotate(k, 3 + shift)).sum()
    torch.testing.assert_close(near, far, rtol=1e-4, atol=1e-4)


def test_attention_is_limited_to_the_window() -> None:
    """With one layer, only the tokens in the window of the last one change its logits."""
    spec = GroupedQuery(heads=4, kv_heads=4, window=5)
    model = perturbed(dataclasses.replace(SMALL, attention=spec, layers=1))
    ids = random_ids(1, 16)
    for position, in_window in ((9, False), (10, False), (11, True)):
        other = ids.clone()
        other[0, position] = (ids[0, position] + 1) % SMALL.vocab_size
        same = torch.allclose(model(ids).logits[0, 15], model(other).logits[0, 15])

        assert same is not in_window


def test_grouped_query_equals_attention_over_repeated_heads() -> None:
    """Query head h reads kv head h // 2."""
    spec = GroupedQuery(heads=4, kv_heads=2)
    attention = ATTENTIONS[GroupedQuery](spec, dataclasses.replace(SMALL, attention=spec), 0)
    no_position = POSITIONS[NoPosition](NoPosition(), SMALL)
    x = torch.randn(2, 6, 32)

    q = attention.query(x).view(2, 6, 4, 8)
    k, v = (
        f(x).view(2, 6, 2, 8).repeat_interleave(2, dim=2) for f in (attention.key, attention.value)
    )
    scores = torch.einsum("bthd,bshd->bhts", q, k) / math.sqrt(8)
    scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf).softmax(-1)
    expected = attention.output(torch.einsum("bhts,bshd->bthd", scores, v).flatten(2))
    torch.testing.assert_close(attention(x, no_position), expected)


@pytest.mark.parametrize("window", [None, 1, 3])
def test_eager_attention_equals_torchs(window: int | None) -> None:
    """F.scaled_dot_product_attention is the oracle."""
    q, k, v = torch.randn(2, 4, 7, 8), torch.randn(2, 2, 7, 8), torch.randn(2, 2, 7, 8)
    mask = causal_mask(7, 7, window, q.device)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)

    torch.testing.assert_close(eager_attention(q, k, v, mask[None]), expected)


@pytest.mark.parametrize("config", MODELS)
def test_logits_are_the_same_with_and_without_gradients(config: GPTConfig) -> None:
    """On the CPU the two cases use different kernels."""
    model, ids = perturbed(config), random_ids(2, 16)
    with torch.no_grad():
        without_gradients = model(ids).logits

    torch.testing.assert_close(model(ids).logits, without_gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", MODELS)
def test_recomputed_activations_give_the_same_gradients(config: GPTConfig) -> None:
    """Activation checkpointing changes only the memory."""
    gradients = []
    for recompute in (False, True):
        model, ids = perturbed(config), random_ids(2, 16)
        model.recompute = recompute
        model(ids, ids.flip(1)).loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])

    torch.testing.assert_close(*gradients)


def test_every_nth_layer_and_the_last_have_no_window() -> None:
    """The layers between them have one."""
    spec = GroupedQuery(heads=4, kv_heads=4, window=5, long_every=3)
    config = dataclasses.replace(SMALL, attention=spec, layers=5)

    assert [config.window(layer) for layer in range(5)] == [5, 5, None, 5, None]


def dropout_of_ones(p: float, seed: int = 0) -> Tensor:
    """Dropout of a million ones."""
    torch.manual_seed(seed)
    return Dropout(p).train()(torch.ones(1000, 1001))


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_dropout_zeroes_with_its_probability_and_preserves_the_mean(p: float) -> None:
    """Within five standard deviations; all other elements have the same value, as in torch."""
    y, deviation = dropout_of_ones(p), math.sqrt(p * (1 - p) / 1_001_000)

    assert abs((y == 0).float().mean().item() - p) < 5 * deviation + 1 / 2**17
    torch.testing.assert_close(y[y != 0].unique(), torch.tensor([1 / (1 - p)]), rtol=1e-4, atol=0)


def test_dropout_is_independent_for_each_element() -> None:
    """Neighbors, and elements that use parts of one 64-bit random number, are uncorrelated."""
    zeroed = (dropout_of_ones(0.5).flatten() == 0).float() - 0.5

    for distance in (1, 2, 3, 4, 1000):
        assert abs((zeroed[distance:] * zeroed[:-distance]).mean()) < 5 * 0.25 / 1000


def test_dropout_is_a_function_of_the_seed() -> None:
    """A resumed run depends on it."""
    assert torch.equal(dropout_of_ones(0.3), dropout_of_ones(0.3))
    assert not torch.equal(dropout_of_ones(0.3), dropout_of_ones(0.3, seed=1))


def test_gradient_of_dropout_is_its_factor() -> None:
    """It is 0 for zeroed elements."""
    x = torch.ones(100, requires_grad=True)
    y = Dropout(0.5).train()(x)
    y.sum().backward()

    torch.testing.assert_close(x.grad, y.detach())


@pytest.mark.parametrize(("training", "p"), [(False, 0.5), (True, 0.0)])
def test_dropout_returns_its_input_in_evaluation_or_with_probability_0(
    training: bool, p: float
) -> None:
    """It is not copied."""
    x = torch.ones(10)

    assert Dropout(p).train(training)(x) is x


def test_token_shift_adds_a_fraction_of_the_previous_token() -> None:
    """Each feature has its own fraction; the oracle is RWKV's shift by padding."""
    shift = SHIFTS[TokenShift](TokenShift(), 4)
    nn.init.uniform_(shift.fraction)
    x = torch.randn(2, 3, 4)

    torch.testing.assert_close(shift(x), x + shift.fraction * nn.ZeroPad2d((0, 0, 1, -1))(x))


def test_lambdas_mix_the_residual_stream_and_the_embeddings() -> None:
    """Each layer has its own two weights."""
    mix = RESIDUALS[Lambdas](Lambdas(embedded=0.25), 3)
    nn.init.constant_(mix.stream, 0.5)
    x, x0 = torch.randn(2, 3, 4), torch.randn(2, 3, 4)

    torch.testing.assert_close(mix(x, x0, 1), 0.5 * x + 0.25 * x0)


@pytest.mark.parametrize(("layers", "expected"), [(1, {0}), (2, {0, 1}), (5, {0, 4})])
def test_value_embeddings_are_in_the_first_and_last_layer(layers: int, expected: set[int]) -> None:
    """Each has its own table."""
    spec = ValueEmbedding()
    config = dataclasses.replace(SMALL, layers=layers, value_embedding=spec)
    values, ids = GPT(config).values, random_ids(2, 16)

    assert {layer for layer in range(layers) if values(ids, layer) is not None} == expected
    assert torch.equal(values(ids, 0)[1, 3], values.tables["0"].weight[ids[1, 3]])


def test_soft_cap_equals_its_formula() -> None:
    """Its values stay within the limit."""
    logits = 50 * torch.randn(99)
    capped = CAPS[SoftCap](SoftCap(limit=15.0))(logits)

    torch.testing.assert_close(capped, 15 * torch.tanh(logits / 15))
    assert capped.abs().max() <= 15


@pytest.mark.parametrize("shape", [(6, 16), (2, 3, 5, 16)], ids=str)
def test_rms_norm_has_torchs_gradients(shape: tuple[int, ...]) -> None:
    """Gradients of the input, contiguous or not, and of the scale."""
    ours, theirs = NORMS[RMSNorm](RMSNorm(), 16), nn.RMSNorm(16, eps=1e-6)
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
    ours = NORMS[RMSNorm](RMSNorm(eps=1e-3, weight=weight), 16)
    x = 5 * torch.randn(4, 16)

    torch.testing.assert_close(ours(x), nn.RMSNorm(16, eps=1e-3)(x))
    torch.testing.assert_close(ours(x), x / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt())


def test_layer_norm_equals_torchs() -> None:
    """With scale, bias and eps."""
    ours, theirs = NORMS[LayerNorm](LayerNorm(eps=1e-3), 16), nn.LayerNorm(16, 1e-3)
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    theirs.load_state_dict(ours.state_dict())
    x = 5 * torch.randn(4, 16)

    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("spec", "formula"),
    [
        (Gelu(), lambda m, x: m.output(F.gelu(m.input(x)))),
        (Gelu(tanh=True), lambda m, x: m.output(F.gelu(m.input(x), approximate="tanh"))),
        (Relu2(), lambda m, x: m.output(m.input(x).clamp(min=0) ** 2)),
        (SwiGLU(), lambda m, x: m.output(m.gate(x) * m.gate(x).sigmoid() * m.input(x))),
    ],
    ids=str,
)
def test_mlp_equals_its_formula(spec: Any, formula: Any) -> None:
    """Written in one line of torch."""
    mlp, x = MLPS[type(spec)](spec, 16, 40, True), torch.randn(3, 5, 16)

    torch.testing.assert_close(mlp(x), formula(mlp, x))
