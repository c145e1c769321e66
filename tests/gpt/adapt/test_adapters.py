"""Adapters equal peft's, change nothing at first, and can be merged."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.adapt.dora import DoRALinear
from gpt.adapt.lora import LoRAExperts, LoRALinear
from gpt.adapt.wrapping import adapt, merge, merged, merged_weights, train_rows
from gpt.errors import ConfigError
from gpt.generation.decoder import inference_copy
from gpt.model.gpt import GPT
from gpt.model.vocabulary import token_tables
from gpt.nn.expert_linear import Dispatch, ExpertLinear
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.experts import Experts
from gpt.spec.mlp import MLP
from tests.gpt.models import mean_loss, perturbed

SPECS = [
    LoRA(rank=3),
    LoRA(rank=3, scaling="root", alpha=5.0),
    LoRA(rank=3, scaling="none", init="normal"),
    DoRA(rank=3),
    DoRA(rank=3, axis="in"),
]
EACH = pytest.mark.parametrize("spec", SPECS, ids=str)


class Net(nn.Module):
    """Two linear layers, one with a bias."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Linear(10, 16)
        self.outer = nn.Linear(16, 6, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., 10) to (..., 6)."""
        y: Tensor = self.outer(F.gelu(self.inner(x)))
        return y


def inputs(seed: int = 1) -> Tensor:
    return torch.randn(4, 5, 10, generator=torch.Generator().manual_seed(seed))


def perturb(model: nn.Module) -> None:
    """Add noise to all trained weights."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)


def adapted(spec: LoRA, model: nn.Module | None = None) -> Any:
    """A model with perturbed adapters."""
    model = model or Net()
    model.requires_grad_(False)
    adapt(model, dataclasses.replace(spec, targets=("inner", "outer")), seed=0)
    perturb(model)
    return model


@EACH
def test_adapters_change_nothing_at_first(spec: LoRA) -> None:
    """The second matrix is zero, and magnitudes are the norms of the weights."""
    plain, model = Net(), Net()
    adapt(model, dataclasses.replace(spec, targets=("inner", "outer")), seed=0)

    torch.testing.assert_close(model(inputs()), plain(inputs()), atol=1e-6, rtol=0)


def test_initial_weights_are_a_function_of_the_seed() -> None:
    """If both matrices were zero, neither would ever have a gradient."""
    downs = []
    for seed in (0, 0, 1):
        model = Net()
        adapt(model, LoRA(targets=("inner",)), seed=seed)
        downs.append(model.inner.down)

    assert torch.equal(downs[0], downs[1])
    assert not torch.equal(downs[0], downs[2])


def test_initial_weights_have_the_documented_scale() -> None:
    """Normal with deviation 1/√rank, or uniform within 1/√inputs, as in peft."""
    linear, generator = nn.Linear(4096, 2), torch.Generator().manual_seed(0)
    normal = LoRALinear(linear, LoRA(rank=16, init="normal"), generator)
    uniform = LoRALinear(linear, LoRA(rank=16), generator)

    assert normal.down.std().item() == pytest.approx(0.25, rel=0.02)
    assert uniform.down.abs().max().item() == pytest.approx(1 / 64, rel=0.01)


@pytest.mark.parametrize(
    ("spec", "scale"),
    [
        (LoRA(rank=4), 2.0),
        (LoRA(rank=4, alpha=2.0), 0.5),
        (LoRA(rank=4, alpha=2.0, scaling="root"), 1.0),
        (LoRA(rank=4, alpha=2.0, scaling="none"), 2.0),
    ],
)
def test_scale_follows_its_formula(spec: LoRA, scale: float) -> None:
    """It is alpha / r, alpha / √r, or alpha, which is 2 r by default."""
    assert spec.scale == scale


@EACH
def test_merged_model_computes_the_same(spec: LoRA) -> None:
    """With plain linear layers."""
    model = adapted(spec)
    before = model(inputs())
    merge(model)

    assert type(model.inner) is type(model.outer) is nn.Linear
    torch.testing.assert_close(model(inputs()), before, atol=1e-5, rtol=1e-5)


@EACH
def test_unmerging_restores_the_model(spec: LoRA) -> None:
    """Bit for bit; a mode set while merged is kept."""
    model = adapted(spec)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    with merged(model):
        model.eval()

    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module.training for module in model.modules())


