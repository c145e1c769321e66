"""GRPO: advantages, losses, divisors and gradients, beside formulas written out in float64."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from gpt.data.batch import IGNORED, Batch
from gpt.model.objectives.grpo import ADVANTAGES, GRPO, LIMITS, OLD, REFERENCE, group_advantages
from gpt.nn.loss import TokenLikelihoods
from gpt.spec import objective

LOSSES = ["grpo", "bnpo", "dapo", "dr_grpo", "cispo"]
LIMIT = 7
"""Most tokens of a completion."""


class Given(NamedTuple):
    """Log-probabilities (B, T) of completions of several lengths, and their advantages (B,)."""

    log_p: Tensor
    old: Tensor
    reference: Tensor
    mask: Tensor
    advantages: Tensor


class Fixed:
    """Stands for a model: predicts the same log-probabilities for every batch."""

    def __init__(self, log_p: Tensor) -> None:
        self.log_p = log_p

    def likelihoods(self, batch: Batch, temperature: float) -> TokenLikelihoods:
        """The log-probabilities, and an entropy of 1."""
        is_target = batch.targets != IGNORED
        return TokenLikelihoods(torch.where(is_target, self.log_p, 0), is_target.float())


def given(seed: int = 0, rows: int = 6, tokens: int = 9) -> Given:
    """Random ones, with ratios on both sides of every bound."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    log_p = (-random(rows, tokens).abs()).requires_grad_()
    old = (log_p + 0.6 * random(rows, tokens)).detach()
    old[0] -= 3
    reference = (log_p + 0.5 * random(rows, tokens)).detach()
    lengths = torch.randint(1, LIMIT + 1, (rows, 1), generator=generator)
    after = torch.arange(tokens) - 2  # two tokens of the prompt
    return Given(log_p, old, reference, (after >= 0) & (after < lengths), random(rows))


def batch_of(all: Given, rows: slice = slice(None)) -> Batch:
    """The batch of *rows*."""
    mask = all.mask[rows]
    fields = {
        ADVANTAGES: all.advantages[rows],
        LIMITS: torch.full((len(mask),), LIMIT),
        OLD: all.old[rows],
        REFERENCE: all.reference[rows],
    }
    return Batch(torch.zeros(mask.shape).long(), torch.where(mask, 1, IGNORED), given=fields)


def mean_loss(spec: objective.GRPO, all: Given, cuts: tuple[int, ...] = ()) -> Tensor:
    """Our loss of a step whose rows are divided into batches at *cuts*."""
    ours, total, weight = GRPO(spec), torch.zeros(()).double(), 0.0
    for start, stop in itertools.pairwise((0, *cuts, len(all.mask))):
        rows = slice(start, stop)
        batch = batch_of(all, rows)
        model: Any = Fixed(all.log_p[rows])
        total = total + ours(model, batch).sum
        weight += ours.weight(batch)
    return total / weight


def written_out(spec: objective.GRPO, all: Given) -> Tensor:
    """The same, token by token, as the papers have it."""
    sums, lengths = [], []
    for row, mask in enumerate(all.mask):
        terms = []
        for token in mask.nonzero()[:, 0]:
            log_p, old = all.log_p[row, token], all.old[row, token]
            ratio, advantage = (log_p - old).exp(), all.advantages[row]
            if spec.loss == "cispo":
                weight = min(ratio.item(), 5.0)
                term = -weight * advantage * log_p
            else:
                clipped = ratio.clamp(0.8, 1.2)
                term = -torch.minimum(ratio * advantage, clipped * advantage)
            gap = all.reference[row, token] - log_p
            terms.append(term + spec.beta * (gap.exp() - gap - 1))
        sums.append(torch.stack(terms).sum())
        lengths.append(len(terms))
    if spec.loss == "grpo":
        return torch.stack([s / n for s, n in zip(sums, lengths, strict=True)]).mean()
    if spec.loss == "dr_grpo":
        return torch.stack(sums).sum() / (len(sums) * LIMIT)
    return torch.stack(sums).sum() / sum(lengths)


@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_gradients_are_those_written_out(loss: Any, beta: float) -> None:
    """With every kind of clipping, and completions of several lengths."""
    spec = objective.GRPO(loss=loss, beta=beta)
    for seed in range(3):
        ours, expected = given(seed), given(seed)
        mean_loss(spec, ours).backward()
        written_out(spec, expected).backward()

        torch.testing.assert_close(mean_loss(spec, ours), written_out(spec, expected))
        torch.testing.assert_close(ours.log_p.grad, expected.log_p.grad)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "bnpo"])
