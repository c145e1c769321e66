"""A picture of a classifier's figures: how far its probabilities can be trusted, and its confusion.

On the left the reliability diagram (Guo 2017, arXiv:1706.04599): in each bin of confidence the
fraction of right predictions, which is on the diagonal if probabilities are right, and below it the
number of texts. On the right the confusion matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gpt.evaluation.classes import Bin, ClassEvaluation
from gpt.report.plot import COLORS, GRAY, save_figure
from pytok.text import cut

MOST_NAMED = 20
"""Classes up to which the confusion matrix has their labels and its numbers."""


def plot_calibration(evaluation: ClassEvaluation, path: Path) -> None:
    """Draw *evaluation* into *path*, complete or not at all.

    Its suffix, one of `gpt.report.plot.FORMATS`, is the format. Raises ConfigError for another one.
    """
    save_figure(lambda: draw_calibration(evaluation), path)


def draw_calibration(evaluation: ClassEvaluation) -> Figure:
    """Draw the reliability diagram and the confusion matrix of *evaluation*."""
    with rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 5.5), layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=(4, 1))
        reliability = figure.add_subplot(grid[0, 0])
        _draw_reliability(reliability, evaluation)
        _draw_counts(figure.add_subplot(grid[1, 0], sharex=reliability), evaluation.bins)
        _draw_confusion(figure.add_subplot(grid[:, 1]), evaluation)
    FigureCanvasAgg(figure)
    return figure


def _draw_reliability(axes: Axes, evaluation: ClassEvaluation) -> None:
    """Draw the accuracy of each bin over its confidence, and the diagonal."""
    filled = [each for each in evaluation.bins if each.texts]
    axes.bar(
        [each.low for each in filled],
        [each.accuracy for each in filled],
        [each.high - each.low for each in filled],
        align="edge",
        color=COLORS[5],
        edgecolor="white",
        label="accuracy of the bin",
    )
    axes.plot(
        [each.confidence for each in filled],
        [each.accuracy for each in filled],
        color=COLORS[0],
        marker="o",
        markersize=4,
        label="at its mean confidence",
    )
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle=":", label="perfect calibration")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("fraction that is right")
    axes.set_title(
        f"accuracy {evaluation.accuracy.rate:.4f}, expected calibration error "
        f"{evaluation.calibration_error:.4f}",
        fontsize=10,
    )
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    axes.tick_params(labelbottom=False)


def _draw_counts(axes: Axes, bins: Sequence[Bin]) -> None:
    """Draw the number of texts of each bin."""
    widths = [each.high - each.low for each in bins]
    axes.bar(
        [each.low for each in bins],
        [each.texts for each in bins],
        widths,
        align="edge",
        color=GRAY,
        edgecolor="white",
    )
    axes.set_xlabel("probability of the predicted class")
    axes.set_ylabel("texts")


def _draw_confusion(axes: Axes, evaluation: ClassEvaluation) -> None:
    """Draw the confusion matrix: a color by the fraction of the texts of a class, and numbers."""
    counts = evaluation.confusion
    rates = [[count / max(1, sum(row)) for count in row] for row in counts]
    axes.imshow(rates, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("class")
    axes.spines[:].set_visible(False)
    if len(counts) > MOST_NAMED:
        return
    # Names can be of any script and length, and a $ in them is no formula.
    names = [cut(each.label, 18).replace("$", r"\$") for each in evaluation.by_class]
    axes.set_xticks(range(len(names)), names, rotation=0 if len(names) < 5 else 45, ha="center")
    axes.set_yticks(range(len(names)), names)
    for row, values in enumerate(counts):
        for column, count in enumerate(values):
            color = "white" if rates[row][column] > 0.5 else "black"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=color)
