"""Every mechanism in the table of `gpt.nn.build`, in a model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.model.gpt import GPT
from gpt.nn.activation import ACTIVATIONS
from gpt.nn.build import MECHANISMS
from gpt.nn.state import Cache
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery, Interleaved, Latent, Longformer
from gpt.spec.convolution import Canon
from gpt.spec.dropout import Dropout
from gpt.spec.embedding import TokenShift, ValueEmbedding, ValueResidual
from gpt.spec.experts import BalanceBias, Experts, Groups
from gpt.spec.gate import HeadGate
from gpt.spec.head import HeadTransform, SoftCap
from gpt.spec.linear_attention import LinearAttention
from gpt.spec.mlp import MLP, Activation
from gpt.spec.norm import BatchNorm, LayerNorm, RMSNorm
from gpt.spec.pattern import BigBird, Causal, Full, Window
from gpt.spec.position import (
    T5,
    ALiBi,
    InterleavedPositions,
    Learned,
    Music,
    Rope,
    Shaw,
    Sinusoidal,
)
from gpt.spec.scale import LayerScale, Multiplier, RootWidth
from gpt.spec.scaling import NTK, DynamicNTK, Linear, Llama3, YaRN
from gpt.spec.scoring import Additive, Dot, General, LocalP, Location, ScaledDot, Softmax
from gpt.spec.wiring import (
    DeepNorm,
    Lambdas,
    OutputNorm,
    Parallel,
    PostNorm,
    PreNorm,
    SandwichNorm,
    UNet,
)
from tests.gpt.models import mean_loss, perturbed

SMALL = GPTConfig(
    vocab_size=50, context=16, layers=2, width=32, attention=GroupedQuery(heads=4, kv_heads=4)
)


def heads(**fields: Any) -> GroupedQuery:
    return GroupedQuery(**{"heads": 4, "kv_heads": 4, **fields})


SPECS: dict[str, list[Any]] = {
    "attention": [
        heads(pattern=Causal()),
        heads(kv_heads=2, qk_norm=True),
        heads(kv_heads=2, qk_norm=True, qk_norm_over="own", qk_norm_kind="layer"),
        heads(kv_heads=2, gate=HeadGate()),
        heads(head_width=12, gate=HeadGate(per_feature=True)),
        heads(kv_heads=1, head_width=12),
        heads(pattern=Window(size=5)),
        heads(kv_heads=2, pattern=Window(size=5, long_every=2)),
        heads(pattern=Window(size=4, counts="others", deeper_sizes=(2,), dilations=(1, 2))),
        heads(kv_heads=2, pattern=Window(size=3, first=2)),
        heads(pattern=Window(size=2, global_positions=(1, 9), dilations=(3,))),
        heads(kv_heads=2, pattern=BigBird(block=2, window=2, global_blocks=1, random_blocks=1)),
        Longformer(heads=4, kv_heads=2, pattern=Window(size=3, first=3)),
        Longformer(
            heads=4, kv_heads=4, qk_norm=True, pattern=Window(size=3, global_positions=(4,))
        ),
        heads(score=ScaledDot(cap=2.0)),
        heads(kv_heads=2, normalizer=Softmax(sink="learned")),
        heads(normalizer=Softmax(sink="zero"), pattern=Window(size=5)),
        heads(bias="qkv", clip=0.5),
        heads(bias="all", kv_heads=2, qk_norm=True, qk_norm_over="heads"),
        Latent(heads=4),
        Latent(heads=4, query_rank=10, rope_width=4, head_width=6, decode="absorbed"),
        Latent(heads=4, kv_rank=7, latent_norm=None, pattern=Window(size=5), decode="absorbed"),
        Latent(heads=4, query_rank=7, latent_norm=LayerNorm(), normalizer=Softmax(sink="zero")),
        LinearAttention(heads=4, chunk=5),
        LinearAttention(heads=4, kv_heads=2, feature="softmax", chunk=16),
        LinearAttention(
            heads=4, kv_heads=1, head_width=4, feature="identity", normalize=False, chunk=3
        ),
        Interleaved(layers=(LinearAttention(heads=4, chunk=4), Latent(heads=4, kv_rank=6))),
        Interleaved(layers=(heads(kv_heads=2, pattern=Window(size=5)), heads(head_width=12))),
    ],
    "position": [
        Learned(),
        Sinusoidal(),
        Sinusoidal(scale_embedding=False),
        Rope(),
        Rope(fraction=0.5),
        Rope(interleaved=True, fraction=0.5),
        Rope(scaling=Linear(factor=2.0)),
        Rope(scaling=NTK(factor=2.0)),
        Rope(scaling=DynamicNTK(factor=2.0)),
        Rope(scaling=YaRN(factor=2.0, original_context=8)),
        Rope(scaling=Llama3(factor=2.0, original_context=8)),
        Sinusoidal(concatenated=True),
        ALiBi(),
        T5(buckets=8, distance=12),
        Shaw(distance=5),
        Shaw(distance=20, values=False),
        Music(),
        Music(distance=6, per_head=True),
        InterleavedPositions(layers=(Rope(theta=100.0), Rope(), None)),
        InterleavedPositions(layers=(Shaw(distance=5), T5(buckets=8, distance=12))),
        None,
    ],
    "mlp": [
        *(MLP(activation=name) for name in ACTIVATIONS),  # type: ignore[arg-type]
        *(MLP(activation=name, gated=True, hidden=40) for name in ACTIVATIONS),  # type: ignore[arg-type]
        Experts(expert=MLP(hidden=24)),
        Experts(expert=MLP(gated=True, hidden=24), shared=1, first_dense=1, z_loss=0.01),
        Experts(expert=MLP(hidden=20), score="sigmoid", groups=Groups(count=4, top=2)),
        Experts(expert=MLP(hidden=24), balance=BalanceBias()),
        Experts(expert=MLP(hidden=24), shared=2, gate_shared=True),
        Experts(expert=MLP(gated=True, hidden=24, limit=0.5, offset=1.0), router_bias=True),
        MLP(gated=True, hidden=40, limit=0.5, offset=1.0),
    ],
    "norm": [
        LayerNorm(),
        LayerNorm(bias=False),
        RMSNorm(),
        RMSNorm(weight=False),
        RMSNorm(fraction=0.25),
        RMSNorm(cast="llama"),
        BatchNorm(leaks=True, momentum=1.0),
    ],
    "wiring": [
        PreNorm(),
        PostNorm(),
        SandwichNorm(),
        OutputNorm(),
        Parallel(),
        Parallel(shared_norm=False),
        DeepNorm(),
    ],
    "branch_scale": [LayerScale(), Multiplier(factor=0.5)],
    "embedding_scale": [RootWidth(), Multiplier(factor=3.0)],
    "embedding_norm": [LayerNorm()],
    "head_transform": [HeadTransform()],
    "logit_scale": [Multiplier(factor=0.5)],
    "dropout": [Dropout(rate=0.5, hidden=0.5, path=0.5, attention=0.5)],
    "residual": [None, Lambdas(), Lambdas(embedded=0.1), UNet(weight=0.5)],
    "shift": [None, TokenShift()],
    "convolution": [None, Canon(), Canon(kernel=2, points=("C",)), Canon(kernel=1)],
    "value_embedding": [None, ValueEmbedding()],
    "value_residual": [None, ValueResidual(), ValueResidual(first=1.0, own=0.3, learned=False)],
    "cap": [None, SoftCap(limit=2.0)],
}
CHANGES: list[dict[str, Any]] = [
    *({axis: spec} for axis, specs in SPECS.items() for spec in specs),
    {"residual": UNet(), "layers": 5},
    {"tie": False},
    {"tie": False, "head_bias": True},
    {"head_bias": True, "cap": SoftCap(limit=2.0)},
    {"convolution": Canon(kernel=20), "mlp": MLP(activation="silu", gated=True, hidden=40)},
    {"convolution": Canon(), "wiring": Parallel(), "shift": TokenShift()},
    {"bias": True},
    {"position": ALiBi(), "attention": heads(kv_heads=2, pattern=Window(size=5))},
    {"norm": None, "logit_scale": Multiplier(factor=0.02)},  # the stream grows without norms
    {"position": None, "shift": TokenShift(), "wiring": PostNorm()},
    {"position": None, "layers": 3, "attention": heads(kv_heads=2, score=General())},
    {"position": ALiBi(), "attention": heads(kv_heads=2, score=Additive(hidden=5))},
    {"position": Learned(), "attention": heads(pattern=Window(size=5), score=Location())},
    {"position": T5(), "attention": heads(normalizer=LocalP(window=3))},
    {"position": None, "attention": heads(score=General(), normalizer=LocalP(window=3))},
    {
        "position": Shaw(distance=3),
        "attention": heads(kv_heads=2, score=Dot(), pattern=Window(size=5)),
    },
    {"position": Music(), "attention": heads(kv_heads=1, normalizer=Softmax(temperature=2.0))},
]
MODELS = [
    pytest.param(
        dataclasses.replace(SMALL, **changes),
        id=",".join(f"{axis}-{spec}" for axis, spec in changes.items()),
    )
    for changes in CHANGES
]
"""Models of the next token."""
BIDIRECTIONAL = dataclasses.replace(SMALL, attention=heads(pattern=Full()))


def random_ids(rows: int, tokens: int) -> Tensor:
    return torch.randint(
        SMALL.vocab_size, (rows, tokens), generator=torch.Generator().manual_seed(2)
    )


def specs_of(value: Any) -> Iterator[type]:
    """The types of all specs in *value*."""
    if dataclasses.is_dataclass(value):
        yield type(value)  # type: ignore[misc]
        for field in dataclasses.fields(value):
            yield from specs_of(getattr(value, field.name))
    if isinstance(value, tuple):
        for each in value:
            yield from specs_of(each)


def test_every_row_of_the_table_has_a_model() -> None:
    """A mechanism cannot be added without a case here."""
    configs = [BIDIRECTIONAL, *(model.values[0] for model in MODELS)]

    found = {spec for config in configs for spec in specs_of(config)}
    assert found - {GPTConfig, Dropout} == set(MECHANISMS)  # dropout is probabilities, no module


def test_every_activation_has_a_name_in_the_spec() -> None:
    """So every row of its table can be chosen."""
    assert set(get_args(Activation)) == set(ACTIVATIONS)


@pytest.mark.parametrize("config", MODELS)
def test_logits_have_the_size_of_the_vocabulary(config: GPTConfig) -> None:
    """At every position, without the rows that pad the vocabulary."""
    assert perturbed(config)(random_ids(3, 7)).shape == (3, 7, SMALL.vocab_size)


@pytest.mark.parametrize("config", MODELS)
def test_future_tokens_do_not_change_the_past(config: GPTConfig) -> None:
    """Causality: replacing a token changes no logits before it."""
    model, ids = perturbed(config), random_ids(1, 16)
    other = ids.clone()
    other[0, 9] = (ids[0, 9] + 1) % SMALL.vocab_size
    before, after = model(ids), model(other)

    torch.testing.assert_close(before[:, :9], after[:, :9])
    assert not torch.allclose(before[:, 9:], after[:, 9:])


@pytest.mark.parametrize("config", MODELS)
@pytest.mark.parametrize("chunks", [(16,), (1,) * 16, (5, 1, 7, 3)], ids=str)
def test_cached_logits_equal_uncached(config: GPTConfig, chunks: tuple[int, ...]) -> None:
    """Whether the tokens come all at once, one by one, or in uneven chunks."""
    model, ids = perturbed(config), random_ids(2, 16)
    cache = model.new_cache(2)
    cached = [model(chunk, cache=cache) for chunk in ids.split(chunks, dim=1)]

    torch.testing.assert_close(torch.cat(cached, dim=1), model(ids))


@pytest.mark.parametrize("config", MODELS)
def test_rows_of_different_lengths_decode_together(config: GPTConfig) -> None:
    """Rows that are joined, one that starts again, and one that is removed."""
    model, ids = perturbed(config), random_ids(3, 16)
    caches = [model.new_cache(1) for _ in range(3)]
    for row, (cache, length) in enumerate(zip(caches, (4, 9, 7), strict=True)):
        model(ids[row : row + 1, :length], cache=cache)
    joined = Cache.join(caches)
    lengths = [4, 9, 7]
    for step in range(4):
        if step == 2:  # the second row begins again, and the first is removed
            again = model.new_cache(1)
            model(ids[1:2, :2], cache=again)
            joined.restart(1, again)
            joined.select([1, 2])
            ids, lengths = ids[1:], [2, 9]
        new = torch.stack([ids[row, length : length + 1] for row, length in enumerate(lengths)])
        logits = model(new, cache=joined)[:, 0]
        lengths = [length + 1 for length in lengths]
        for row, length in enumerate(lengths):
            torch.testing.assert_close(logits[row], model(ids[row : row + 1, :length])[0, -1])


@pytest.mark.parametrize("config", MODELS)
def test_the_stream_keeps_the_dtype_of_autocast(config: GPTConfig) -> None:
    """No mechanism returns it in float32, which would copy it in every layer."""
    model, dtypes = perturbed(config), []
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, output: dtypes.append(output[0].dtype))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        model(random_ids(2, 16))

    assert set(dtypes) == {torch.bfloat16}


@pytest.mark.parametrize("config", [*MODELS, pytest.param(BIDIRECTIONAL, id="full")])
def test_gradients_reach_every_parameter(config: GPTConfig) -> None:
    """Every parameter is in the graph, and has a gradient other than zero."""
    model = perturbed(config)
    ids = random_ids(4, 16)
    mean_loss(model, ids, ids.roll(-1, 1)).backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    unread = ("key.weight",) if Location in specs_of(config) else ()

    assert [name for name in missing if not name.endswith(unread)] == []


@pytest.mark.parametrize("config", MODELS)
def test_loss_is_the_cross_entropy_of_the_logits(config: GPTConfig) -> None:
    """The chunked loss equals F.cross_entropy of all logits."""
    model, ids = perturbed(config), random_ids(3, 16)
    targets = ids.flip(1)
    expected = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())

    torch.testing.assert_close(mean_loss(model, ids, targets), expected)


@pytest.mark.parametrize("config", [*MODELS, pytest.param(BIDIRECTIONAL, id="full")])
def test_logits_are_the_same_with_and_without_gradients(config: GPTConfig) -> None:
    """On the CPU the two cases use different kernels."""
    model, ids = perturbed(config), random_ids(2, 16)
    with torch.no_grad():
        without_gradients = model(ids)

    torch.testing.assert_close(model(ids), without_gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", MODELS)
def test_recomputed_activations_give_the_same_gradients(config: GPTConfig) -> None:
    """Activation checkpointing changes only the memory."""
    gradients = []
    for recompute in (False, True):
        model, ids = perturbed(config), random_ids(2, 16)
        model.recompute = recompute
        mean_loss(model, ids, ids.flip(1)).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])

    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    "config", [model for model in MODELS if not isinstance(model.values[0].wiring, DeepNorm)]
)
def test_blocks_are_the_identity_at_first(config: GPTConfig) -> None:
    """Their branches end in a weight of zero, so a new model ignores all tokens but the last two.

    Norms of the stream itself change only its scale. DeepNorm is exempt: it begins at random.
    """
    model, ids = GPT(dataclasses.replace(config, value_embedding=None)).eval(), random_ids(1, 8)
    other = ids.clone()
    other[0, 2] = (ids[0, 2] + 1) % SMALL.vocab_size

    torch.testing.assert_close(model(ids)[0, 7], model(other)[0, 7])


def test_new_model_is_a_function_of_its_seed() -> None:
    """Equal seeds give equal weights, different seeds different ones."""
    weights = [GPT(SMALL, seed).embedding.weight for seed in (3, 3, 4)]

    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_new_model_predicts_uniformly() -> None:
    """Its loss is about the logarithm of the vocabulary size, without padding."""
    ids = random_ids(8, 16)
    loss = mean_loss(GPT(dataclasses.replace(SMALL, tie=False)), ids, ids)

    assert loss.item() == pytest.approx(math.log(SMALL.vocab_size), abs=0.05)


def test_padding_rows_get_no_gradient() -> None:
    """The rows past the vocabulary are not trained."""
    model, ids = perturbed(SMALL), random_ids(4, 16)
    mean_loss(model, ids, ids).backward()
    grad = model.embedding.weight.grad

    assert grad is not None
    assert grad.shape[0] == 64
    assert not grad[50:].any()


def test_tokens_past_the_context_are_rejected() -> None:
    """Cached tokens count."""
    model = GPT(SMALL)
    cache = model.new_cache(1)
    model(random_ids(1, 10), cache=cache)
    with pytest.raises(ValueError, match="17 tokens do not fit the context of 16"):
        model(random_ids(1, 7), cache=cache)
