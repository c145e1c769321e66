"""Targets of adapters: which layers a name selects, and the embedding and the head as in peft."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gpt.adapt.wrapping import adapt, merged, merged_weights, train_rows
from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.optim.build import build_optimizer
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.position import Learned

CONFIG = GPTConfig(
    vocab_size=70,
    layers=2,
    width=16,
    attention=GroupedQuery(heads=2, kv_heads=1),
    position=Learned(),
    tie=False,
)
PARTS = ("attention.query", "attention.key", "attention.value", "attention.output")
MLP = ("mlp.input", "mlp.output")


def of_blocks(parts: tuple[str, ...], layers: tuple[int, ...] = (0, 1)) -> set[str]:
    return {f"blocks.{layer}.{part}" for layer in layers for part in parts}


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (("blocks.0.attention.query",), of_blocks(PARTS[:1], (0,))),
        (("query", "value"), of_blocks((PARTS[0], PARTS[2]))),
        (("attention.output",), of_blocks(PARTS[3:])),
        (("blocks.1",), of_blocks(PARTS + MLP, (1,))),
        (("all-linear",), of_blocks(PARTS + MLP)),
        (("all-linear", "head"), of_blocks(PARTS + MLP) | {"head"}),
        (("embedding",), {"embedding", "position.embedding"}),
        (("position.embedding",), {"position.embedding"}),
    ],
    ids=lambda value: ",".join(sorted(value)),  # the order of a set differs by process
)
def test_names_select_layers(targets: tuple[str, ...], expected: set[str]) -> None:
    """Complete names, parts of names, and all linear layers, which excludes the head as in peft."""
    assert set(adapt(GPT(CONFIG), LoRA(targets=targets), seed=0)) == expected


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (LoRA(targets=("attentio",)), "no layer has 'attentio' in its name"),
        (LoRA(targets=("blocks.2.mlp.input",)), "complete names such as embedding"),
        (DoRA(targets=("embedding",)), "is an embedding, which DoRA does not support"),
    ],
    ids=str,
)
def test_targets_without_a_layer_are_rejected(spec: LoRA, words: str) -> None:
    """The error says what can be chosen."""
    with pytest.raises(ConfigError, match=words):
        adapt(GPT(CONFIG), spec, seed=0)


def test_table_with_new_tokens_is_not_adapted_too() -> None:
    """Its new rows are trained, and they are no part of the product."""
    model = GPT(CONFIG)
    train_rows(model, ["embedding", "head"], 66, 70)

    for target in ("embedding", "head"):
        with pytest.raises(ConfigError, match=f"targets: {target} has new tokens"):
            adapt(model, LoRA(targets=(target,)), seed=0)


def test_a_head_with_new_tokens_keeps_its_bias() -> None:
    """Frozen, also when the rows are merged."""
    model = GPT(dataclasses.replace(CONFIG, head_bias=True))
    nn.init.normal_(model.head.bias)
    before = model(IDS)
    model.requires_grad_(False)
    train_rows(model, ["embedding", "head"], 66, 70)

    torch.testing.assert_close(model(IDS), before)
    assert torch.equal(merged_weights(model)["head.bias"], model.head.bias)
    assert [name for name, part in model.named_parameters() if part.requires_grad] == [
        "embedding.rows.weight",
        "head.rows.weight",
    ]


class Net(nn.Module):
    """An embedding and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(20, 10)
        self.inner = nn.Linear(10, 16)
        self.outer = nn.Linear(16, 6, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Map (...) to (..., 6)."""
        y: Tensor = self.outer(torch.tanh(self.inner(self.table(ids))))
        return y


IDS = torch.randint(20, (4, 5), generator=torch.Generator().manual_seed(1))
NAMES = {"down": "lora_A", "up": "lora_B", "magnitude": "lora_magnitude_vector"}


def nets(spec: LoRA) -> tuple[Any, Any]:
    """Our adapted network and peft's, with the same noise in all trained weights."""
    peft = pytest.importorskip("peft")
    ours = Net().requires_grad_(False)
    adapt(ours, spec, seed=0)
    config = peft.LoraConfig(
        r=spec.rank,
        lora_alpha=2 * spec.rank,
        use_rslora=spec.scaling == "root",
        use_dora=isinstance(spec, DoRA),
        target_modules=list(spec.targets),
    )
    theirs = peft.get_peft_model(Net(), config)
    by_name = dict(theirs.named_parameters())
    for name, part in ours.named_parameters():
        if part.requires_grad:
            twin = by_name[peft_name(name)]
            noise = torch.randn(part.shape, generator=torch.Generator().manual_seed(part.numel()))
            with torch.no_grad():
                part.add_(0.3 * noise)
                twin.copy_(part)
    return ours, theirs


def peft_name(name: str) -> str:
    """The name in peft of our parameter *name*."""
    layer, _, parameter = name.replace(".lora", "").partition(".")
    if layer == "table":
        return f"base_model.model.{layer}.{NAMES[parameter].replace('_', '_embedding_')}.default"
    return f"base_model.model.{layer}.{NAMES[parameter]}.default.weight"


@pytest.mark.parametrize("scaling", ["rank", "root"])
def test_adapted_embedding_equals_pefts(scaling: Any) -> None:
    """Outputs, merged or not, and gradients."""
    ours, theirs = nets(LoRA(rank=3, targets=("table", "inner"), scaling=scaling))
    expected = theirs(IDS)
    expected.square().sum().backward()
    found = ours(IDS)
    found.square().sum().backward()
    with merged(ours):
        after_merging = ours(IDS)
    gradients = {name: part.grad for name, part in theirs.named_parameters()}

    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after_merging, expected, atol=1e-5, rtol=1e-5)
    for name, part in ours.named_parameters():
        if part.requires_grad:
            torch.testing.assert_close(part.grad, gradients[peft_name(name)], atol=1e-4, rtol=1e-5)


