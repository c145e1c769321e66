"""Biases by relative positions: T5, Shaw, Music Transformer; and blocks of queries and keys."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import T5Config, Wav2Vec2BertConfig
from transformers.models.t5.modeling_t5 import T5Attention
from transformers.models.wav2vec2_bert.modeling_wav2vec2_bert import Wav2Vec2BertSelfAttention

from gpt.errors import ConfigError
from gpt.nn.positions.relative import skew
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery, Interleaved
from gpt.spec.pattern import Full
from gpt.spec.position import (
    T5,
    ALiBi,
    InterleavedPositions,
    Learned,
    Music,
    Position,
    Rope,
    Shaw,
)
from gpt.spec.scoring import Dot, General, LocalP
from tests.gpt.models import context_of, mechanism
from tests.gpt.nn.test_mechanisms import SMALL

TOKENS = 7
RELATIVE = [
    ALiBi(),
    T5(buckets=8, distance=5),
    Shaw(distance=3),
    Music(),
    Music(distance=3, per_head=True),
]


def with_position(spec: Position, full: bool = False, **attention: Any) -> GPTConfig:
    """A model with four heads of 8 features."""
    pattern = {"pattern": Full()} if full else {}
    heads = GroupedQuery(heads=4, kv_heads=4, **pattern, **attention)
    return dataclasses.replace(SMALL, position=spec, attention=heads)  # type: ignore[arg-type]


def encoding(config: GPTConfig) -> Any:
    """The encoding of the first layer, with random weights."""
    found = mechanism(config.position, config)
    for parameter in found.parameters():
        nn.init.normal_(parameter)
    return found.in_layer(0)


def attend(config: GPTConfig, position: Any, x: Tensor, theirs: dict[str, nn.Linear]) -> Tensor:
    """The attention of *config* on x, with the projections *theirs*."""
    ours = mechanism(config.attention, config)
    for name, linear in theirs.items():
        getattr(ours, name).weight = linear.weight
        if linear.bias is not None:
            getattr(ours, name).bias = linear.bias
    y: Tensor = ours(x, context_of(x, position))[0]
    return y


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("buckets", "distance"), [(32, 128), (8, 20), (6, 7), (31, 1000)])
def test_buckets_equal_those_of_t5(full: bool, buckets: int, distance: int) -> None:
    """For all distances up to 3,000, also where buckets begin."""
    ours = encoding(with_position(T5(buckets=buckets, distance=distance), full))
    relative = torch.arange(-3000, 3001)
    theirs = T5Attention._relative_position_bucket(relative, full, buckets, distance)

    assert torch.equal(ours.bucket(relative), theirs)


@pytest.mark.parametrize("full", [False, True])
def test_t5_equals_t5_attention_in_value_and_gradients(full: bool) -> None:
    """With the weights of T5Attention of transformers, as an encoder and as a decoder."""
    config = with_position(T5(buckets=8, distance=5), full, score=Dot())
    theirs = T5Attention(
        T5Config(
            d_model=32,
            d_kv=8,
            num_heads=4,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=5,
            is_decoder=not full,
            dropout_rate=0.0,
        ),
        has_relative_attention_bias=True,
        layer_idx=0,
    )
    position = encoding(config)
    position.bias.weight = theirs.relative_attention_bias.weight
    names = {"query": theirs.q, "key": theirs.k, "value": theirs.v, "output": theirs.o}
    x = torch.randn(2, TOKENS, 32)
    mask = (
        None
        if full
        else torch.zeros(TOKENS, TOKENS).masked_fill(
            torch.ones(TOKENS, TOKENS).triu(1).bool(), -math.inf
        )
    )
    expected = theirs(x, mask=None if mask is None else mask[None, None])[0]
    ours = attend(config, position, x, names)
    weights, grad = list(theirs.parameters()), torch.randn_like(expected)

    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        torch.autograd.grad(ours, weights, grad),
        torch.autograd.grad(expected, weights, grad),
        rtol=1e-4,
        atol=1e-4,
    )


def test_keys_of_shaw_equal_those_of_wav2vec2_bert() -> None:
    """The last of transformers' models that has Shaw's keys, with as many to either side."""
    config = dataclasses.replace(
        with_position(Shaw(distance=3, values=False), full=True), bias=True
    )
    theirs = Wav2Vec2BertSelfAttention(
        Wav2Vec2BertConfig(
            hidden_size=32,
            num_attention_heads=4,
            position_embeddings_type="relative_key",
            left_max_position_embeddings=3,
            right_max_position_embeddings=3,
            attention_dropout=0.0,
        )
    ).eval()
    position = encoding(config)
    position.key.weight = theirs.distance_embedding.weight
    names = {
        "query": theirs.linear_q,
        "key": theirs.linear_k,
        "value": theirs.linear_v,
        "output": theirs.linear_out,
    }
    x = torch.randn(2, TOKENS, 32)
    expected, ours = theirs(x)[0], attend(config, position, x, names)
    weights, grad = list(theirs.parameters()), torch.randn_like(expected)

    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        torch.autograd.grad(ours, weights, grad),
        torch.autograd.grad(expected, weights, grad),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("full", [False, True])
def test_shaw_equals_vectors_added_to_keys_and_values(full: bool) -> None:
    """In double precision, in value and gradients: a vector for each pair of tokens."""
    config = with_position(Shaw(distance=3), full)
    shaw = encoding(config).double()
    pairwise = mechanism(config.attention, config).pairwise
    shape = (2, 4, TOKENS, 8)
    q, k, v = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(3))
    index = torch.arange(TOKENS)
    clipped = (index - index[:, None]).clamp(-3, 3) + 3
    pairs = torch.ones(TOKENS, TOKENS).bool() if full else torch.ones(TOKENS, TOKENS).tril().bool()
    rows = clipped.masked_fill(~pairs, 0)
    scores = torch.einsum("bhid,bhijd->bhij", q, k[:, :, None] + shaw.key.weight[rows])
    weights = (scores / math.sqrt(8)).masked_fill(~pairs, -math.inf).softmax(-1)
    expected = torch.einsum("bhij,bhijd->bhid", weights, v[:, :, None] + shaw.value.weight[rows])
    x = torch.zeros(2, TOKENS, 32)
    ours = pairwise(q, k, v, context_of(x, shaw))
    inputs, grad = [q, k, v, *shaw.parameters()], torch.randn_like(expected)

    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(
        torch.autograd.grad(ours, inputs, grad), torch.autograd.grad(expected, inputs, grad)
    )


@pytest.mark.parametrize("spec", [Music(), Music(distance=3), Music(per_head=True)], ids=str)
def test_skewing_equals_an_explicit_gather(spec: Music) -> None:
    """In double precision, in value and gradient, for all pairs that a causal pattern allows."""
    music = encoding(with_position(spec)).double()
    q = torch.randn(2, 4, TOKENS, 8, dtype=torch.float64, requires_grad=True)
    index = torch.arange(TOKENS)
    distances = (index[:, None] - index).clamp(0, music.rows - 1)
    vectors = music.vectors.weight.view(music.heads, music.rows, 8)[:, distances]  # (H, T, T, D)
    expected = torch.einsum("bhid,hijd->bhij", q, vectors.expand(4, -1, -1, -1)) / math.sqrt(8)
    causal = torch.ones(TOKENS, TOKENS, dtype=torch.float64).tril()
    ours = music.row_bias(q)
    inputs, grad = [q, music.vectors.weight], torch.randn_like(expected) * causal

    torch.testing.assert_close(ours * causal, expected * causal)
    torch.testing.assert_close(
        music.score_bias(q, index[None, :, None], index[None, None]) * causal, expected * causal
    )
    torch.testing.assert_close(
        torch.autograd.grad(ours, inputs, grad), torch.autograd.grad(expected, inputs, grad)
    )


def test_skew_is_the_one_of_the_paper() -> None:
    """Figure 1 of Huang 2018: a padded column, a reshape, the first row dropped."""
    x = torch.arange(9.0).view(3, 3)
    padded = torch.cat((torch.zeros(3, 1), x), dim=1).reshape(4, 3)[1:]

    assert torch.equal(skew(x), padded)
    assert torch.equal(skew(x).tril(), torch.tensor([[2.0, 0, 0], [4, 5, 0], [6, 7, 8]]))


class LargestTensor(TorchDispatchMode):
    """Keeps the number of elements of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple) else (result,):
            # An expanded view takes no memory.
            if isinstance(each, Tensor) and 0 not in each.stride():
                self.elements = max(self.elements, each.numel())
        return result