def test_the_loss_does_not_depend_on_the_batches(loss: Any) -> None:
    """Sums and weights of a step are added, however its rows are divided."""
    spec, all = objective.GRPO(loss=loss, beta=0.1), given()

    torch.testing.assert_close(mean_loss(spec, all, (1, 4)), mean_loss(spec, all))


def test_bnpo_is_the_mean_of_its_batches() -> None:
    """Each divided by its own tokens."""
    spec, all = objective.GRPO(loss="bnpo"), given()
    parts = [
        mean_loss(spec, Given(*(each[rows] for each in all))) for rows in (slice(0, 2), slice(2, 6))
    ]

    torch.testing.assert_close(mean_loss(spec, all, (2,)), (parts[0] + parts[1]) / 2)


def test_advantages_are_divided_by_the_standard_deviation_of_the_sample() -> None:
    """1e-4 keeps those of a group without variance finite."""
    rewards = torch.tensor([[0.0, 1, 1, 0.5], [1, 1, 1, 1]], dtype=torch.float64)
    spread = math.sqrt((0.625**2 + 2 * 0.375**2 + 0.125**2) / 3)
    centered = torch.tensor([[-0.625, 0.375, 0.375, -0.125], [0, 0, 0, 0]], dtype=torch.float64)

    torch.testing.assert_close(group_advantages(rewards, "none"), centered)
    torch.testing.assert_close(group_advantages(rewards, "std"), centered / (spread + 1e-4))


def test_figures_are_means_over_the_tokens_of_completions() -> None:
    """The clipped fraction counts a bound only if it takes the gradient away."""
    all = given()
    ratio = (all.log_p - all.old).exp().detach()
    positive = (all.advantages > 0)[:, None]
    clipped = torch.where(positive, ratio > 1.2, ratio < 0.8)[all.mask]
    gap = (all.reference - all.log_p).detach()[all.mask]
    model: Any = Fixed(all.log_p)
    means = GRPO(objective.GRPO())(model, batch_of(all)).means
    found = {name: (sum / count).item() for name, (sum, count) in means.items()}

    assert 0 < clipped.double().mean() < 1
    assert found == pytest.approx(
        {
            "entropy": 1.0,
            "clipped": clipped.double().mean().item(),
            "kl": (gap.exp() - gap - 1).mean().item(),
        }
    )


def test_without_old_log_probabilities_the_ratio_is_one() -> None:
    """The loss of the first update of a rollout is the mean advantage, negated."""
    all = given()
    batch = batch_of(all)
    batch = batch._replace(given={ADVANTAGES: all.advantages, LIMITS: batch.given[LIMITS]})
    model: Any = Fixed(all.log_p)
    loss = GRPO(objective.GRPO())(model, batch)

    torch.testing.assert_close(loss.sum, -(all.advantages[:, None] * all.mask).sum())
    assert loss.means["clipped"][0] == 0
    assert "kl" not in loss.means


@pytest.mark.parametrize("loss", ["grpo", "dr_grpo", "cispo"])
def test_the_policy_gradient_of_a_bandit_is_that_of_its_expected_reward(loss: Any) -> None:
    """Enumerated: groups of two answers from a policy over three, weighted by their probability.

    With advantages r - mean(r), the expected gradient is (G - 1) / G that of the expected reward,
    and the expected reward is differentiated numerically.
    """
    rewards = torch.tensor([1.0, 0.2, 0.0], dtype=torch.float64)
    logits = torch.tensor([0.3, -0.5, 0.1], dtype=torch.float64, requires_grad=True)
    ours = GRPO(objective.GRPO(loss=loss, advantage="none"))
    expected = torch.zeros(3, dtype=torch.float64)
    for group in itertools.product(range(3), repeat=2):
        log_p = logits.log_softmax(0)
        answers = torch.tensor(group)
        advantages = group_advantages(rewards[answers][None], "none")[0]
        batch = Batch(
            torch.zeros(2, 1).long(),
            answers[:, None],
            given={ADVANTAGES: advantages, LIMITS: torch.ones(2)},
        )
        model: Any = Fixed(log_p[answers][:, None])
        loss_of = ours(model, batch).sum / ours.weight(batch)
        (gradient,) = torch.autograd.grad(loss_of, logits)
        expected += log_p[answers].sum().exp().detach() * gradient

    def value(at: Tensor) -> Tensor:
        return at.softmax(0) @ rewards

    step = 1e-5 * torch.eye(3, dtype=torch.float64)
    start = logits.detach()
    numerical = torch.stack([(value(start + e) - value(start - e)) / 2e-5 for e in step])

    torch.testing.assert_close(expected, -numerical / 2, rtol=1e-6, atol=1e-9)
