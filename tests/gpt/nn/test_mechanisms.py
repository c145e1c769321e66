"""Every mechanism of the zoo, alone and in a model; the tables say which there are."""

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
from gpt.nn.attention import attend, visible
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


def lively(written: GPTConfig) -> GPT:
    """A model whose branches are not zero, as they are in a new one."""
    model = GPT(written)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=noise)
    return model.eval()


def some_ids(rows: int, tokens: int) -> Tensor:
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
def test_tests_cover_every_row_of_a_table(axis: str, table: dict[type, Any]) -> None:
    """A mechanism that is added without a case here is noticed."""
    assert {type(spec) for spec in SPECS[axis]} == set(table)


@pytest.mark.parametrize("written", MODELS)
def test_model_predicts_the_vocabulary_at_every_place(written: GPTConfig) -> None:
    """Padding of the vocabulary is not seen from outside."""
    assert lively(written)(some_ids(3, 7)).logits.shape == (3, 7, SMALL.vocab_size)


@pytest.mark.parametrize("written", MODELS)
def test_future_tokens_do_not_change_the_past(written: GPTConfig) -> None:
    """Causality: the logits before a token are the same whatever the token is."""
    model, ids = lively(written), some_ids(1, 16)
    other = ids.clone()
    other[0, 9] = (ids[0, 9] + 1) % SMALL.vocab_size
    before, after = model(ids).logits, model(other).logits

    torch.testing.assert_close(before[:, :9], after[:, :9])
    assert not torch.allclose(before[:, 9:], after[:, 9:])


@pytest.mark.parametrize("written", MODELS)
@pytest.mark.parametrize("parts", [(16,), (1,) * 16, (5, 1, 7, 3)], ids=str)
def test_cached_logits_equal_uncached(written: GPTConfig, parts: tuple[int, ...]) -> None:
    """However the tokens are handed over: at once, one by one, or in uneven parts."""
    model, ids = lively(written), some_ids(2, 16)
    cache = model.new_cache(2)
    cached = [model(part, cache=cache).logits for part in ids.split(parts, dim=1)]

    torch.testing.assert_close(torch.cat(cached, dim=1), model(ids).logits)


@pytest.mark.parametrize("written", MODELS)
def test_gradients_reach_every_parameter(written: GPTConfig) -> None:
    """None is left out of the graph, and none is always zero."""
    model = lively(written)
    ids = some_ids(4, 16)
    model(ids, ids.roll(-1, 1)).loss.backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]

    assert still == []


@pytest.mark.parametrize("written", MODELS)
def test_loss_is_the_cross_entropy_of_the_logits(written: GPTConfig) -> None:
    """The sliced loss against torch's own over all logits."""
    model, ids = lively(written), some_ids(3, 16)
    targets = ids.flip(1)
    expected = F.cross_entropy(model(ids).logits.flatten(0, 1), targets.flatten())

    torch.testing.assert_close(model(ids, targets).loss, expected)