@pytest.mark.parametrize("spec", [Music(), Shaw(distance=3)], ids=str)
@pytest.mark.parametrize("tokens", [32, 64, 128])
def test_no_vector_is_copied_for_a_pair_of_tokens(spec: Any, tokens: int) -> None:
    """Forward and backward, the largest tensor is that of scores, (H, T, T + 1), not (T, T, D)."""
    config = dataclasses.replace(with_position(spec), context=tokens)
    position = encoding(config)
    q = torch.randn(1, 4, tokens, 8, requires_grad=True)
    with LargestTensor() as largest:
        position.row_bias(q).sum().backward()

    assert largest.elements <= 4 * tokens * (tokens + 1)


@pytest.mark.parametrize("spec", RELATIVE, ids=str)
def test_blocks_of_queries_and_keys_have_the_biases_of_their_pairs(spec: Any) -> None:
    """Any rows of queries and keys, each with positions of its own, in any order."""
    position = encoding(with_position(spec))
    q, weights = torch.randn(2, 4, TOKENS, 8), torch.rand(2, 4, TOKENS, TOKENS)
    queries = torch.tensor([[6, 3], [5, 4], [2, 6]])  # positions of three blocks' queries
    keys = torch.tensor([[0, 3, 1], [4, 2, 0], [1, 0, 2]])  # all of them earlier
    rows = torch.tensor([0, 1, 1])[:, None]  # of the two rows of the batch
    blocks = q[rows, :, queries].transpose(1, 2)
    found = position.score_bias(blocks, queries[:, :, None], keys[:, None])
    whole = position.row_bias(q).expand(2, 4, -1, -1)
    expected = whole[rows[..., None], :, queries[:, :, None], keys[:, None]].movedim(-1, 1)

    torch.testing.assert_close(found.expand(3, 4, 2, 3), expected)
    if position.biases_values:
        part = weights[rows[..., None], :, queries[:, :, None], keys[:, None]].movedim(-1, 1)
        alone = torch.zeros(2, 4, TOKENS, TOKENS)
        index = torch.arange(TOKENS)
        mixed = []
        for block in range(3):
            alone.zero_()
            for i, query in enumerate(queries[block]):
                alone[rows[block], :, query, keys[block]] = part[block, :, i].T
            of_rows = position.value_bias(alone, index[None, :, None], index[None, None])
            mixed.append(of_rows[rows[block, 0], :, queries[block]])
        found = position.value_bias(part, queries[:, :, None], keys[:, None])

        torch.testing.assert_close(found, torch.stack(mixed))


