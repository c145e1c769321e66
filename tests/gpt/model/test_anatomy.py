"""The graph of a block and the state of a model, observed without memory."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gpt.model.anatomy import Anatomy, anatomy_of
from gpt.model.gpt import GPT
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.pattern import Full
from gpt.spec.presets import PRESETS
from gpt.spec.wiring import PostNorm
from tests.gpt.nn.test_mechanisms import MODELS, SMALL, random_ids


def graph(anatomy: Anatomy) -> list[tuple[str, tuple[int, ...]]]:
    return [(node.name, node.sources) for node in anatomy.nodes]


def test_pre_norm_adds_branches_to_the_stream() -> None:
    """As its formula says."""
    assert graph(anatomy_of(SMALL)) == [
        ("input", ()),
        ("attention_norm", (0,)),
        ("attention", (1,)),
        ("+", (0, 2)),
        ("mlp_norm", (3,)),
        ("mlp", (4,)),
        ("+", (3, 5)),
    ]


def test_post_norm_normalizes_the_sum() -> None:
    """As its formula says."""
    assert graph(anatomy_of(dataclasses.replace(SMALL, wiring=PostNorm()))) == [
        ("input", ()),
        ("attention", (0,)),
        ("+", (0, 1)),
        ("attention_norm", (2,)),
        ("mlp", (3,)),
        ("+", (3, 4)),
        ("mlp_norm", (5,)),
    ]


@pytest.mark.parametrize("config", MODELS)
def test_the_state_is_that_of_a_real_model(config: GPTConfig) -> None:
    """Whatever the mechanisms, after a full context."""
    model = GPT(config).eval()
    cache = model.new_cache(1)
    with torch.no_grad():
        model(random_ids(1, config.context), cache=cache)
    anatomy = anatomy_of(config)

    assert anatomy.states == [state.nbytes for state in cache.states]
    assert anatomy.state == cache.nbytes


def test_a_bidirectional_model_keeps_no_state() -> None:
    """It cannot decode."""
    attention = GroupedQuery(heads=4, kv_heads=4, pattern=Full())

    assert anatomy_of(dataclasses.replace(SMALL, attention=attention)).states == []


def test_a_model_needs_no_memory() -> None:
    """One of 500 billion parameters is observed, in bytes of its state in bfloat16."""
    large = dataclasses.replace(PRESETS["llama"](2, 1 << 17), width=1 << 16)
    anatomy = anatomy_of(GPTConfig.over(large, 50), dtype=torch.bfloat16)

    assert sum(each.numel() for each in anatomy.model.parameters()) > 1e11
    assert anatomy.state == 2 * 2 * (1 << 16) * (1 << 17) * 2
