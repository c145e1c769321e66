"""What must hold of a model."""

from __future__ import annotations

import math

import torch

from gpt.lab.probes import load_entropy, random_ids, random_model
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.experts import Experts
from gpt.spec.mlp import MLP


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
