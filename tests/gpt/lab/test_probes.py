"""Probes find a mechanism that is broken, and pass one that is not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gpt.lab.probes import cache_error, leak, random_model
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery

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


def test_every_parameter_is_at_work() -> None:
    """Also projections that start at zero."""
    assert all(p.abs().min() > 0 for p in random_model(ARCHITECTURE, 32, 0).parameters())