def test_layers_of_t5_share_their_numbers_and_those_of_shaw_do_not() -> None:
    """As in the papers."""
    t5, shaw = (mechanism(spec, with_position(spec)) for spec in (T5(), Shaw()))

    assert t5.in_layer(0) is t5.in_layer(1)
    assert shaw.in_layer(0).key is not shaw.in_layer(1).key


def test_interleaved_positions_have_weights_for_their_layers_only() -> None:
    """Others would have no gradients."""
    spec = InterleavedPositions(layers=(Shaw(distance=3), None))
    config = dataclasses.replace(with_position(spec), layers=4)
    names = {name for name, _ in mechanism(spec, config).named_parameters()}

    assert {name.split(".")[3] for name in names} == {"0", "2"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position": Music(), "attention": {"pattern": Full()}}, "choose position Shaw"),
        ({"position": Shaw(), "attention": {"score": General()}}, "ScaledDot or Dot"),
        ({"position": Music(), "attention": {"score": General()}}, "ScaledDot or Dot"),
        ({"position": Rope(), "attention": {"score": General()}}, "choose another position"),
        ({"position": Rope(), "attention": {"normalizer": LocalP()}}, "choose another position"),
        ({"position": T5(buckets=1)}, "must be at least 1 and fewer than distance 128"),
        ({"position": T5(buckets=32, distance=16)}, "must be at least 1 and fewer"),
    ],
    ids=str,
)
def test_what_cannot_be_combined_is_refused(changes: dict[str, Any], message: str) -> None:
    """With the reason."""
    heads = {"heads": 4, "kv_heads": 4, **changes.get("attention", {})}
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(SMALL, position=changes["position"], attention=GroupedQuery(**heads))


def test_layers_with_different_heads_cannot_share_numbers_of_heads() -> None:
    """T5 has one for each head."""
    layers = (GroupedQuery(heads=4, kv_heads=4), GroupedQuery(heads=2, kv_heads=2))
    with pytest.raises(ConfigError, match=r"they have \[2, 4\] heads"):
        dataclasses.replace(SMALL, position=T5(), attention=Interleaved(layers=layers))


def test_layers_cannot_differ_in_what_they_embed() -> None:
    """The token embeddings are the same for all."""
    with pytest.raises(ConfigError, match="changes the token embeddings, which all layers share"):
        InterleavedPositions(layers=(Learned(), None))  # type: ignore[arg-type]
