"""Prediction of the next token: as an objective, and as a measurement."""

from __future__ import annotations

from gpt.data.batch import Batch
from gpt.model.language_model import LanguageModel
from gpt.model.model import Model
from gpt.model.objectives.loss import Loss
from gpt.spec import objective


class CrossEntropy:
    """-Σ log p(target), summed over the targets, in nats.

    With label smoothing ε: -Σ (1 - ε) log p(target) + ε mean(log p). Szegedy 2015,
    arXiv:1512.00567. An auxiliary loss of the model counts once for each target.
    """

    def __init__(self, spec: objective.CrossEntropy) -> None:
        self.smoothing = spec.label_smoothing

    def weight(self, batch: Batch) -> float:
        """Return the number of targets of *batch*."""
        return batch.num_targets

    def __call__(self, model: Model, batch: Batch) -> Loss:
        """Return the loss of *model* on *batch*."""
        nats, auxiliary = model.cross_entropy(batch, self.smoothing)
        if auxiliary is not None:
            nats = nats + auxiliary * (batch.targets >= 0).sum()
        return Loss(nats)


def measure(model: LanguageModel | Model, batch: Batch) -> Loss:
    """Return the cross-entropy of *model* on *batch*, without gradients.

    Its figures are ``hits``, the number of targets to which no token is preferred, and ``nats_at``,
    the sum for each position of the rows, (T,).
    """
    losses = model.token_losses(batch)
    nats_at = losses.nats.view(batch.targets.shape).sum(0)
    return Loss(losses.nats.sum(), {"hits": losses.hits.sum(), "nats_at": nats_at})
