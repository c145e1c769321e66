"""Prediction of classes: the cross-entropy of the class of each text."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gpt.data.batch import Batch
from gpt.data.labeled_rows import LABELS
from gpt.model.classifier import Classifier
from gpt.model.objectives.loss import Loss
from gpt.spec import objective


class ClassCrossEntropy:
    """-Σ w_y log p(y), summed over the texts, y being the class of a text and w its weight.

    It is to be divided by Σ w_y, as the mean of torch's cross_entropy is, also with label
    smoothing. An auxiliary loss of the model counts once for each weight of 1. A figure of a step
    is the ``accuracy``.
    """

    def __init__(self, spec: objective.ClassCrossEntropy) -> None:
        self.smoothing = spec.label_smoothing
        self.weights = torch.tensor(spec.class_weights) if spec.class_weights else None

    def weight(self, batch: Batch) -> float:
        """Return the sum of the weights of the texts of *batch*."""
        labels = batch.given[LABELS]
        return float(len(labels) if self.weights is None else self.weights[labels].sum())

    def __call__(self, model: Classifier, batch: Batch) -> Loss:
        """Return the loss of *model* on *batch*."""
        logits, auxiliary = model.class_logits(batch)
        labels = batch.given[LABELS]
        weights = None if self.weights is None else self.weights.to(logits.device, logits.dtype)
        nats = F.cross_entropy(
            logits, labels, weights, reduction="sum", label_smoothing=self.smoothing
        )
        if auxiliary is not None:
            texts = len(labels) if weights is None else weights[labels].sum()
            nats = nats + auxiliary * texts
        hits = (logits.detach().argmax(-1) == labels).float()
        count = torch.full_like(nats.detach(), len(labels))
        return Loss(nats, means={"accuracy": torch.stack((hits.sum(), count))})