def test_adapted_embedding_changes_nothing_at_first() -> None:
    """Its first matrix is zero."""
    ours = Net()
    adapt(ours, LoRA(targets=("table",)), seed=0)

    assert torch.equal(ours(IDS), Net()(IDS))
    assert torch.equal(merged_weights(ours)["table.weight"], Net().table.weight)


@pytest.mark.parametrize("kind", [LoRA, DoRA])
def test_lora_plus_equals_pefts_optimizer(kind: type[LoRA]) -> None:
    """Three steps of AdamW with the groups of create_loraplus_optimizer."""
    optimizers = pytest.importorskip("peft.optimizers")
    targets = ("inner", "outer") if kind is DoRA else ("table", "inner", "outer")
    ours, theirs = nets(kind(rank=3, targets=targets))
    betas, eps = (0.9, 0.99), 1e-8
    spec = AdamW(lr=0.01, lora_plus=16.0, embedding_lr=1e-3, weight_decay=0.0, betas=betas, eps=eps)
    expected = optimizers.create_loraplus_optimizer(
        theirs,
        torch.optim.AdamW,
        lr=0.01,
        loraplus_lr_ratio=16.0,
        loraplus_lr_embedding=1e-3,
        betas=betas,
        eps=eps,
    )
    optimizer = build_optimizer(spec, ours, torch.float32)
    for _ in range(3):
        for model, each in ((ours, optimizer), (theirs, expected)):
            each.zero_grad()
            model(IDS).square().mean().backward()
            each.step()

    by_name = dict(theirs.named_parameters())
    for name, part in ours.named_parameters():
        if part.requires_grad:
            torch.testing.assert_close(part, by_name[peft_name(name)], atol=1e-5, rtol=1e-4)


def test_lora_plus_changes_only_adapters() -> None:
    """Without adapters every group has the learning rate."""
    groups = build_optimizer(
        AdamW(lr=0.01, lora_plus=16.0), GPT(CONFIG), torch.float32
    ).param_groups

    assert {group["lr"] for group in groups} == {0.01}


def test_muon_orthogonalizes_both_matrices_of_an_adapter() -> None:
    """All trained weights are in its first group."""
    model = GPT(CONFIG).requires_grad_(False)
    adapt(model, LoRA(), seed=0)
    matrices = build_optimizer(Muon(), model, torch.float32).param_groups[0]["params"]

    assert len(matrices) == sum(part.requires_grad for part in model.parameters())


def test_ratio_must_be_positive() -> None:
    """A ratio of zero would not train the second matrices."""
    with pytest.raises(ConfigError, match="lora_plus must be above 0"):
        AdamW(lora_plus=0.0)