@EACH
def test_only_adapters_are_trained(spec: LoRA) -> None:
    """A layer has r (inputs + outputs) of them, as in the paper, and its magnitudes."""
    model = adapted(spec)
    model(inputs()).sum().backward()
    trained = {name: part for name, part in model.named_parameters() if part.requires_grad}
    magnitudes = {"out": 16 + 6, "in": 10 + 16}[spec.axis] if isinstance(spec, DoRA) else 0

    assert sum(part.numel() for part in trained.values()) == 3 * (10 + 16 + 16 + 6) + magnitudes
    assert all(part.grad is not None and part.grad.any() for part in trained.values())
    assert model.inner.base.grad is None
    assert model.inner.bias.grad is None


@pytest.mark.parametrize("axis", ["out", "in"])
def test_norms_of_a_merged_matrix_are_the_magnitudes(axis: Any) -> None:
    """Of rows as in peft, or of columns as Raschka has them."""
    model = adapted(DoRA(rank=3, axis=axis))
    norms = model.inner.weight.norm(dim=1 if axis == "out" else 0)

    torch.testing.assert_close(norms, model.inner.magnitude.abs())


def test_dropout_applies_only_in_training() -> None:
    """And only to the input of the adapter."""
    model = adapted(LoRA(rank=3, dropout=0.5))
    evaluated = model.eval()(inputs())
    torch.manual_seed(0)
    dropped = model.train()(inputs())
    with torch.no_grad():
        for module in (model.inner, model.outer):
            module.up.zero_()

    assert not torch.allclose(evaluated, dropped)
    assert torch.equal(model.train()(inputs()), model.eval()(inputs()))


