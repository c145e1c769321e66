"""Random models: any mechanisms of the tables of `test_mechanisms`, in any combination."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery, Interleaved
from gpt.spec.scoring import Additive, Dot, General, LocalP, Location, ScaledDot, Softmax
from tests.gpt.models import mean_loss, perturbed
from tests.gpt.nn.drawing import models
from tests.gpt.nn.test_mechanisms import SMALL, SPECS, random_ids

SOME = settings(max_examples=200 if settings.default.max_examples > 1000 else 20)
"""A model takes longer than most examples."""
SCORES = [ScaledDot(), Dot(), General(), Additive(hidden=5), Location()]
NORMALIZERS = [Softmax(), Softmax(temperature=2.0), LocalP(window=3)]
ATTENTIONS = [each for each in SPECS["attention"] if not isinstance(each, Interleaved)]
PAIRS = list(itertools.product(SPECS["attention"], SPECS["position"]))


def fitting(**axes: Any) -> GPTConfig | None:
    """A small model of the given specs; None if they do not fit together."""
    fields = {each: getattr(SMALL, each) for each in ("vocab_size", "context", "width")}
    try:
        return GPTConfig(**{**fields, **axes})
    except ConfigError:
        return None


@st.composite
def architectures(draw: st.DrawFn) -> GPTConfig:
    """A model with a random spec on each axis, of the tables or with random fields.

    Attention can differ from layer to layer.
    """
    attention: Any = st.sampled_from(SPECS["attention"])
    mixed = st.lists(st.sampled_from(ATTENTIONS), min_size=2, max_size=3)
    attention |= mixed.map(lambda layers: Interleaved(layers=tuple(layers)))
    plain = [each for each in ATTENTIONS if isinstance(each, GroupedQuery)]
    attention |= st.builds(
        dataclasses.replace,
        st.sampled_from(plain),
        score=st.sampled_from(SCORES),
        normalizer=st.sampled_from(NORMALIZERS),
    )
    axes = {axis: st.sampled_from(specs) for axis, specs in SPECS.items() if axis != "attention"}
    whole = st.fixed_dictionaries(
        {
            **axes,
            "attention": attention,
            "layers": st.integers(1, 3),
            "tie": st.booleans(),
            "bias": st.booleans(),
        }
    )
    return draw(
        whole.map(lambda fields: fitting(**fields)).filter(lambda config: config is not None)
        | models(SMALL)
    )


def close(actual: Any, expected: Any) -> None:
    """Compare with a tolerance for positions and angles, which are float32 in any model."""
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)


def precise(config: GPTConfig) -> GPT:
    """A model in float64: in float32 the order of sums matters to a stream that no norm bounds."""
    return perturbed(config, scale=0.1).double()


@SOME
@given(config=architectures(), cuts=st.sets(st.integers(1, 15)))
def test_cached_equals_uncached(config: GPTConfig, cuts: set[int]) -> None:
    """In chunks of any lengths."""
    model, ids = precise(config), random_ids(2, 16)
    chunks = [b - a for a, b in itertools.pairwise([0, *sorted(cuts), 16])]
    cache = model.new_cache(2, dtype=torch.float64)
    with torch.no_grad():
        cached = [model(chunk, cache=cache) for chunk in ids.split(chunks, dim=1)]
        close(torch.cat(cached, dim=1), model(ids))


@SOME
@given(config=architectures(), position=st.integers(1, 15))
def test_later_tokens_change_nothing(config: GPTConfig, position: int) -> None:
    """Causality."""
    model, ids = precise(config), random_ids(1, 16)
    other = ids.clone()
    other[:, position:] = (ids[:, position:] + 1) % SMALL.vocab_size

    close(model(ids)[:, :position], model(other)[:, :position])


@SOME
@given(config=architectures(), boundary=st.integers(1, 15))
def test_documents_are_isolated(config: GPTConfig, boundary: int) -> None:
    """A document's logits are those of the document alone."""
    model, ids = precise(config), random_ids(1, 16)
    documents = (torch.arange(16) >= boundary).long()[None]
    together = model(ids, document_ids=documents)
    alone = [model(part) for part in ids.split([boundary, 16 - boundary], dim=1)]

    close(together, torch.cat(alone, dim=1))


def gradients(model: GPT, ids: Tensor) -> list[Tensor]:
    """The gradient of each parameter, zero where there is none."""
    mean_loss(model, ids, ids.flip(1)).backward()
    return [p.new_zeros(p.shape) if p.grad is None else p.grad for p in model.parameters()]


@SOME
@given(config=architectures())
def test_recomputation_gives_the_same_gradients(config: GPTConfig) -> None:
    """Activation checkpointing changes only the memory."""
    plain, recomputing = precise(config), precise(config)
    recomputing.recompute = True
    ids = random_ids(2, 16)

    close(gradients(recomputing, ids), gradients(plain, ids))


@SOME
@given(config=architectures())
def test_config_and_weights_are_restored(config: GPTConfig) -> None:
    """From JSON, and from a state dict, into a model that began with other weights."""
    model, ids = perturbed(config), random_ids(2, 16)
    restored = GPT(GPTConfig.from_dict(json.loads(json.dumps(config.to_dict()))), seed=5).eval()
    restored.load_state_dict(model.state_dict())

    assert torch.equal(restored(ids), model(ids))


@pytest.mark.parametrize(("attention", "position"), PAIRS, ids=str)
def test_every_attention_decodes_with_every_position(attention: Any, position: Any) -> None:
    """Cached logits equal uncached ones; only scores that do not exist cannot be biased."""
    config = fitting(attention=attention, position=position, layers=2)
    layers = [(attention.in_layer(n), position and position.in_layer(n)) for n in range(2)]
    refused = any(at is not None and at.biases_scores and not a.compares for a, at in layers)
    assert (config is None) == refused
    if config is None:
        return
    model, ids = perturbed(config), random_ids(2, 16)
    cache = model.new_cache(2)
    with torch.no_grad():
        cached = [model(chunk, cache=cache) for chunk in ids.split([6, 1, 1, 5, 1, 1, 1], dim=1)]
        torch.testing.assert_close(torch.cat(cached, dim=1), model(ids), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@settings(max_examples=30)
@given(config=architectures())
def test_compiled_models_compute_the_same(config: GPTConfig) -> None:
    """With the graphs of torch.compile, run by PyTorch itself."""
    model, ids = precise(config), random_ids(2, 16)
    expected = model(ids)
    torch.compiler.reset()

    close(torch.compile(model, backend="aot_eager")(ids), expected)
