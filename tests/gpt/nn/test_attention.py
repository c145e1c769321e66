"""Attention and its parts: kernels, patterns, scores."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import BertConfig, BertModel

from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.model.objectives.build import build_objective
from gpt.nn.attention.kernels import general, sdpa, written_out
from gpt.nn.attention.patterns import CausalPattern, Pattern
from gpt.nn.build import MECHANISMS
from gpt.nn.site import Site
from gpt.spec import pattern as specs
from gpt.spec.attention import GroupedQuery
from gpt.spec.objective import CrossEntropy
from gpt.spec.pattern import Causal, Full, Window
from gpt.spec.scoring import ScaledDot
from tests.gpt.models import context_of, mechanism, perturbed
from tests.gpt.nn.test_mechanisms import BIDIRECTIONAL, SMALL, random_ids

T, S = 7, 7


def allowed(pattern: Any, tokens: int = T) -> Tensor:
    """The pairs that *pattern* allows in a row of *tokens*, bool (T, T)."""
    index = torch.arange(tokens)
    found: Tensor = mechanism(pattern, SMALL).allowed(index[:, None], index)
    return found.expand(tokens, tokens)


def test_causal_pattern_is_the_lower_triangle() -> None:
    """torch.tril is the oracle."""
    assert torch.equal(allowed(Causal()), torch.ones(T, T).tril().bool())


@pytest.mark.parametrize("size", [1, 3, 99])
def test_window_is_a_band_of_the_lower_triangle(size: int) -> None:
    """It is as wide as the window."""
    expected = torch.ones(T, T).tril().triu(1 - size).bool()

    assert torch.equal(allowed(Window(size=size)), expected)


def test_full_pattern_allows_all_pairs() -> None:
    """Later tokens included."""
    assert allowed(Full()).all()


def test_every_nth_layer_and_the_last_have_no_window() -> None:
    """The layers between them have one."""
    config = dataclasses.replace(SMALL, layers=5)
    spec = Window(size=5, long_every=3)

    assert [mechanism(spec, config, layer).reach for layer in range(5)] == [5, 5, 16, 5, 16]


def test_attention_is_limited_to_the_window() -> None:
    """With one layer, only the tokens in the window of the last one change its logits."""
    spec = GroupedQuery(heads=4, kv_heads=4, pattern=Window(size=5))
    model = perturbed(dataclasses.replace(SMALL, attention=spec, layers=1))
    ids = random_ids(1, 16)
    for position, in_window in ((9, False), (10, False), (11, True)):
        other = ids.clone()
        other[0, position] = (ids[0, position] + 1) % SMALL.vocab_size
        same = torch.allclose(model(ids)[0, 15], model(other)[0, 15])

        assert same is not in_window


def test_full_attention_sees_later_tokens() -> None:
    """A later token changes the logits of earlier ones."""
    model, ids = perturbed(BIDIRECTIONAL), random_ids(1, 16)
    other = ids.clone()
    other[0, 9] = (ids[0, 9] + 1) % SMALL.vocab_size

    assert not torch.allclose(model(ids)[:, :9], model(other)[:, :9])


def test_full_attention_equals_that_of_bert() -> None:
    """BertSelfAttention of transformers, with the same weights."""
    config = BertConfig(hidden_size=32, num_attention_heads=4, num_hidden_layers=1)
    theirs = BertModel(config).eval().encoder.layer[0].attention.self
    spec = GroupedQuery(heads=4, kv_heads=4, pattern=Full())
    ours = mechanism(spec, dataclasses.replace(SMALL, attention=spec, bias=True))
    for name in ("query", "key", "value"):
        getattr(ours, name).load_state_dict(getattr(theirs, name).state_dict())
    torch.nn.init.eye_(ours.output.weight)
    torch.nn.init.zeros_(ours.output.bias)
    x = torch.randn(2, 6, 32)

    torch.testing.assert_close(ours(x, context_of(x))[0], theirs(x)[0], rtol=1e-5, atol=1e-6)


def test_a_bidirectional_model_cannot_predict_the_next_token() -> None:
    """Neither as an objective nor token by token."""
    with pytest.raises(ConfigError, match=r"attention sees the next token"):
        build_objective(CrossEntropy(), BIDIRECTIONAL)
    with pytest.raises(ConfigError, match=r"cannot generate text token by token"):
        GPT(BIDIRECTIONAL).new_cache(1)


def test_grouped_query_equals_attention_over_repeated_heads() -> None:
    """Query head h reads kv head h // 2."""
    spec = GroupedQuery(heads=4, kv_heads=2)
    attention = mechanism(spec, dataclasses.replace(SMALL, attention=spec))
    x = torch.randn(2, 6, 32)

    q = attention.query(x).view(2, 6, 4, 8)
    k, v = (
        f(x).view(2, 6, 2, 8).repeat_interleave(2, dim=2) for f in (attention.key, attention.value)
    )
    torch.nn.init.normal_(attention.output.weight)
    scores = torch.einsum("bthd,bshd->bhts", q, k) / math.sqrt(8)
    scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf).softmax(-1)
    expected = attention.output(torch.einsum("bhts,bshd->bthd", scores, v).flatten(2))
    torch.testing.assert_close(attention(x, context_of(x))[0], expected)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Queries of four heads, keys and values of two."""
    return torch.randn(2, 4, T, 8), torch.randn(2, 2, S, 8), torch.randn(2, 2, S, 8)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("pattern", [Causal(), Window(size=3), Full()], ids=str)
def test_kernels_equal_torchs(pattern: Any, biased: bool) -> None:
    """F.scaled_dot_product_attention with a float mask is the oracle."""
    (q, k, v), pairs = inputs(), allowed(pattern)
    bias = torch.randn(2, 4, T, S) if biased else None
    mask = torch.zeros(T, S).masked_fill(~pairs, -math.inf)
    mask = mask if bias is None else mask + bias
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    score = mechanism(ScaledDot(), dataclasses.replace(SMALL, width=8, attention=SMALL.attention))

    torch.testing.assert_close(written_out(q, k, v, 8**-0.5, pairs[None, None], bias), expected)
    torch.testing.assert_close(sdpa(q, k, v, 8**-0.5, mask), expected)
    positions = torch.arange(T)[None, :, None], torch.arange(S)[None, None]
    weights = partial(torch.softmax, dim=-1)
    found, _ = general(q, k, v, lambda q, k: score(q, k, *positions), weights, pairs, bias)

    torch.testing.assert_close(found, expected)


def test_a_bias_has_torchs_gradient() -> None:
    """As a learned one needs it."""
    (q, k, v), pairs = inputs(), allowed(Causal())
    bias = torch.randn(1, 4, T, S, requires_grad=True)
    mask = bias.masked_fill(~pairs, -math.inf)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    ours = written_out(q, k, v, 8**-0.5, pairs[None, None], bias)
    grad = torch.randn_like(ours)

    torch.testing.assert_close(
        torch.autograd.grad(ours, bias, grad), torch.autograd.grad(expected, bias, grad)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blocks(specs.Pattern):
    """Blocks of tokens by their position, as wide as the layer's index says, to test the seam."""

    causal: ClassVar[bool] = True
    size: int