@pytest.mark.parametrize("learnt", [10, 7, 0])
@pytest.mark.parametrize("spec", SPECS["cap"], ids=str)
def test_sliced_loss_has_torchs_gradients(
    spec: Any, learnt: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the hidden states and of the head, over slices that do not divide the rows.

    Targets that are ignored do not count; where none is left the loss is 0.
    """
    monkeypatch.setattr("gpt.nn.loss.SLICE", {"cpu": 3 * 20})
    monkeypatch.setattr("gpt.nn.loss.ROWS", 1)
    hidden, weight = torch.randn(10, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    targets = torch.randint(20, (10,))
    targets[torch.randperm(10)[learnt:]] = IGNORED
    cap = CAPS[type(spec)](spec)
    sliced = 3 * linear_cross_entropy(hidden, weight, targets, cap)
    ours = torch.autograd.grad(sliced, [hidden, weight])
    losses = F.cross_entropy(cap(F.linear(hidden, weight)), targets, reduction="sum")
    loss = 3 * losses / max(1, learnt)

    torch.testing.assert_close(sliced, loss)
    torch.testing.assert_close(ours, torch.autograd.grad(loss, [hidden, weight]))


def test_loss_is_summed_in_float32_under_autocast() -> None:
    """Products are rounded to bfloat16, and the loss is not: it has some three digits there."""
    noise = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(300, 16, generator=noise) for _ in range(2))
    targets = torch.randint(300, (300,), generator=noise)
    logits = F.linear(hidden.bfloat16(), weight.bfloat16()).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(hidden, weight, targets, CAPS[NoCap](NoCap()))

    assert loss.item() == pytest.approx(F.cross_entropy(logits, targets).item(), rel=1e-5)


def test_new_model_is_a_function_of_its_seed() -> None:
    """The same seed gives the same weights, another one others."""
    weights = [GPT(SMALL, seed).embedding.weight for seed in (3, 3, 4)]

    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_new_model_knows_nothing() -> None:
    """Its loss is about that of a guess: ln of the vocabulary's size, padding not counted."""
    ids = some_ids(8, 16)
    loss = GPT(dataclasses.replace(SMALL, tie=False))(ids, ids).loss

    assert loss.item() == pytest.approx(math.log(SMALL.vocab_size), abs=0.05)


def test_padded_rows_are_never_trained() -> None:
    """The rows past the vocabulary get no gradient."""
    model, ids = lively(SMALL), some_ids(4, 16)
    model(ids, ids).loss.backward()
    grad = model.embedding.weight.grad

    assert grad is not None
    assert grad.shape[0] == padded_vocab(50) == 64
    assert not grad[50:].any()


def test_tokens_past_the_context_are_refused() -> None:
    """With both numbers, cached or not."""
    model = GPT(SMALL)
    cache = model.new_cache(1)
    model(some_ids(1, 10), cache=cache)
    with pytest.raises(ValueError, match="17 tokens do not fit the context of 16"):
        model(some_ids(1, 7), cache=cache)


@pytest.mark.parametrize("shift", [1, 5])
def test_rope_sees_distances_only(shift: int) -> None:
    """q·k after rotation depends on the distance of their positions, not on the positions."""
    rope = POSITIONS[Rope](Rope(), Architecture(width=256))
    q, k = torch.randn(1, 1, 1, 64), torch.randn(1, 1, 1, 64)

    near = (rope.rotate(q, 7) * rope.rotate(k, 3)).sum()
    far = (rope.rotate(q, 7 + shift) * rope.rotate(k, 3 + shift)).sum()
    torch.testing.assert_close(near, far, rtol=1e-4, atol=1e-4)


def test_window_sees_its_last_tokens_and_no_others() -> None:
    """A token further back than the window changes nothing one layer on; the window's edge does."""
    spec = GroupedQuery(heads=4, kv_heads=4, window=5)
    model = lively(dataclasses.replace(SMALL, attention=spec, layers=1))
    ids = some_ids(1, 16)
    for place, seen in ((9, False), (10, False), (11, True)):
        other = ids.clone()
        other[0, place] = (ids[0, place] + 1) % SMALL.vocab_size
        same = torch.allclose(model(ids).logits[0, 15], model(other).logits[0, 15])

        assert same is not seen


def test_grouped_query_equals_attention_over_repeated_heads() -> None:
    """Query head h reads kv head h // 2: against an explicit softmax over repeated heads."""
    spec = GroupedQuery(heads=4, kv_heads=2)
    attention = ATTENTIONS[GroupedQuery](spec, dataclasses.replace(SMALL, attention=spec), 0)
    still = POSITIONS[NoPosition](NoPosition(), SMALL)
    x = torch.randn(2, 6, 32)

    q = attention.query(x).view(2, 6, 4, 8)
    k, v = (
        f(x).view(2, 6, 2, 8).repeat_interleave(2, dim=2) for f in (attention.key, attention.value)
    )
    scores = torch.einsum("bthd,bshd->bhts", q, k) / math.sqrt(8)
    scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf).softmax(-1)
    expected = attention.output(torch.einsum("bhts,bshd->bthd", scores, v).flatten(2))
    torch.testing.assert_close(attention(x, still), expected)


@pytest.mark.parametrize("window", [None, 1, 3])
def test_attention_in_the_open_equals_torchs(window: int | None) -> None:
    """The products written out, as training on the CPU takes them, against SDPA."""
    q, k, v = torch.randn(2, 4, 7, 8), torch.randn(2, 2, 7, 8), torch.randn(2, 2, 7, 8)
    mask = visible(7, 7, window, q.device)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)

    torch.testing.assert_close(attend(q, k, v, mask[None]), expected)


@pytest.mark.parametrize("written", MODELS)
def test_model_in_training_computes_what_it_does_in_use(written: GPTConfig) -> None:
    """With gradients and without, the CPU takes other ways to the same logits."""
    model, ids = lively(written), some_ids(2, 16)
    with torch.no_grad():
        used = model(ids).logits

    torch.testing.assert_close(model(ids).logits, used, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("written", MODELS)
def test_recomputed_activations_give_the_same_gradients(written: GPTConfig) -> None:
    """Less memory, nothing else."""
    gradients = []
    for recompute in (False, True):
        model, ids = lively(written), some_ids(2, 16)
        model.recompute = recompute
        model(ids, ids.flip(1)).loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])

    torch.testing.assert_close(*gradients)


def test_every_nth_layer_and_the_last_see_all() -> None:
    """Between them, layers see their window."""
    spec = GroupedQuery(heads=4, kv_heads=4, window=5, long_every=3)
    written = dataclasses.replace(SMALL, attention=spec, layers=5)

    assert [written.window(layer) for layer in range(5)] == [5, 5, None, 5, None]


