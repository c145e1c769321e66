"""Figures of a classifier: confusion, precision and recall by class, loss and calibration.

They equal scikit-learn's. n: texts, C: classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gpt.data.labeled_rows import EncodedTexts
from gpt.evaluation.interval import Accuracy
from gpt.model.classifier import Classifier
from gpt.parallel.memory import fitting_in_memory
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World

BINS = 15
"""Bins of the calibration error (Guo 2017 has as many)."""
ROWS = 32
"""Texts of a batch of an evaluation, unless another number is asked for."""


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """How one class is predicted."""

    label: str
    precision: float
    """Fraction of the texts that are predicted to be of the class which are; 0 if none are."""
    recall: float
    """Fraction of the texts of the class that are predicted to be; 0 if there are none."""
    f1: float
    """Harmonic mean of precision and recall."""
    support: int
    """Number of texts of the class."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The texts whose predicted class has a probability above *low* and up to *high*."""

    low: float
    high: float
    texts: int
    confidence: float
    """Mean of these probabilities; 0 without texts."""
    accuracy: float
    """Fraction of the texts that are of the predicted class; 0 without texts."""


@dataclass(frozen=True, kw_only=True)
class ClassEvaluation:
    """The figures of a classifier on texts."""

    accuracy: Accuracy
    """Fraction of the texts whose predicted class is theirs, with its 95% interval."""
    loss: float
    """Mean negative log-probability of the right class, in nats."""
    by_class: tuple[ClassFigures, ...]
    macro_f1: float
    """Mean of F1 over the classes."""
    confusion: tuple[tuple[int, ...], ...]
    """Numbers of texts: a row for each class, a column for each predicted class."""
    calibration_error: float
    """Expected calibration error (Guo 2017, arXiv:1706.04599): the mean distance of confidence and
    accuracy in the bins, weighted by their texts."""
    bins: tuple[Bin, ...]

    @property
    def texts(self) -> int:
        """Number of texts."""
        return sum(map(sum, self.confusion))

    @property
    def figures(self) -> dict[str, float]:
        """The figures that a run records and can be scored by (`gpt.evaluation.score`)."""
        return {"accuracy": self.accuracy.rate, "loss": self.loss, "macro_f1": self.macro_f1}


def class_probabilities(
    model: Classifier,
    texts: EncodedTexts,
    *,
    runtime: Runtime,
    rows: int = ROWS,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.float64]:
    """Return the log-probabilities (n, C) of the classes of *texts*, *rows* texts at a time.

    *progress* is called after each batch with (tokens done, all tokens). The model's training mode
    is restored.
    """
    training = model.training
    model.eval()
    found = np.empty((len(texts), len(model.config.classes)))
    done, total = 0, texts.tokens
    fitting = fitting_in_memory("the texts of an evaluation", "use a smaller batch_size")
    try:
        with fitting, torch.inference_mode(), runtime.autocast():
            for indices, batch in texts.batches(rows):
                logits = model(batch.to(runtime.device))
                found[indices] = logits.double().log_softmax(-1).cpu().numpy()
                done += sum(len(texts.ids[index]) for index in indices)
                if progress is not None:
                    progress(done, total)
    finally:
        model.train(training)
    return found


def evaluate_classes(
    model: Classifier,
    texts: EncodedTexts,
    *,
    runtime: Runtime,
    rows: int = ROWS,
    world: World = ALONE,
    progress: Callable[[int, int], object] | None = None,
) -> ClassEvaluation:
    """Predict the classes of *texts*; arguments are those of `class_probabilities`.

    Each process of *world* predicts all of them, so that none waits for another.
    """
    found = class_probabilities(model, texts, runtime=runtime, rows=rows, progress=progress)
    return figures_of(found, texts.labels, model.config.classes)


def figures_of(
    log_probabilities: NDArray[np.float64], labels: NDArray[np.int64], classes: Sequence[str]
) -> ClassEvaluation:
    """Return the figures of *log_probabilities* (n, C) of texts of the classes *labels* (n,)."""
    predicted = log_probabilities.argmax(1)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    right = np.diagonal(confusion)
    by_class = tuple(
        ClassFigures(
            label=label,
            precision=_ratio(right[index], confusion[:, index].sum()),
            recall=_ratio(right[index], confusion[index].sum()),
            f1=_ratio(2 * right[index], confusion[index].sum() + confusion[:, index].sum()),
            support=int(confusion[index].sum()),
        )
        for index, label in enumerate(classes)
    )
    confidence = np.exp(log_probabilities.max(1))
    bins = calibration_bins(confidence, predicted == labels)
    error = sum(each.texts * abs(each.confidence - each.accuracy) for each in bins) / len(labels)
    return ClassEvaluation(
        accuracy=Accuracy.of(int(right.sum()), len(labels)),
        loss=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        by_class=by_class,
        macro_f1=float(np.mean([each.f1 for each in by_class])),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        calibration_error=float(error),
        bins=bins,
    )


def calibration_bins(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], bins: int = BINS
) -> tuple[Bin, ...]:
    """Return *bins* bins of equal widths of the *confidence* (n,) of predictions."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    numbers = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(numbers, minlength=bins)
    sums = np.bincount(numbers, confidence, bins)
    rights = np.bincount(numbers, is_right, bins)
    return tuple(
        Bin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            texts=int(counts[index]),
            confidence=_ratio(sums[index], counts[index]),
            accuracy=_ratio(rights[index], counts[index]),
        )
        for index in range(bins)
    )


def _ratio(part: float, whole: float) -> float:
    """Return *part* / *whole*; 0 without a whole."""
    return float(part / whole) if whole else 0.0
