"""The figures of a classifier as text: by class, the confusion matrix, and the calibration."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from gpt.data.json_files import parse_json
from gpt.evaluation.classes import ClassEvaluation
from gpt.report.calibration import plot_calibration
from gpt.spec.serialize import from_dict
from pytok.atomic import replace_file
from pytok.counted import counted
from pytok.text import cut

FILE, PLOT = "classification.json", "calibration.png"
"""The figures of a finished run and their plot, in its folder."""

MOST_COLUMNS = 12
"""Classes up to which the confusion matrix is printed; JSON has any."""


def write_evaluation(run: Path, split: str, evaluation: ClassEvaluation) -> None:
    """Write *evaluation*, of *split*, and its plot to the folder *run*."""
    document = {"split": split, "evaluation": dataclasses.asdict(evaluation)}
    replace_file(run / FILE, (json.dumps(document, indent=2) + "\n").encode())
    plot_calibration(evaluation, run / PLOT)


def read_evaluation(run: Path) -> tuple[str, ClassEvaluation] | None:
    """Return what `write_evaluation` wrote; None without a file."""
    if not (run / FILE).exists():
        return None
    document = parse_json((run / FILE).read_bytes())
    return document["split"], from_dict(ClassEvaluation, document["evaluation"], FILE)


def headline(evaluation: ClassEvaluation) -> str:
    """Return accuracy, loss and calibration error in one line."""
    accuracy = evaluation.accuracy
    return (
        f"{accuracy.rate:.4f} accuracy (95%: {accuracy.low:.4f} to {accuracy.high:.4f}), "
        f"{evaluation.loss:.4f} nats per text, calibration error "
        f"{evaluation.calibration_error:.4f}"
    )


def class_lines(evaluation: ClassEvaluation) -> list[str]:
    """Return the lines of all figures."""
    lines = [
        f"{counted(evaluation.texts, 'text')}: {headline(evaluation)}",
        "",
        *table(("class", "precision", "recall", "F1", "texts"), class_rows(evaluation)),
    ]
    labels = [cut(each.label, 18) for each in evaluation.by_class]
    if len(labels) <= MOST_COLUMNS:
        counts = [
            (label, *(f"{count:,}" for count in row))
            for label, row in zip(labels, evaluation.confusion, strict=True)
        ]
        lines += ["", *table(("class \\ predicted", *labels), counts)]
    heads = ("probability", "texts", "mean", "right")
    return [*lines, "", *table(heads, calibration_rows(evaluation))]


def class_rows(evaluation: ClassEvaluation) -> list[tuple[str, ...]]:
    """Return label, precision, recall, F1 and number of texts of each class, and the means."""
    rows = [
        (cut(each.label, 30), each.precision, each.recall, each.f1, each.support)
        for each in evaluation.by_class
    ]
    means = [sum(row[index] for row in rows) / len(rows) for index in (1, 2, 3)]  # type: ignore[misc]
    named = [*rows, ("mean of classes", *means, evaluation.texts)]
    return [
        (str(label), *(f"{figure:.4f}" for figure in figures), f"{texts:,}")
        for label, *figures, texts in named
    ]


def calibration_rows(evaluation: ClassEvaluation) -> list[tuple[str, ...]]:
    """Return range, number of texts, confidence and accuracy of the bins that have texts."""
    return [
        (
            f"{each.low:.3f} to {each.high:.3f}",
            f"{each.texts:,}",
            f"{each.confidence:.4f}",
            f"{each.accuracy:.4f}",
        )
        for each in evaluation.bins
        if each.texts
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return *rows* below *heads* in columns, the first of them to the left."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (heads, *rows)
    ]