def dropped(share: float, seed: int = 0) -> Tensor:
    """What is left of a million ones."""
    torch.manual_seed(seed)
    return Dropout(share).train()(torch.ones(1000, 1001))


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(share: float) -> None:
    """Within five deviations; what is left is all of one size, as in torch's own."""
    left, deviation = dropped(share), math.sqrt(share * (1 - share) / 1_001_000)

    assert abs((left == 0).float().mean().item() - share) < 5 * deviation + 1 / 2**17
    torch.testing.assert_close(
        left[left != 0].unique(), torch.tensor([1 / (1 - share)]), rtol=1e-4, atol=0
    )


def test_dropout_drops_each_feature_by_itself() -> None:
    """Neighbours, and those that come from one draw, are dropped together as chance has it."""
    gone = (dropped(0.5).flatten() == 0).float() - 0.5

    for apart in (1, 2, 3, 4, 1000):
        assert abs((gone[apart:] * gone[:-apart]).mean()) < 5 * 0.25 / 1000


def test_dropout_is_decided_by_the_seed() -> None:
    """So a run that goes on drops what it would have."""
    assert torch.equal(dropped(0.3), dropped(0.3))
    assert not torch.equal(dropped(0.3), dropped(0.3, seed=1))


def test_gradient_of_dropout_is_what_it_multiplied_by() -> None:
    """Nothing for what was dropped."""
    x = torch.ones(100, requires_grad=True)
    y = Dropout(0.5).train()(x)
    y.sum().backward()

    torch.testing.assert_close(x.grad, y.detach())


@pytest.mark.parametrize(("training", "share"), [(False, 0.5), (True, 0.0)])
def test_nothing_is_dropped_in_use_or_without_a_share(training: bool, share: float) -> None:
    """Not even a copy is made."""
    x = torch.ones(10)

    assert Dropout(share).train(training)(x) is x


def test_shifted_tokens_have_a_share_of_the_one_before() -> None:
    """Each feature its own; RWKV shifts by padding in time."""
    shift = SHIFTS[TokenShift](TokenShift(), 4)
    nn.init.uniform_(shift.fraction)
    x = torch.randn(2, 3, 4)

    torch.testing.assert_close(shift(x), x + shift.fraction * nn.ZeroPad2d((0, 0, 1, -1))(x))


def test_lambdas_mix_the_stream_and_the_embedded_tokens() -> None:
    """Each layer by its own two numbers."""
    mix = RESIDUALS[Lambdas](Lambdas(embedded=0.25), 3)
    nn.init.constant_(mix.stream, 0.5)
    x, embedded = torch.randn(2, 3, 4), torch.randn(2, 3, 4)

    torch.testing.assert_close(mix(x, embedded, 1), 0.5 * x + 0.25 * embedded)


@pytest.mark.parametrize(("layers", "there"), [(1, {0}), (2, {0, 1}), (5, {0, 4})])
def test_value_embeddings_are_in_the_outer_layers(layers: int, there: set[int]) -> None:
    """A table each, whose rows are what tokens add."""
    spec = ValueEmbedding()
    written = dataclasses.replace(SMALL, layers=layers, value_embedding=spec)
    values, ids = GPT(written).values, some_ids(2, 16)

    assert {layer for layer in range(layers) if values(ids, layer) is not None} == there
    assert torch.equal(values(ids, 0)[1, 3], values.tables["0"].weight[ids[1, 3]])


def test_soft_cap_equals_its_formula() -> None:
    """And keeps within its limit."""
    logits = 50 * torch.randn(99)
    capped = CAPS[SoftCap](SoftCap(limit=15.0))(logits)

    torch.testing.assert_close(capped, 15 * torch.tanh(logits / 15))
    assert capped.abs().max() <= 15


@pytest.mark.parametrize("shape", [(6, 16), (2, 3, 5, 16)], ids=str)
def test_rms_norm_has_torchs_gradients(shape: tuple[int, ...]) -> None:
    """Of what it normalizes, in order in memory or not, and of its scale."""
    ours, theirs = NORMS[RMSNorm](RMSNorm(), 16), nn.RMSNorm(16, eps=1e-6)
    x = torch.randn(shape).transpose(0, -2).requires_grad_()
    with torch.no_grad():
        nn.init.normal_(ours.weight)
        theirs.weight.copy_(ours.weight)
    slope = torch.randn_like(x)

    gradients = [torch.autograd.grad((n(x) * slope).sum(), [x, n.weight]) for n in (ours, theirs)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("weight", [True, False])
def test_rms_norm_equals_torchs(weight: bool) -> None:
    """Against the module, and the formula."""
    ours = NORMS[RMSNorm](RMSNorm(eps=1e-3, weight=weight), 16)
    x = 5 * torch.randn(4, 16)

    torch.testing.assert_close(ours(x), nn.RMSNorm(16, eps=1e-3)(x))
    torch.testing.assert_close(ours(x), x / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt())


def test_layer_norm_equals_torchs() -> None:
    """Scale, shift and eps included."""
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
    """In one line of torch."""
    mlp, x = MLPS[type(spec)](spec, 16, 40, True), torch.randn(3, 5, 16)

    torch.testing.assert_close(mlp(x), formula(mlp, x))
