"""Probes find a mechanism that is broken, and pass one that is not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gpt.lab.apparatus.probes import (
    cache_error,
    leak,
    load_entropy,
    random_ids,
    random_model,
    reach,
)
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.experts import Experts
from gpt.spec.mlp import MLP
from gpt.spec.pattern import Window

ARCHITECTURE = Architecture(
    context=16, layers=2, width=16, attention=GroupedQuery(heads=2, kv_heads=2)
)


def test_a_causal_model_leaks_nothing() -> None:
    """Its logits do not change with later tokens, and its cache equals reading the whole."""
    gpt = random_model(ARCHITECTURE, 32, 0)

    assert leak(gpt) < 1e-12
    assert cache_error(gpt, 8) < 1e-12


def test_a_model_that_sees_the_future_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask that is missing, for example."""
    whole = torch.nn.functional.scaled_dot_product_attention

    def unmasked(q: Tensor, k: Tensor, v: Tensor, **options: object) -> Tensor:
        return whole(q, k, v, enable_gqa=True)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", unmasked)

    assert leak(random_model(ARCHITECTURE, 32, 0)) > 1e-3


def test_a_layer_reaches_as_far_as_its_window() -> None:
    """Two of three tokens reach four tokens back; without windows all are reached."""
    attention = GroupedQuery(heads=2, kv_heads=2, pattern=Window(size=3))

    assert reach(random_model(replace(ARCHITECTURE, attention=attention), 32, 0), 16) == 4
    assert reach(random_model(ARCHITECTURE, 32, 0), 16) == 15


def test_every_parameter_is_at_work() -> None:
    """Also projections that start at zero."""
    assert all(p.abs().min() > 0 for p in random_model(ARCHITECTURE, 32, 0).parameters())


def test_the_entropy_of_loads_is_low_if_one_expert_has_all_tokens() -> None:
    """And without experts there is none."""
    attention = GroupedQuery(heads=2, kv_heads=2)
    experts = Experts(expert=MLP(hidden=8), count=4, top_k=1, router_bias=True)
    gpt = random_model(
        Architecture(context=8, layers=1, width=16, attention=attention, mlp=experts), 64, 0
    )
    ids = random_ids(gpt, 4, 8)
    assert 0.3 < load_entropy(gpt, ids) <= 1

    with torch.no_grad():
        gpt.get_parameter("blocks.0.mlp.router.bias")[0] = 100.0
    assert load_entropy(gpt, ids) == 0
    dense = random_model(Architecture(context=8, layers=1, width=16, attention=attention), 64, 0)
    assert math.isnan(load_entropy(dense, ids))
