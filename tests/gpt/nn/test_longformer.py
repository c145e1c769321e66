"""Longformer: windows and global tokens with projections of their own."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LongformerConfig, LongformerModel

from gpt.errors import ConfigError
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import Longformer
from gpt.spec.pattern import Window
from tests.gpt.models import context_of, mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL, random_ids
from tests.gpt.nn.test_sparse import blocks_of, influence

TOKENS = 40
GLOBAL = (0, 1, 17)
PROJECTIONS = ("query", "key", "value", "query_global", "key_global", "value_global")


def config_of(*, kv_heads: int = 4, **window: Any) -> GPTConfig:
    """A model of 40 tokens with tokens 0, 1 and 17 global."""
    pattern = Window(**{"size": 4, "counts": "others", **window}, first=2, global_positions=(17,))
    attention = Longformer(heads=4, kv_heads=kv_heads, pattern=pattern)
    return dataclasses.replace(
        SMALL, context=TOKENS, layers=2, attention=attention, bias=True, position=None
    )


@pytest.fixture(params=[0, math.inf], ids=["blocks", "mask"])
def saving(request: pytest.FixtureRequest) -> Any:
    """Whether rows are computed in blocks or with a mask."""
    with blocks_of(saving=request.param):
        yield request.param


def test_longformer_equals_that_of_transformers(saving: float) -> None:
    """In each layer of a model with global tokens, with the same weights: values and gradients."""
    torch.manual_seed(0)
    theirs = LongformerModel(
        LongformerConfig(
            vocab_size=50,
            hidden_size=32,
            intermediate_size=40,
            num_attention_heads=4,
            num_hidden_layers=2,
            attention_window=4,
            max_position_embeddings=TOKENS + 2,
        )
    )
    theirs.double().eval()
    seen: list[tuple[Any, Tensor, Tensor]] = []
    for layer in theirs.encoder.layer:
        layer.attention.self.register_forward_hook(
            lambda module, inputs, output: seen.append((module, inputs[0], output[0]))
        )
    mask = torch.zeros(2, TOKENS, dtype=torch.int64)
    mask[:, list(GLOBAL)] = 1
    theirs(random_ids(2, TOKENS), global_attention_mask=mask)
    config = config_of(causal=False)

    assert len(seen) == 2
    for module, x, expected in seen:
        ours = mechanism(config.attention, config).double()
        for name in PROJECTIONS:
            getattr(ours, name).load_state_dict(getattr(module, name).state_dict())
        torch.nn.init.eye_(ours.output.weight)
        torch.nn.init.zeros_(ours.output.bias)
        found, grad = ours(x, context_of(x))[0], torch.randn_like(expected)
        close = {"rtol": 1e-5, "atol": 1e-5}  # theirs has its softmax in float32
        torch.testing.assert_close(found, expected, **close)
        gradients = [
            torch.autograd.grad(
                y,
                [x, *(getattr(each, name).weight for name in PROJECTIONS)],
                grad,
                retain_graph=True,
            )
            for y, each in ((found, ours), (expected, module))
        ]
        torch.testing.assert_close(*gradients, **close)


@pytest.mark.parametrize("kv_heads", [2, 4])
def test_causal_longformer_equals_torchs_attention(saving: float, kv_heads: int) -> None:
    """Local rows with one set of projections, global rows with the other, as a mask says."""
    model = perturbed(config_of(kv_heads=kv_heads)).double()
    ours, x = model.blocks[0].attention, torch.randn(2, TOKENS, 32, dtype=torch.float64)
    index = torch.arange(TOKENS)
    earlier, chosen = index <= index[:, None], torch.isin(index, torch.tensor(GLOBAL))
    near = index[:, None] - index <= 4

    def attend(suffix: str, pairs: Tensor) -> Tensor:
        q, k, v = (
            getattr(ours, name + suffix)(x).view(2, TOKENS, -1, 8).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=pairs, enable_gqa=True)
        return mixed.transpose(1, 2).flatten(2)

    local = attend("", earlier & (near | chosen))
    mixed = torch.where(chosen[:, None], attend("_global", earlier), local)
    expected, found = ours.output(mixed), ours(x, context_of(x))[0]
    grad = torch.randn_like(expected)
    parameters = list(ours.parameters())

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, parameters, grad),
        torch.autograd.grad(expected, parameters, grad),
    )


def test_influence_is_that_of_window_and_global_tokens(saving: float) -> None:
    """The gradient is zero outside them, and not zero inside."""
    index, chosen = torch.arange(TOKENS), torch.zeros(TOKENS, dtype=torch.bool)
    chosen[list(GLOBAL)] = True
    distances = index[:, None] - index
    expected = (distances >= 0) & ((distances <= 4) | chosen | chosen[:, None])

    assert torch.equal(influence(perturbed(config_of()).double(), 1, TOKENS), expected)


@pytest.mark.parametrize("chunks", [(40,), (1,) * 40, (10, 1, 8, 21), (25, 15)], ids=str)
def test_cached_longformer_equals_uncached(saving: float, chunks: tuple[int, ...]) -> None:
    """Also where a chunk begins between global tokens."""
    model, ids = perturbed(config_of(kv_heads=2)), random_ids(2, TOKENS)
    cache = model.new_cache(2)
    with torch.no_grad():
        cached = [model(chunk, cache=cache) for chunk in ids.split(chunks, dim=1)]
        torch.testing.assert_close(torch.cat(cached, dim=1), model(ids))


def test_documents_have_their_own_global_tokens(saving: float) -> None:
    """Positions restart, so each begins with them."""
    model, ids = perturbed(config_of()), random_ids(1, TOKENS)
    documents = torch.tensor([[0] * 21 + [1] * 19])
    together = model(ids, document_ids=documents)
    alone = [model(part) for part in ids.split([21, 19], dim=1)]

    torch.testing.assert_close(together, torch.cat(alone, dim=1))


def test_decoding_keeps_the_window_the_global_tokens_and_what_these_attend_to() -> None:
    """A ring up to the last global token, 3 global tokens, and 18 tokens' other projections."""
    cache = perturbed(config_of(kv_heads=2)).new_cache(1)
    of_a_token = 2 * 2 * 8 * 4  # keys and values of 2 heads of 8 in float32

    assert cache.states[0].nbytes == (16 + 3 + 18) * of_a_token


def test_longformer_needs_a_global_token_in_the_context() -> None:
    """Otherwise three projections would never be used."""
    attention = Longformer(heads=4, kv_heads=4, pattern=Window(size=4, global_positions=(16,)))
    with pytest.raises(ConfigError, match="needs a global token within the context of 16"):
        dataclasses.replace(SMALL, attention=attention)