def peft_of(spec: LoRA) -> Any:
    """The model of peft with the adapters of `adapted`."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(
        r=spec.rank,
        lora_alpha=2 * spec.rank if spec.alpha is None else spec.alpha,
        lora_dropout=spec.dropout,
        use_rslora=spec.scaling == "root",
        use_dora=isinstance(spec, DoRA),
        target_modules=["inner", "outer"],
    )
    theirs, ours = peft.get_peft_model(Net(), config), adapted(spec)
    named = dict(theirs.base_model.model.named_modules())
    with torch.no_grad():
        for name in ("inner", "outer"):
            mine = getattr(ours, name)
            lora = mine.lora if isinstance(mine, DoRALinear) else mine
            named[name].lora_A["default"].weight.copy_(lora.down)
            named[name].lora_B["default"].weight.copy_(lora.up)
            if isinstance(mine, DoRALinear):
                named[name].lora_magnitude_vector["default"].weight.copy_(mine.magnitude)
    return theirs


OURS_AND_PEFTS = pytest.mark.parametrize(
    "spec",
    [
        LoRA(rank=3),
        LoRA(rank=3, scaling="root", alpha=5.0),
        LoRA(rank=3, dropout=0.4),
        DoRA(rank=3),
        DoRA(rank=3, dropout=0.4),
    ],
    ids=str,
)


@OURS_AND_PEFTS
def test_outputs_and_gradients_equal_pefts(spec: LoRA) -> None:
    """With dropout from the same seed; gradients of weights and of inputs."""
    theirs, ours = peft_of(spec).train(), adapted(spec).train()
    found = []
    for model in (theirs, ours):
        x = inputs().requires_grad_()
        torch.manual_seed(3)
        y = model(x)
        y.square().sum().backward()
        found.append((y, x.grad))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)
    expected = {name: part.grad for name, part in theirs.named_parameters() if part.requires_grad}
    names = {"down": "lora_A", "up": "lora_B", "magnitude": "lora_magnitude_vector"}

    for name, part in ours.named_parameters():
        if part.requires_grad:
            linear, _, parameter = name.replace(".lora", "").partition(".")
            gradient = expected.pop(f"base_model.model.{linear}.{names[parameter]}.default.weight")
            torch.testing.assert_close(part.grad, gradient, atol=1e-4, rtol=1e-5)
    assert not expected


@OURS_AND_PEFTS
def test_merged_weights_equal_pefts(spec: LoRA) -> None:
    """For each linear layer."""
    theirs = peft_of(spec).merge_and_unload()
    weights = merged_weights(adapted(spec))

    assert weights.keys() == dict(theirs.named_parameters()).keys()
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(weights[name], parameter, atol=1e-6, rtol=1e-5)


CONFIGS = {
    "tied": GPTConfig(
        vocab_size=70, layers=2, width=16, attention=GroupedQuery(heads=2, kv_heads=1)
    ),
    "untied": GPTConfig(
        vocab_size=70,
        layers=2,
        width=16,
        attention=GroupedQuery(heads=2, kv_heads=2),
        mlp=MLP(activation="silu", gated=True),
        value_embedding=ValueEmbedding(),
        tie=False,
        bias=True,
    ),
}


def gpt(name: str) -> GPT:
    """A model with noise in all weights: in a new one, every branch is zero."""
    model = GPT(CONFIGS[name])
    perturb(model)
    return model


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("spec", [LoRA(), DoRA()], ids=lambda spec: type(spec).__name__)
def test_linears_of_attention_and_mlp_are_adapted_by_default(name: str, spec: LoRA) -> None:
    """Head and embeddings are not; the parameters of a merged model have their plain names."""
    model = gpt(name)
    plain = dict(model.named_parameters())
    linears = {part for part, module in model.named_modules() if isinstance(module, nn.Linear)} - {
        "head"
    }

    assert set(adapt(model, spec, seed=0)) == linears
    weights = merged_weights(model)
    assert weights.keys() == plain.keys()
    assert all(weights[part] is plain[part] for part in plain if "blocks" not in part)


@pytest.mark.parametrize("name", CONFIGS)
def test_adapted_layers_can_be_fused_for_inference(name: str) -> None:
    """Merged or not."""
    model = gpt(name).eval()
    model.requires_grad_(False)
    adapt(model, LoRA(rank=2), seed=0)
    perturb(model)
    ids = torch.randint(70, (1, 9), generator=torch.Generator().manual_seed(0))
    expected = model(ids)
    unmerged = inference_copy(model, torch.float32)(ids)
    merge(model)
    after_merging = inference_copy(model, torch.float32)(ids)

    torch.testing.assert_close(unmerged, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after_merging, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "tables"), [("tied", 2), ("untied", 4)])
def test_only_new_rows_are_trained(name: str, tables: int) -> None:
    """In the embedding, the head and value embeddings; tied tables share their new rows."""
    model = gpt(name)
    names = token_tables(model)
    before = {part: tensor.clone() for part, tensor in merged_weights(model).items()}
    model.requires_grad_(False)
    train_rows(model, names, 66, 70)
    ids = torch.arange(60, 70)[None]
    mean_loss(model, ids, ids).backward()
    trained = [part for part in model.parameters() if part.requires_grad]
    with torch.no_grad():
        for part in trained:
            part -= part.grad
    after = merged_weights(model)

    assert len(names) == tables
    assert len(trained) == (1 if name == "tied" else tables)
    assert all(part.shape[0] == 4 and part.grad.any(1).all() for part in trained)
    assert before.keys() == after.keys()
    for part in before:
        changed = (before[part] != after[part]).reshape(len(before[part]), -1).any(1)
        has_new_rows = part.removesuffix(".weight") in names
        assert changed.nonzero().flatten().tolist() == ([66, 67, 68, 69] if has_new_rows else [])


def test_target_without_a_layer_is_rejected() -> None:
    """The message lists the possible targets."""
    words = "no layer has 'q_proj' in its name; choose from all-linear, attention, blocks"
    with pytest.raises(ConfigError, match=words):
        adapt(gpt("tied"), LoRA(targets=("q_proj",)), seed=0)


def experts(**fields: Any) -> GPT:
    """A model with experts whose weights are far from zero."""
    return perturbed(
        GPTConfig(
            vocab_size=50,
            layers=1,
            width=32,
            attention=GroupedQuery(heads=4, kv_heads=4),
            mlp=Experts(expert=MLP(activation="silu", gated=True, hidden=20), count=4, **fields),
            bias=True,
        )
    )


def test_experts_have_adapters_of_their_own() -> None:
    """The logits and gradients are those of the plain definition: of weights W + s B A."""
    ids = torch.randint(50, (2, 16), generator=torch.Generator().manual_seed(3))
    model, plain = experts().double(), experts().double()
    model.requires_grad_(False)
    assert "blocks.0.mlp.routed.gate" in adapt(model, LoRA(rank=3, targets=("routed",)), seed=0)
    model.double()
    perturb(model)
    leaves = {name: p for name, p in model.named_parameters() if p.requires_grad}
    weights = dict(plain.named_parameters())
    for name in ("gate", "input", "output"):
        up, down = (leaves[f"blocks.0.mlp.routed.{name}.{each}"] for each in ("up", "down"))
        weights[f"blocks.0.mlp.routed.{name}.weight"] = torch.stack(
            [
                matrix + 2 * b @ a
                for matrix, a, b in zip(
                    plain.get_submodule(f"blocks.0.mlp.routed.{name}").weight, down, up, strict=True
                )
            ]
        )
    expected = torch.func.functional_call(plain, weights, (ids,))

    torch.testing.assert_close(model(ids), expected)
    both = [
        torch.autograd.grad(y.logsumexp(-1).sum(), list(leaves.values()))
        for y in (model(ids), expected)
    ]
    torch.testing.assert_close(*both)


def test_adapters_of_experts_are_merged() -> None:
    """Into plain experts, of which the logits are the same."""
    model = experts().double()
    model.requires_grad_(False)
    adapt(model, LoRA(rank=3), seed=0)
    perturb(model.double())
    ids = torch.arange(16)[None]
    expected = model(ids)
    with merged(model):
        assert type(model.get_submodule("blocks.0.mlp.routed.gate")) is ExpertLinear
        torch.testing.assert_close(model(ids), expected)
    assert type(model.get_submodule("blocks.0.mlp.routed.gate")) is LoRAExperts


def test_adapters_of_experts_are_those_of_peft() -> None:
    """Its `target_parameters`: the same weights of A and B give the same change of the weights."""
    peft = pytest.importorskip("peft")

    class Bank(nn.Module):
        """Matrices of experts: (experts, outputs, inputs)."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 6, 10))

        def forward(self, x: Tensor) -> Tensor:
            """Map (4, N, 10) to (4, N, 6)."""
            return x @ self.weight.mT

    class Holder(nn.Module):
        """A model with one."""

        def __init__(self) -> None:
            super().__init__()
            self.bank = Bank()

        def forward(self, x: Tensor) -> Tensor:
            """Apply it."""
            y: Tensor = self.bank(x)
            return y

    theirs = peft.get_peft_model(
        Holder(),
        peft.LoraConfig(
            r=3, lora_alpha=6, target_modules=[], target_parameters=["bank.weight"], bias="none"
        ),
    )
    ours = LoRAExperts(
        ExpertLinear(4, 2, 10, 6, bias=False), LoRA(rank=3), torch.Generator().manual_seed(0)
    )
    perturb(ours)
    with torch.no_grad():
        ours.base.zero_()
        found = dict(theirs.named_parameters())
        a, b = (
            next(p for name, p in found.items() if f"lora_{each}" in name) for each in ("A", "B")
        )
        a.copy_(ours.down.flatten(0, 1))  # (experts · rank, inputs)
        b.copy_(ours.up.permute(1, 2, 0).flatten(1))  # (outputs, rank · experts)
    x = torch.randn(4, 5, 10, generator=torch.Generator().manual_seed(1))
    ends = torch.arange(5, 25, 5, dtype=torch.int32)
    rows = Dispatch(torch.arange(4).repeat_interleave(5), ends)

    torch.testing.assert_close(ours(x.flatten(0, 1), rows), theirs(x).flatten(0, 1))


def test_experts_without_an_adapter_are_rejected_by_name() -> None:
    """Instead of leaving them out; shared experts and attention can be adapted."""
    model = GPT(GPTConfig(vocab_size=50, layers=1, mlp=Experts(shared=1)))
    with pytest.raises(ConfigError, match=r"mlp\.routed\.gate has the matrices of several"):
        adapt(model, DoRA(), seed=0)

    assert "blocks.0.mlp.shared.gate" in adapt(model, DoRA(targets=("attention", "shared")), seed=0)


def test_target_with_a_shared_weight_is_rejected() -> None:
    """Merging would untie the head from the embedding."""
    with pytest.raises(ConfigError, match="head shares its weight"):
        adapt(gpt("tied"), LoRA(targets=("head",)), seed=0)
    assert adapt(gpt("untied"), LoRA(targets=("head",)), seed=0) == ["head"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rank": 0}, "rank must be at least 1"),
        ({"alpha": 0.0}, "alpha must be above 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"targets": ()}, "targets is empty"),
    ],
)
def test_spec_value_out_of_range_is_rejected(fields: dict[str, Any], message: str) -> None:
    """When the spec is created."""
    with pytest.raises(ConfigError, match=message):
        LoRA(**fields)
