"""Preferences: losses of completions of which some are preferred, by their log-probabilities.

The functions take log-probabilities of completions, summed over their tokens, in nats. The base is
present only as such sums, which `gpt.training.tasks.preferences` gives with each batch. N: number
of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.data.batch import IGNORED, Batch
from gpt.data.preferences import DESIRABLE, KL, REFERENCE
from gpt.model.objectives.loss import Loss
from gpt.spec import objective

CERTAIN = -(2.0**-23)
"""Largest mean log-probability of which the odds are computed: float32 has none closer to 0 whose
exponential is not 1."""


def sigmoid_loss(difference: Tensor, spec: objective.DPO) -> Tensor:
    """Return -(1 - ε) log σ(β d) - ε log σ(-β d). Rafailov 2023, equation 7; ε: Mitchell 2023.

    *difference* d (N,) is the log-ratio of the chosen completion minus that of the rejected one.
    """
    logits, smoothing = spec.beta * difference, spec.label_smoothing
    return -(1 - smoothing) * F.logsigmoid(logits) - smoothing * F.logsigmoid(-logits)


def ipo_loss(difference: Tensor, spec: objective.DPO) -> Tensor:
    """Return (d - 1 / (2 β))². Azar 2023, equation 17."""
    return (difference - 1 / (2 * spec.beta)).square()


class Form(NamedTuple):
    """A loss of pairs."""

    loss: Callable[[Tensor, objective.DPO], Tensor]
    """From the difference of the two log-ratios."""
    normalized: bool
    """Whether a log-ratio is divided by the tokens of its completion."""


FORMS: Mapping[str, Form] = {
    "sigmoid": Form(sigmoid_loss, normalized=False),
    "sigmoid_norm": Form(sigmoid_loss, normalized=True),
    "ipo": Form(ipo_loss, normalized=True),
}
"""For each `gpt.spec.objective.DPO.loss`, what it computes."""


def dpo_loss(ratios: Tensor, lengths: Tensor, spec: objective.DPO) -> Tensor:
    """Return the losses (N,) of pairs with the log-ratios *ratios* (N, 2), the chosen one first.

    A log-ratio is log π(y | x) - log π_base(y | x), of a completion of *lengths* (N, 2) tokens.
    """
    form = FORMS[spec.loss]
    chosen, rejected = (ratios / lengths if form.normalized else ratios).unbind(-1)
    return form.loss(chosen - rejected, spec)


def log_odds_ratio(means: Tensor) -> Tensor:
    """Return log(odds of the chosen / odds of the rejected), (N,). Hong 2024, equations 4 and 7.

    *means* (N, 2) are log-probabilities divided by the tokens; odds of p are p / (1 - p).
    """
    means = means.clamp(max=CERTAIN)
    chosen, rejected = (means - torch.log(-torch.expm1(means))).unbind(-1)
    return chosen - rejected


def orpo_loss(log_p: Tensor, lengths: Tensor, spec: objective.ORPO) -> Tensor:
    """Return -log p(chosen) / tokens - β log σ(log odds ratio), (N,). Hong 2024, equation 6."""
    means = log_p / lengths
    return -means[:, 0] - spec.beta * F.logsigmoid(log_odds_ratio(means))


def kto_loss(ratios: Tensor, desirable: Tensor, kl: Tensor, spec: objective.KTO) -> Tensor:
    """Return w (1 - σ(±β (r - z))), (N,); + and w of the desirable. Ethayarajh 2024, section 4.1.

    *ratios* r (N,) are log-ratios, *desirable* (N,) bool, and *kl* z () is the KL divergence.
    """
    gain = spec.beta * (ratios - kl)
    losses = torch.sigmoid(torch.where(desirable, -gain, gain))
    return torch.where(desirable, spec.desirable_weight * losses, spec.undesirable_weight * losses)


def divergence(ratios: Tensor) -> Tensor:
    """Return the KL divergence () that log-ratios of mismatched completions (N,) estimate.

    Their mean, or 0 if it is below. It is biased; Ethayarajh 2024, section 4.1, says why it serves.
    """
    return ratios.detach().mean().clamp(min=0)


class Completions(NamedTuple):
    """What a loss is a function of: (N, 2) for pairs, the chosen before the rejected, else (N,)."""

    log_p: Tensor
    """Log-probability of each completion, in nats."""
    lengths: Tensor
    """Number of its tokens."""
    reference: Tensor | None = None
    """Its log-probability under the base."""
    desirable: Tensor | None = None
    """Whether it is labeled good, bool."""
    kl: Tensor | None = None
    """The KL divergence of the model from the base, (); None for pairs."""


class PreferenceObjective:
    """A loss of completions. A batch has two rows for each pair, or one without pairs."""

    def __init__(self, spec: Any) -> None:
        self.spec = spec
        self._shape = (-1, 2) if spec.PAIRED else (-1,)

    def weight(self, batch: Batch) -> float:
        """Return the number of pairs of *batch*, or without pairs of its completions."""
        return len(batch.inputs) / len(self._shape)

    def __call__(self, model: Any, batch: Batch) -> Loss:
        """Return the loss of *model* on *batch*."""
        given, shape = batch.given, self._shape
        reference, desirable, kl = (given.get(name) for name in (REFERENCE, DESIRABLE, KL))
        completions = Completions(
            log_p_of_rows(model, batch).view(shape),
            (batch.targets != IGNORED).sum(-1).view(shape),
            None if reference is None else reference.view(shape),
            None if desirable is None else desirable.view(shape),
            None if kl is None else kl[0],
        )
        return self.loss(completions)

    def loss(self, completions: Completions) -> Loss:
        """Return the loss of *completions*, and its figures."""
        raise NotImplementedError


class DPO(PreferenceObjective):
    """The mean of `dpo_loss` over pairs. Rafailov 2023, arXiv:2305.18290.

    The figure ``kl`` is the mean of log π_base - log π over both completions: the KL divergence of
    the base from the model, estimated without bias if completions were sampled from the base.
    """

    def loss(self, completions: Completions) -> Loss:
        """Return the loss of *completions* (N, 2), and its figures."""
        assert completions.reference is not None
        ratios = completions.log_p - completions.reference
        losses = dpo_loss(ratios, completions.lengths, self.spec)
        return Loss(losses.sum(), means={**_figures(self.spec.beta * ratios), "kl": _mean(-ratios)})


class ORPO(PreferenceObjective):
    """The mean of `orpo_loss` over pairs. Hong 2024, arXiv:2403.07691.

    The cross-entropy is that of the chosen completion, as in the paper; TRL adds that of its
    prompt, and averages over the tokens of a batch. The figure ``chosen_loss`` is this term.
    """

    def loss(self, completions: Completions) -> Loss:
        """Return the loss of *completions* (N, 2), and its figures."""
        losses = orpo_loss(completions.log_p, completions.lengths, self.spec)
        means = completions.log_p / completions.lengths
        figures = {**_figures(self.spec.beta * means), "chosen_loss": _mean(-means[:, 0])}
        return Loss(losses.sum(), means=figures)


class KTO(PreferenceObjective):
    """The mean of `kto_loss` over completions. Ethayarajh 2024, arXiv:2402.01306.

    The KL divergence is given with a batch: `divergence` of all mismatched completions of its step,
    so it does not matter how a step is divided. TRL estimates it for each forward pass.
    """

    def loss(self, completions: Completions) -> Loss:
        """Return the loss of *completions* (N,), and its figures."""
        log_p, _, reference, desirable, kl = completions
        assert reference is not None
        assert desirable is not None
        assert kl is not None
        ratios = log_p - reference
        losses = kto_loss(ratios, desirable, kl, self.spec)
        rewards = self.spec.beta * ratios.detach()
        gain = torch.where(desirable, 1, -1) * (ratios.detach() - kl)
        means = {
            "reward_chosen": _mean(rewards[desirable]),
            "reward_rejected": _mean(rewards[~desirable]),
            "preference_accuracy": _mean(_won(gain)),
            "kl": _mean(kl),
        }
        return Loss(losses.sum(), means=means)


def log_p_of_rows(model: Any, batch: Batch) -> Tensor:
    """Return the log-probability under *model* of the targets of each row of *batch*, (B,)."""
    sums: Tensor = model.likelihoods(batch).log_p.sum(-1)
    return sums


def _figures(rewards: Tensor) -> dict[str, Tensor]:
    """Return the figures of *rewards* (N, 2), those of the chosen completions first."""
    chosen, rejected = rewards.detach().unbind(-1)
    return {
        "reward_chosen": _mean(chosen),
        "reward_rejected": _mean(rejected),
        "margin": _mean(chosen - rejected),
        "preference_accuracy": _mean(_won(chosen - rejected)),
    }


def _won(margins: Tensor) -> Tensor:
    """Return 1 where a margin is above 0, 0 below, and 0.5 for a tie, as of the base itself."""
    return (margins.sign() + 1) / 2


def _mean(values: Tensor) -> Tensor:
    """Return the sum and the count of *values*, (2,), of which a step reports the mean."""
    values = values.detach()
    return torch.stack((values.sum(), values.new_tensor(values.numel())))
