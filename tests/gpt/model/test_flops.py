"""Parameters and FLOPs equal what torch's FlopCounterMode counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, register_flop_formula

from gpt.model.flops import parts_of, training_flops
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.report.peak_flops import CARDS, card_flops, peak_flops
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.experts import Experts
from gpt.spec.mlp import MLP
from gpt.spec.pattern import Causal, Window
from gpt.spec.position import T5, Music, Shaw
from gpt.spec.presets import PRESETS
from gpt.spec.scoring import Additive, Dot, General, LocalP, Location
from tests.gpt.interop.exportable import SHAPES
from tests.gpt.models import mean_loss

ATTENTION_MATMULS = "attention matmuls"
SIZES: dict[str, Any] = {"vocab_size": 100, "context": 16, "layers": 3, "width": 64}
HEADS = GroupedQuery(heads=4, kv_heads=4)
CONFIGS = {
    **{name: GPTConfig(**SIZES, **fields) for name, fields in SHAPES.items()},
    **{name: GPTConfig.over(preset(2, 16), 100) for name, preset in PRESETS.items()},
    "experts": GPTConfig(
        **SIZES, attention=HEADS, mlp=Experts(expert=MLP(hidden=16), shared=1, first_dense=1)
    ),
    "gated experts": GPTConfig(
        **SIZES, attention=HEADS, mlp=Experts(expert=MLP(gated=True, hidden=16), top_k=3)
    ),
    **{
        str(spec): GPTConfig(**SIZES, attention=HEADS, position=spec)
        for spec in (T5(), Shaw(distance=5), Shaw(values=False), Music(), Music(distance=3))
    },
    **{
        str(score): GPTConfig(
            **SIZES, position=None, attention=dataclasses.replace(HEADS, score=score)
        )
        for score in (Dot(), General(), Additive(hidden=5), Location())
    },
    "local-p": GPTConfig(
        **SIZES, position=None, attention=dataclasses.replace(HEADS, normalizer=LocalP())
    ),
    "multi-query": GPTConfig(**SIZES, attention=GroupedQuery(heads=4, kv_heads=1, head_width=8)),
}


@register_flop_formula(torch.ops.aten._grouped_mm)
def grouped_flops(a: list[int], b: list[int], *_: Any, **__: Any) -> int:
    """The FLOPs of a grouped product, which torch does not count; N rows are divided in groups."""
    rows = a[0] if len(a) == 2 and len(b) == 3 else a[1]
    return 2 * rows * (a[1] * b[2] if len(b) == 3 else a[0] * b[1])


@pytest.mark.parametrize("name", CONFIGS)
def test_training_flops_equal_torchs_count(name: str) -> None:
    """Per token, for forward and backward of full rows."""
    model = GPT(CONFIGS[name])
    ids = torch.randint(100, (2, 17), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        mean_loss(model, ids[:, :-1], ids[:, 1:]).backward()

    assert counter.get_total_flops() == training_flops(model) * 32


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_are_all_counted_once(name: str) -> None:
    """Also tied ones."""
    model = GPT(CONFIGS[name])

    assert sum(part.parameters for part in parts_of(model).values()) == sum(
        parameter.numel() for parameter in model.parameters()
    )


def test_idle_experts_are_not_active() -> None:
    """Their parameters are those of the model, but not of a token."""
    experts = Experts(expert=MLP(gated=True, hidden=16), count=8, top_k=3, first_dense=1)
    parts = parts_of(GPT(GPTConfig(**SIZES, attention=HEADS, mlp=experts)))
    expert, dense, router = 3 * 64 * 16, 3 * 64 * 48, 64 * 8

    assert parts["mlp"].parameters == dense + 2 * (8 * expert + router)
    assert parts["mlp"].active == dense + 2 * (3 * expert + router)
    assert parts["attention"].active == parts["attention"].parameters


def test_a_window_reduces_the_flops_of_attention() -> None:
    """Only in the layers that have it."""
    attention = GroupedQuery(heads=4, kv_heads=4, pattern=Window(size=4, long_every=2))
    windowed = parts_of(GPT(GPTConfig(**SIZES, attention=attention)))
    no_window = dataclasses.replace(attention, pattern=Causal())
    full = parts_of(GPT(GPTConfig(**SIZES, attention=no_window)))

    assert full[ATTENTION_MATMULS].flops == 4 * 64 * 16 * 3
    assert windowed[ATTENTION_MATMULS].flops == 4 * 64 * (4 + 16 + 16)
    assert {**windowed, ATTENTION_MATMULS: None} == {**full, ATTENTION_MATMULS: None}


def test_parts_have_names_in_order() -> None:
    """Value embeddings have parameters and no FLOPs; a tied head has FLOPs and no parameters."""
    fields = {"value_embedding": ValueEmbedding(), "tie": True}
    parts = parts_of(GPT(GPTConfig(**SIZES, **fields)))

    assert list(parts) == [
        "embedding",
        "values",
        "norms",
        "attention",
        ATTENTION_MATMULS,
        "mlp",
        "head",
    ]
    assert (parts["values"].flops, parts["head"].parameters) == (0, 0)
    assert parts["head"].flops == 2 * 64 * 100


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
    ],
)
def test_cards_are_recognized_by_their_device_name(name: str, card: str) -> None:
    """Only complete words of the name match."""
    assert card_flops(name) == CARDS[card]


def test_unknown_card_has_no_peak() -> None:
    """So MFU is not shown."""
    assert card_flops("Tesla V100-SXM2-16GB") is None


def test_peak_of_a_cpu_is_measured() -> None:
    """The FLOP/s are plausible."""
    peak = peak_flops(Runtime.choose("cpu", "float32"))

    assert peak is not None
    assert 1e8 < peak < 1e16
