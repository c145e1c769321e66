"""Group relative policy optimization (GRPO): completions that are better than their group's mean.

The advantages are computed with the rollouts (`gpt.training.tasks.reinforcement`), by
`group_advantages` here. B: completions, T: tokens of a row, which are those of its prompt and of
its completion; the targets are the completion's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gpt.data.batch import IGNORED, Batch
from gpt.model.model import Model
from gpt.model.objectives.loss import Loss
from gpt.spec import objective

ADVANTAGES, LIMITS, OLD, REFERENCE = "advantages", "limits", "old", "reference"
"""Names in `Batch.given`: advantages and most tokens of the completions, (B,), and, if they are
needed, log-probabilities of their tokens before the update and by the reference, (B, T)."""


def group_advantages(rewards: Tensor, scale: objective.AdvantageScale) -> Tensor:
    """Return the advantages of *rewards*, both (groups, completions of a group).

    With r of a group: r - mean(r), for "std" divided by std(r) + 1e-4, the sample's standard
    deviation (Shao 2024, DeepSeekMath, arXiv:2402.03300). Undivided: Liu 2025, Dr. GRPO,
    arXiv:2503.20783.
    """
    centered = rewards - rewards.mean(1, keepdim=True)
    if scale == "none":
        return centered
    return centered / (rewards.std(1, keepdim=True) + 1e-4)


class GRPO:
    """-Σ min(ρ A, clip(ρ, 1 - ε, 1 + ε') A) + β kl, over tokens, divided as the loss type says.

    ρ is p(token) / p_old(token), and A the advantage of the completion; Shao 2024, DeepSeekMath,
    arXiv:2402.03300, with ε' apart from ε as in DAPO (Yu 2025, arXiv:2503.14476). The loss type
    ``cispo`` has -min(ρ, ε') A log p instead, without a gradient through ρ (MiniMax 2025,
    arXiv:2506.13585). kl = exp(d) - d - 1 with d = log p_reference - log p (Schulman 2020, k3).

    The sum over tokens is divided:

    ``grpo``     for each completion by its length, then by the number of completions
    ``dapo``     by the tokens of the step (also ``cispo``)
    ``bnpo``     by the tokens of the batch, then by the number of batches
    ``dr_grpo``  by completions x the most tokens of a completion, a constant

    Without old log-probabilities, ρ is 1, with the gradient of log p.
    """

    def __init__(self, spec: objective.GRPO) -> None:
        self.spec = spec

    def weight(self, batch: Batch) -> float:
        """Return what the sum of *batch* is divided by, together with the others of the step."""
        return DIVISORS[self.spec.loss](batch)

    def __call__(self, model: Model, batch: Batch) -> Loss:
        """Return the loss of *model* on *batch*, and figures of its tokens."""
        spec, given = self.spec, batch.given
        log_p, entropy = model.likelihoods(batch, spec.temperature)
        is_target = batch.targets != IGNORED
        tokens = is_target.sum()
        losses, clipped = policy_losses(
            spec, log_p, given.get(OLD, log_p.detach()), given[ADVANTAGES][:, None]
        )
        figures = {"entropy": entropy, "clipped": clipped & is_target}
        if REFERENCE in given:
            kl = k3(log_p, given[REFERENCE])
            losses = losses + spec.beta * kl
            figures["kl"] = kl.detach() * is_target
        total = (losses * token_weights(spec.loss, is_target)).sum()
        means = {name: torch.stack((each.sum(), tokens)) for name, each in figures.items()}
        return Loss(total, means={name: pair.float() for name, pair in means.items()})


def policy_losses(
    spec: objective.GRPO, log_p: Tensor, old: Tensor, advantages: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the loss of each token without KL, and whether its ratio is clipped, bool.

    *log_p* and *old* are (B, T), *advantages* broadcast to that.
    """
    ratio = (log_p - old).exp()
    low, high = 1 - spec.epsilon_low, spec.upper
    is_high = (ratio > high) & (advantages > 0)
    if spec.loss == "cispo":
        return -ratio.detach().clamp(max=high) * advantages * log_p, is_high
    least = torch.minimum(ratio * advantages, ratio.clamp(low, high) * advantages)
    return -least, is_high | (ratio < low) & (advantages < 0)


def k3(log_p: Tensor, reference: Tensor) -> Tensor:
    """Return exp(d) - d - 1, d = *reference* - *log_p*: at least 0, with the mean KL(p, p_ref)."""
    difference = reference - log_p
    return difference.exp() - difference - 1


def token_weights(loss: objective.LossType, is_target: Tensor) -> Tensor:
    """Return the weight of each token in the sum of its batch, (B, T); 0 without a target."""
    weights = is_target.float()
    if loss == "grpo":
        return weights / weights.sum(1, keepdim=True).clamp(min=1)
    if loss == "bnpo":
        return weights / weights.sum().clamp(min=1)
    return weights


DIVISORS: Mapping[str, Callable[[Batch], float]] = {
    "grpo": lambda batch: float((batch.targets != IGNORED).any(1).sum()),
    "bnpo": lambda batch: float(batch.num_targets > 0),
    "dapo": lambda batch: batch.num_targets,
    "cispo": lambda batch: batch.num_targets,
    "dr_grpo": lambda batch: float(batch.given[LIMITS].sum()),
}
"""For each loss type, what the sum over the tokens of a batch is divided by."""
