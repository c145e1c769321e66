"""Optimizers and schedules equal torch's, and the formulas of the papers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.nn.expert_linear import ExpertLinear
from gpt.optim.average import averaged, update_average
from gpt.optim.build import OPTIMIZERS, SCHEDULES, build_optimizer, set_rate
from gpt.optim.muon import orthogonalize
from gpt.optim.parameters import ParameterKinds
from gpt.spec.architecture import GPTConfig
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.position import Learned
from gpt.spec.schedule import Cosine, Linear, Noam, WarmupStableDecay

OPTIMIZER_SPECS: list[Any] = [
    AdamW(),
    AdamW(lr=0.1, weight_decay=0.5),
    Muon(),
    Muon(momentum=0.5, weight_decay=0.3),
]
SCHEDULE_SPECS: list[Any] = [
    Cosine(),
    Cosine(warmup=0.3, floor=0.1),
    WarmupStableDecay(),
    WarmupStableDecay(warmup=0.5, decay=0.5, floor=0.2),
    Linear(),
    Linear(warmup=0.1, decay=0.9),
    Noam(warmup=7),
]
CONFIG = GPTConfig(
    vocab_size=70,
    layers=2,
    width=32,
    bias=True,
    tie=False,
    position=Learned(),
    mlp=MLP(activation="silu", gated=True, hidden=48),
    norm=LayerNorm(),
    value_embedding=ValueEmbedding(),
)


def set_random_gradients(model: nn.Module, seed: int) -> None:
    """Set the gradient of every parameter of *model* to noise."""
    noise = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=noise)


def make_steps(optimizer: torch.optim.Optimizer, model: nn.Module, steps: int) -> None:
    for step in range(steps):
        set_random_gradients(model, step)
        optimizer.step()


def test_every_row_of_the_tables_has_a_case() -> None:
    """An optimizer or a schedule cannot be added without a case here."""
    assert {type(spec) for spec in OPTIMIZER_SPECS} == set(OPTIMIZERS)
    assert {type(spec) for spec in SCHEDULE_SPECS} == set(SCHEDULES)


@pytest.mark.parametrize("tie", [True, False])
def test_parameters_are_sorted_by_kind(tie: bool) -> None:
    """Each parameter has one kind; a tied head is an embedding."""
    model = GPT(GPTConfig.over(CONFIG, 70) if not tie else GPTConfig(vocab_size=70, layers=1))
    kinds = ParameterKinds.of(model)
    lists = (kinds.matrices, kinds.head, kinds.embeddings, kinds.scales)
    names = {id(parameter): name for name, parameter in model.named_parameters()}

    assert sorted(id(p) for parameters in lists for p in parameters) == sorted(names)
    assert all(names[id(p)].startswith("blocks.") for p in kinds.matrices)
    assert [names[id(p)] for p in kinds.head] == ([] if tie else ["head.weight"])
    assert "embedding.weight" in {names[id(p)] for p in kinds.embeddings}
    assert all(parameter.ndim == 1 for parameter in kinds.scales)


@pytest.mark.parametrize("spec", OPTIMIZER_SPECS, ids=str)
def test_optimizer_updates_every_parameter(spec: Any) -> None:
    """In one step."""
    model = GPT(CONFIG)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    make_steps(build_optimizer(spec, model, torch.float32), model, 1)

    assert all(not torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("spec", OPTIMIZER_SPECS, ids=str)
def test_learning_rate_is_a_fraction_of_each_groups_peak(spec: Any) -> None:
    """At a fraction of 0 the weights do not change."""
    model = GPT(CONFIG)
    optimizer = build_optimizer(spec, model, torch.float32)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    peaks = [group["lr"] for group in optimizer.param_groups]

    assert set_rate(optimizer, 0.5) == spec.lr / 2
    assert [group["lr"] for group in optimizer.param_groups] == [peak / 2 for peak in peaks]
    set_rate(optimizer, 0.0)
    make_steps(optimizer, model, 2)
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("rates", [(None, None), (0.3, 0.02)], ids=str)
def test_adamw_equals_torchs(rates: tuple[float | None, float | None]) -> None:
    """Over three steps: each kind has its learning rate, and only matrices and the head decay."""
    embedding_lr, head_lr = rates
    spec = AdamW(
        lr=0.1,
        embedding_lr=embedding_lr,
        head_lr=head_lr,
        weight_decay=0.5,
        betas=(0.8, 0.9),
        eps=1e-4,
    )
    ours, theirs = GPT(CONFIG), GPT(CONFIG)
    kinds = ParameterKinds.of(theirs)
    separate = [
        torch.optim.AdamW(parameters, lr=rate, betas=(0.8, 0.9), eps=1e-4, weight_decay=decay)
        for parameters, rate, decay in (
            (kinds.matrices, 0.1, 0.5),
            (kinds.head, head_lr or 0.1, 0.5),
            (kinds.embeddings, embedding_lr or 0.1, 0.0),
            (kinds.scales, 0.1, 0.0),
        )
    ]
    optimizer = build_optimizer(spec, ours, torch.float32)
    for step in range(3):
        set_random_gradients(ours, step)
        set_random_gradients(theirs, step)
        for each in (optimizer, *separate):
            each.step()

    torch.testing.assert_close(list(ours.parameters()), list(theirs.parameters()))


def test_muon_equals_torchs() -> None:
    """Over three steps, up to the rounding of bfloat16, which torch always uses."""
    spec = Muon(lr=0.1, momentum=0.9, weight_decay=0.2)
    ours, theirs = GPT(CONFIG), GPT(CONFIG)
    optimizer = build_optimizer(spec, ours, torch.bfloat16)
    muon = torch.optim.Muon(
        ParameterKinds.of(theirs).matrices, lr=0.1, momentum=0.9, weight_decay=0.2, ns_steps=5
    )
    for step in range(3):
        set_random_gradients(ours, step)
        set_random_gradients(theirs, step)
        optimizer.step()
        muon.step()

    matrices = ParameterKinds.of(ours).matrices, ParameterKinds.of(theirs).matrices
    torch.testing.assert_close(*matrices, rtol=0.02, atol=0.01)


@pytest.mark.parametrize("shape", [(24, 24), (48, 16), (16, 48)], ids=str)
def test_muon_equals_its_formula(shape: tuple[int, int]) -> None:
    """Written out for one matrix, in float32."""
    spec = Muon(lr=0.1, momentum=0.8, iterations=3)
    model = nn.ModuleDict(
        {"a": nn.Linear(*shape), "b": nn.Linear(*shape), "scale": nn.LayerNorm(4)}
    )
    weight = model["b"].weight
    expected, momentum = weight.detach().clone(), torch.zeros_like(weight)
    optimizer = build_optimizer(spec, model, torch.float32)
    for step in range(3):
        set_random_gradients(model, step)
        gradient = weight.grad
        assert gradient is not None
        momentum = 0.8 * momentum + 0.2 * gradient
        x = 0.2 * gradient + 0.8 * momentum
        x = x / x.norm()
        for _ in range(3):
            x = 3.4445 * x - 4.7750 * (x @ x.T) @ x + 2.0315 * (x @ x.T) @ (x @ x.T) @ x
        expected -= 0.1 * math.sqrt(max(1, shape[1] / shape[0])) * x
        optimizer.step()

    torch.testing.assert_close(weight.detach(), expected, rtol=1e-4, atol=1e-5)


def test_muon_updates_each_expert_as_a_matrix() -> None:
    """A tensor of three matrices is updated as three linear layers are."""
    linears = nn.ModuleList(nn.Linear(16, 24, bias=False) for _ in range(3))
    layer = ExpertLinear(3, 2, 16, 24, bias=False)
    matrices: list[Any] = [linear.weight for linear in linears]
    layer.weight.data = torch.stack(matrices).detach()
    optimizers = [
        build_optimizer(Muon(), nn.ModuleList([each, nn.LayerNorm(4)]), torch.float32)
        for each in (linears, layer)
    ]
    for step in range(2):
        set_random_gradients(linears, step)
        layer.weight.grad = torch.stack([matrix.grad for matrix in matrices])
        for optimizer in optimizers:
            optimizer.step()

    torch.testing.assert_close(layer.weight, torch.stack(matrices))


@pytest.mark.parametrize("shape", [(24, 24), (48, 16), (16, 48)], ids=str)
def test_orthogonalized_matrix_keeps_its_singular_vectors(
    shape: tuple[int, int],
) -> None:
    """Its singular values are about 1; torch's SVD is the oracle."""
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    product = u.mT @ orthogonalize(matrices, 8) @ v.mT
    values = product.diagonal(dim1=-2, dim2=-1)

    torch.testing.assert_close(product, torch.diag_embed(values), rtol=0, atol=1e-4)
    assert (values > 0.6).all()
    assert (values < 1.3).all()


