"""Losses of preferences beside their definitions, written out, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from typing import Any

import pytest
import torch
from torch import Tensor

from gpt.data.batch import IGNORED, Batch
from gpt.data.preferences import DESIRABLE, KL, REFERENCE
from gpt.errors import ConfigError
from gpt.model.objectives.build import build_objective
from gpt.model.objectives.preferences import (
    Completions,
    divergence,
    dpo_loss,
    kto_loss,
    log_odds_ratio,
    orpo_loss,
)
from gpt.nn.loss import TokenLikelihoods
from gpt.spec.architecture import Architecture
from gpt.spec.objective import DPO, KTO, ORPO

PAIRS = 7


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + exp(-x))


def drawn(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities under the model, with gradients, and the base, and lengths: (PAIRS, 2)."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 9, (PAIRS, 2), generator=generator)
    log_p, reference = (
        -lengths * torch.rand(PAIRS, 2, dtype=torch.float64, generator=generator) * 2
        for _ in range(2)
    )
    return log_p.requires_grad_(), reference, lengths


def compare(
    losses: Tensor, log_p: Tensor, by_hand: Callable[[list[float], int], tuple[float, list[float]]]
) -> None:
    """Compare *losses* and their gradients with *by_hand*, which has a row and its index."""
    (gradient,) = torch.autograd.grad(losses.sum(), log_p)
    for index, row in enumerate(log_p.tolist()):
        loss, gradients = by_hand(row, index)

        assert losses[index].item() == pytest.approx(loss, abs=1e-12)
        assert gradient[index].flatten().tolist() == pytest.approx(gradients, abs=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("normalized", [False, True])
def test_dpo_is_the_log_sigmoid_of_the_difference_of_rewards(
    smoothing: float, normalized: bool
) -> None:
    """With smoothing, a mixture of both orders; normalized by the tokens of each completion."""
    log_p, reference, lengths = drawn(1)
    loss = "sigmoid_norm" if normalized else "sigmoid"
    spec = DPO(beta=0.3, loss=loss, label_smoothing=smoothing)

    def by_hand(row: list[float], index: int) -> tuple[float, list[float]]:
        sizes = lengths[index].tolist() if normalized else [1, 1]
        chosen, rejected = (
            (policy - base) / size
            for policy, base, size in zip(row, reference[index].tolist(), sizes, strict=True)
        )
        win = sigmoid(0.3 * (chosen - rejected))
        loss = -(1 - smoothing) * log(win) - smoothing * log(1 - win)
        gradient = 0.3 * (win - (1 - smoothing))
        return loss, [gradient / sizes[0], -gradient / sizes[1]]

    compare(dpo_loss(log_p - reference, lengths, spec), log_p, by_hand)


def test_ipo_is_the_squared_distance_of_the_margin_per_token() -> None:
    """From 1 / (2 beta)."""
    log_p, reference, lengths = drawn(2)

    def by_hand(row: list[float], index: int) -> tuple[float, list[float]]:
        sizes = lengths[index].tolist()
        chosen, rejected = (
            (policy - base) / size
            for policy, base, size in zip(row, reference[index].tolist(), sizes, strict=True)
        )
        distance = chosen - rejected - 1 / 0.6
        return distance**2, [2 * distance / sizes[0], -2 * distance / sizes[1]]

    compare(dpo_loss(log_p - reference, lengths, DPO(beta=0.3, loss="ipo")), log_p, by_hand)


def test_orpo_adds_the_odds_ratio_to_the_cross_entropy_of_the_chosen() -> None:
    """Both of the mean log-probability of a token; the odds of p are p / (1 - p)."""
    log_p, _, lengths = drawn(3)

    def by_hand(row: list[float], index: int) -> tuple[float, list[float]]:
        sizes = lengths[index].tolist()
        chosen, rejected = (exp(value / size) for value, size in zip(row, sizes, strict=True))
        odds = chosen / (1 - chosen) / (rejected / (1 - rejected))
        win = odds / (1 + odds)
        # The derivative of log(p / (1 - p)) by log p is 1 / (1 - p).
        gradients = [-0.3 * (1 - win) / (1 - chosen) - 1, 0.3 * (1 - win) / (1 - rejected)]
        return -log(chosen) - 0.3 * log(win), [
            gradient / size for gradient, size in zip(gradients, sizes, strict=True)
        ]

    compare(orpo_loss(log_p, lengths, ORPO(beta=0.3)), log_p, by_hand)


@pytest.mark.parametrize("mean", [-1e-9, 0.0, -200.0])
def test_odds_of_what_is_certain_or_impossible_are_finite(mean: float) -> None:
    """With gradients that are: in float32 a log-probability rounds to 0."""
    means = torch.tensor([[mean, -1.0], [-1.0, mean]], requires_grad=True)
    odds = log_odds_ratio(means)
    odds.sum().backward()

    assert odds.isfinite().all()
    assert means.grad is not None
    assert means.grad.isfinite().all()


def test_kto_is_a_sigmoid_of_the_distance_from_the_divergence() -> None:
    """With a weight for each label; the divergence has no gradient, and is not below 0."""
    log_p, reference, _ = drawn(4)
    desirable = torch.arange(PAIRS) % 3 == 0
    kl = divergence(torch.tensor([0.5, -0.2, 0.6]))
    spec = KTO(beta=0.3, desirable_weight=1.5, undesirable_weight=0.7)
    log_p, reference = log_p.detach()[:, 0].requires_grad_(), reference[:, 0]

    def by_hand(row: Any, index: int) -> tuple[float, list[float]]:
        sign, weight = (1, 1.5) if index % 3 == 0 else (-1, 0.7)
        value = sigmoid(sign * 0.3 * (row - reference[index].item() - kl.item()))
        return weight * (1 - value), [-weight * sign * 0.3 * value * (1 - value)]

    assert kl.item() == pytest.approx(0.3)
    assert divergence(torch.tensor([0.5, -2.0])).item() == 0
    compare(kto_loss(log_p - reference, desirable, kl, spec), log_p, by_hand)


class Likely:
    """A model that gives fixed log-probabilities to the targets."""

    def __init__(self, log_p: Tensor) -> None:
        self._log_p = log_p

    def likelihoods(self, batch: Batch) -> TokenLikelihoods:
        """Return them, 0 where there is no target."""
        counted = batch.targets != IGNORED
        return TokenLikelihoods(torch.where(counted, self._log_p, 0), torch.zeros_like(self._log_p))


def tokens() -> tuple[Tensor, Batch]:
    """Log-probabilities (6, 5) of three pairs of rows, and the batch, with 1 to 5 targets."""
    generator = torch.Generator().manual_seed(5)
    log_p = -torch.rand(6, 5, generator=generator)
    targets = torch.full((6, 5), IGNORED)
    for row, size in enumerate([1, 5, 2, 2, 4, 3]):
        targets[row, 5 - size :] = 1
    return log_p, Batch(torch.ones_like(targets), targets)


def mean_of(pair: Tensor) -> float:
    """The mean that a sum and a count are."""
    total, count = pair.tolist()
    return total / count


@pytest.mark.parametrize("spec", [DPO(), DPO(loss="sigmoid_norm"), ORPO()])
def test_a_pair_is_two_rows_of_a_batch(spec: DPO | ORPO) -> None:
    """The weight counts pairs, and figures are means over them, reported with the loss."""
    log_p, batch = tokens()
    reference = torch.tensor([-1.0, -2.0, -3.0, -2.0, -1.0, -1.5])
    objective = build_objective(spec, Architecture())
    loss = objective(Likely(log_p), batch._replace(given={REFERENCE: reference}))
    sums = torch.where(batch.targets == 1, log_p, 0).sum(1).view(3, 2)
    lengths = torch.tensor([[1, 5], [2, 2], [4, 3]])
    if isinstance(spec, ORPO):
        rewards, expected = spec.beta * sums / lengths, orpo_loss(sums, lengths, spec)
    else:
        ratios = sums - reference.view(3, 2)
        rewards, expected = spec.beta * ratios, dpo_loss(ratios, lengths, spec)
        assert mean_of(loss.means["kl"]) == pytest.approx(-ratios.mean().item(), abs=1e-6)

    assert objective.weight(batch) == 3
    assert loss.sum.item() == pytest.approx(expected.sum().item(), rel=1e-6)
    chosen, rejected = rewards.unbind(1)
    for name, values in {
        "reward_chosen": chosen,
        "reward_rejected": rejected,
        "margin": chosen - rejected,
        "preference_accuracy": (chosen > rejected).float(),
    }.items():
        assert mean_of(loss.means[name]) == pytest.approx(values.mean().item(), abs=1e-6)


def test_labeled_completions_are_single_rows() -> None:
    """Their rewards are figures by label; they are right on their side of the divergence."""
    log_p, batch = tokens()
    reference, desirable = (
        torch.full((6,), -1.2),
        torch.tensor([True, True, True, False, False, False]),
    )
    given = {REFERENCE: reference, DESIRABLE: desirable, KL: torch.full((6,), 0.2)}
    objective = build_objective(KTO(), Architecture())
    loss = objective(Likely(log_p), batch._replace(given=given))
    ratios = torch.where(batch.targets == 1, log_p, 0).sum(1) - reference

    assert objective.weight(batch) == 6
    expected = kto_loss(ratios, desirable, torch.tensor(0.2), KTO())
    assert loss.sum.item() == pytest.approx(expected.sum().item(), rel=1e-6)
    assert mean_of(loss.means["reward_chosen"]) == pytest.approx(0.1 * ratios[:3].mean().item())
    assert mean_of(loss.means["reward_rejected"]) == pytest.approx(0.1 * ratios[3:].mean().item())
    right = [*(ratios[:3] > 0.2).tolist(), *(ratios[3:] < 0.2).tolist()]
    assert mean_of(loss.means["preference_accuracy"]) == pytest.approx(sum(right) / 6)


def test_a_tie_is_half_right() -> None:
    """As of the base itself, whose rewards are all 0."""
    log_p = torch.full((2, 2), -1.0)
    objective: Any = build_objective(DPO(), Architecture())
    loss = objective.loss(Completions(log_p, torch.ones(2, 2), log_p))

    assert mean_of(loss.means["preference_accuracy"]) == 0.5
    assert loss.sum.item() == pytest.approx(2 * log(2))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"beta": 0.0}, "beta must be above 0; got 0"),
        ({"label_smoothing": 0.5}, "label_smoothing must be at least 0 and below 0.5; got 0.5"),
        ({"loss": "ipo", "label_smoothing": 0.1}, "label_smoothing is of the sigmoid losses"),
    ],
)
def test_what_no_loss_has_is_named(fields: dict[str, Any], words: str) -> None:
    """By its field."""
    with pytest.raises(ConfigError, match=words):
        DPO(**fields)
