"""Figures of classifiers equal scikit-learn's."""

import numpy as np
import pytest
import sklearn.calibration
import sklearn.metrics
from numpy.typing import NDArray

from gpt.evaluation.classes import calibration_bins, figures_of


def sampled(
    classes: int, count: int = 400, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Log-probabilities (n, C), and labels that follow them about."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(count, classes))
    found = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    softer = np.exp(logits / 2) / np.exp(logits / 2).sum(1, keepdims=True)
    return found, np.array([rng.choice(classes, p=row) for row in softer])


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_figures_by_class_are_those_of_scikit_learn(classes: int) -> None:
    """Precision, recall, F1, support, their means, the confusion matrix, accuracy and loss."""
    found, labels = sampled(classes)
    labels[labels == 1] = 0  # a class without texts
    predicted, names = found.argmax(1), tuple("abcdefg"[:classes])
    every = list(range(classes))

    ours = figures_of(found, labels, names)

    each = sklearn.metrics.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    rows = [(c.precision, c.recall, c.f1, c.support) for c in ours.by_class]
    np.testing.assert_allclose(rows, np.array(each).T)
    confusion = sklearn.metrics.confusion_matrix(labels, predicted, labels=every)
    np.testing.assert_array_equal(ours.confusion, confusion)
    assert ours.accuracy.rate == sklearn.metrics.accuracy_score(labels, predicted)
    macro = sklearn.metrics.f1_score(
        labels, predicted, labels=every, average="macro", zero_division=0
    )
    assert ours.macro_f1 == pytest.approx(macro)
    loss = sklearn.metrics.log_loss(labels, np.exp(found), labels=every)
    assert ours.loss == pytest.approx(loss)
    assert ours.texts == len(labels)


@pytest.mark.parametrize("bins", [5, 15])
def test_bins_are_those_of_scikit_learn(bins: int) -> None:
    """Mean confidence and accuracy of each bin that has a text."""
    found, labels = sampled(3)
    confidence, is_right = np.exp(found.max(1)), found.argmax(1) == labels

    ours = [each for each in calibration_bins(confidence, is_right, bins) if each.texts]

    right, mean = sklearn.calibration.calibration_curve(is_right, confidence, n_bins=bins)
    np.testing.assert_allclose([each.accuracy for each in ours], right)
    np.testing.assert_allclose([each.confidence for each in ours], mean)


def test_the_calibration_error_is_the_weighted_distance_of_the_bins() -> None:
    """Guo 2017, formula 3."""
    found, labels = sampled(4)

    ours = figures_of(found, labels, ("a", "b", "c", "d"))

    distances = [each.texts * abs(each.accuracy - each.confidence) for each in ours.bins]
    assert ours.calibration_error == pytest.approx(sum(distances) / len(labels))
    assert sum(each.texts for each in ours.bins) == len(labels)


def test_certain_predictions_are_in_the_last_bin() -> None:
    """A confidence of 1 is no index past the end."""
    bins = calibration_bins(np.array([1.0, 1.0]), np.array([True, False]))

    assert (bins[-1].texts, bins[-1].confidence, bins[-1].accuracy) == (2, 1.0, 0.5)