class BlocksPattern(Pattern):
    """Earlier tokens of the same block, of size + layer tokens; keeps no more than a block."""

    every = False

    def __init__(self, spec: Blocks, site: Site) -> None:
        super().__init__(spec, site)
        self.size = spec.size + site.layer
        self.reach = 6

    def allowed(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return pairs of a block."""
        return (queries // self.size == keys // self.size) & (keys <= queries)


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> GPT:
    """A model whose pattern differs by layer, and does not depend on distances only."""
    monkeypatch.setitem(MECHANISMS, Blocks, BlocksPattern)
    spec = GroupedQuery(heads=4, kv_heads=4, pattern=Blocks(size=4))  # type: ignore[arg-type]
    return perturbed(dataclasses.replace(SMALL, attention=spec))


@pytest.mark.parametrize("chunks", [(16,), (1,) * 16, (5, 1, 7, 3)], ids=str)
def test_a_pattern_of_positions_and_layers_decodes(blocks: GPT, chunks: tuple[int, ...]) -> None:
    """Layers do not get each other's masks, and kept keys have their true positions."""
    ids, cache = random_ids(2, 16), blocks.new_cache(2)
    cached = [blocks(chunk, cache=cache) for chunk in ids.split(chunks, dim=1)]

    torch.testing.assert_close(torch.cat(cached, dim=1), blocks(ids))


def test_positions_of_a_pattern_restart_at_each_document(blocks: GPT) -> None:
    """A packed document has the logits that it has alone."""
    ids, document_ids = random_ids(1, 16), torch.tensor([[0] * 5 + [1] * 11])
    packed = blocks(ids, document_ids=document_ids)

    torch.testing.assert_close(packed[:, :5], blocks(ids[:, :5]))
    torch.testing.assert_close(packed[:, 5:], blocks(ids[:, 5:]))


def test_masks_are_made_once_for_all_layers_of_a_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forward pass of three layers asks for one."""
    calls = []
    original = CausalPattern.allowed

    def count(*arguments: Any) -> Tensor:
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(CausalPattern, "allowed", count)
    model = GPT(dataclasses.replace(SMALL, layers=3))
    model(random_ids(2, 16), document_ids=torch.zeros(2, 16, dtype=torch.int64))

    assert len(calls) == 1