def test_orthogonalized_zeros_are_zeros() -> None:
    """Not NaN: the first gradients of layers before a zero matrix are zero."""
    assert not orthogonalize(torch.zeros(1, 4, 4), 5).any()


def test_cosine_without_warmup_is_torchs() -> None:
    """The scheduler of torch starts at the peak, here one step before the first."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = CosineAnnealingLR(optimizer, T_max=20, eta_min=0.1)
    theirs = []
    for _ in range(20):
        optimizer.step()
        scheduler.step()
        theirs.append(scheduler.get_last_lr()[0])
    spec = Cosine(warmup=0.0, floor=0.1)

    ours = [SCHEDULES[type(spec)](spec, step, (step + 1) / 20) for step in range(20)]

    assert ours == pytest.approx(theirs)


def test_noam_equals_the_papers_formula() -> None:
    """width^-0.5 · min(t^-0.5, t · warmup^-1.5), with the peak that the spec documents."""
    spec, width = Noam(warmup=40), 512
    peak = (width * spec.warmup) ** -0.5
    ours = [peak * SCHEDULES[type(spec)](spec, step, 0.5) for step in range(100)]

    assert ours == pytest.approx([width**-0.5 * min(t**-0.5, t * 40**-1.5) for t in range(1, 101)])


@pytest.mark.parametrize("spec", SCHEDULE_SPECS, ids=str)
@given(fractions=st.lists(st.floats(0, 1)))
def test_schedule_rises_to_the_peak_and_then_only_falls(spec: Any, fractions: list[float]) -> None:
    """However unequal the steps are: at most 1, and the floor at the end of the run."""
    fractions = [*sorted(fractions), 1.0]
    rates = [SCHEDULES[type(spec)](spec, step, fraction) for step, fraction in enumerate(fractions)]
    peak = rates.index(max(rates))
    floor = getattr(spec, "floor", 0.0)

    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(floor <= rate + 1e-9 and 0 <= rate <= 1 for rate in rates[peak:])
    assert isinstance(spec, Noam) or rates[-1] == floor


def test_average_follows_its_formula() -> None:
    """Its decay is min(decay, (1 + t) / (10 + t))."""
    model = nn.Linear(3, 2, bias=False)
    optimizer = torch.optim.SGD(model.parameters())
    weights, average = [], torch.zeros(2, 3)
    for step in range(30):
        nn.init.normal_(model.weight)
        weights.append(model.weight.detach().clone())
        update_average(model, optimizer, 0.7, step)
        decay = min(0.7, (1 + step) / (10 + step)) if step else 0.0
        average = decay * average + (1 - decay) * weights[-1]

    torch.testing.assert_close(optimizer.state[model.weight]["average"], average)


def test_averages_replace_the_weights_inside_the_context() -> None:
    """The trained weights are restored."""
    model = nn.Linear(3, 2, bias=False)
    optimizer = torch.optim.SGD(model.parameters())
    first = model.weight.detach().clone()
    update_average(model, optimizer, 0.5, 0)
    nn.init.zeros_(model.weight)
    with averaged(model, optimizer):
        assert torch.equal(model.weight, first)

    assert not model.weight.any()


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (AdamW, {"lr": 0.0}, "lr must be above 0"),
        (AdamW, {"lr": math.nan}, "lr must be above 0"),
        (AdamW, {"head_lr": 0.0}, "head_lr must be above 0"),
        (AdamW, {"weight_decay": -0.1}, "weight_decay must be at least 0"),
        (AdamW, {"betas": (0.9, 1.0)}, "betas must be"),
        (Muon, {"momentum": 1.0}, "momentum must be"),
        (Muon, {"iterations": 0}, "iterations must be"),
        (Muon, {"head_lr": math.inf}, "head_lr must be above 0"),
        (Cosine, {"warmup": 1.5}, "warmup must be from 0 to 1"),
        (Linear, {"warmup": 0.6, "decay": 0.6}, r"warmup \+ decay must be at most 1"),
        (Noam, {"warmup": 0}, "warmup must be above 0"),
    ],
)
def test_spec_value_out_of_range_is_rejected(kind: Any, fields: dict[str, Any], words: str) -> None:
    """When the spec is created; the message names the field."""
    with pytest.raises(ConfigError, match=words):
        kind(**fields)
