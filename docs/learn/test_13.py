"""Tests of the exercises of chapter 13."""

import math
from dataclasses import replace
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

from gpt.model.gpt import GPT
from gpt.nn.build import MECHANISMS
from gpt.spec.architecture import GPTConfig
from gpt.spec.presets import gpt2


def build(chapter: ModuleType, monkeypatch: pytest.MonkeyPatch) -> GPT:
    """A small GPT with the norm of the exercise."""
    table = dict(MECHANISMS)
    spec = chapter.add_l1_norm(table)
    assert spec in table, "Add the row: mechanisms[YourSpec] = YourModule, and return YourSpec."
    monkeypatch.setitem(MECHANISMS, spec, table[spec])
    torch.manual_seed(0)
    return GPT(GPTConfig.over(replace(gpt2(depth=1, context=8), norm=spec()), vocab_size=64))


def test_13a_the_norm_computes_its_formula(
    chapter: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each token by itself."""
    norm, x = build(chapter, monkeypatch).blocks[0].attention_norm, torch.randn(2, 3, 64)

    found = norm(x)

    assert torch.allclose(found.abs().mean(-1), torch.ones(2, 3), atol=1e-4), (
        "Divide by the mean of |x| over the last axis, with keepdim=True."
    )
    assert torch.allclose(found.sign(), x.sign()), "Only the size changes."


def test_13a_its_weight_is_learned(chapter: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient reaches it, as all others."""
    model, ids = build(chapter, monkeypatch), torch.randint(64, (2, 9))
    F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()).backward()
    weights = dict(model.norm.named_parameters())

    assert len(weights) == 1, "One learned weight for each feature, as an nn.Parameter."
    assert all(each.grad is not None for each in weights.values())


def test_13a_a_row_of_zeros_stays_finite(
    chapter: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zero over a little is zero."""
    zeros = torch.zeros(1, 1, 64)

    assert torch.equal(build(chapter, monkeypatch).norm(zeros), zeros)


def test_13b_nothing_has_changed_yet(chapter: ModuleType) -> None:
    """Then each pair is undecided: ln 2."""
    chosen, rejected = torch.tensor([-5.0, -9.0]), torch.tensor([-4.0, -20.0])

    loss = chapter.dpo_loss(chosen, rejected, chosen, rejected, beta=0.1)

    assert loss.item() == pytest.approx(math.log(2)), (
        "Compare each answer with itself before training, not the two answers."
    )


def test_13b_one_pair(chapter: ModuleType) -> None:
    """The chosen answer has gained 2 nats, the rejected one has lost 1."""
    loss = chapter.dpo_loss(
        torch.tensor([-3.0]), torch.tensor([-6.0]), torch.tensor([-5.0]), torch.tensor([-5.0]), 0.5
    )

    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1.5)))


def test_13b_a_hopeless_pair_is_finite(chapter: ModuleType) -> None:
    """And its gradient, too."""
    chosen = torch.tensor([-500.0], requires_grad=True)
    zero = torch.zeros(1)

    loss = chapter.dpo_loss(chosen, zero, zero, zero, 1.0)
    loss.backward()

    assert loss.item() == pytest.approx(500.0), "sigmoid(-500) is 0 in float32: use logsigmoid."
    assert chosen.grad is not None
    assert chosen.grad.item() == pytest.approx(-1.0)


def test_13c_better_than_the_group(chapter: ModuleType) -> None:
    """Each group by itself."""
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [5.0, 9.0, 5.0, 9.0]])

    found = chapter.advantages(rewards)

    expected = torch.tensor([[1.0, -1.0, -1.0, 1.0], [-1.0, 1.0, -1.0, 1.0]])
    assert torch.allclose(found, expected), "Mean and deviation are those of the row; divide by n."


def test_13c_equal_answers_teach_nothing(chapter: ModuleType) -> None:
    """0 / 0 is not an advantage."""
    assert torch.equal(chapter.advantages(torch.ones(2, 3)), torch.zeros(2, 3))
