"""The picture of an experiment, as SVG: bars or lines with what each seed has given."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import ScalarFormatter

from gpt.lab import statistics
from gpt.lab.experiment import Experiment, Figure
from gpt.lab.results import PartResults, Results
from gpt.report.plot import COLORS, GRAY

STYLE: Any = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.size": 11,
    "svg.fonttype": "none",
    "svg.hashsalt": "pytok lab",  # ids of elements are random without it
}


def picture(experiment: Experiment, results: Results) -> str:
    """Draw the figure of *experiment*; the same results give the same SVG, under one matplotlib."""
    spec, part = experiment.figure, results[experiment.figure.part]
    with matplotlib.rc_context(STYLE):
        canvas = Canvas(figsize=(8, 4), layout="constrained")
        axes = canvas.subplots()
        if spec.x:
            _draw_lines(axes, part, spec)
        else:
            _draw_bars(axes, part, spec)
        file = io.StringIO()
        canvas.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _draw_lines(axes: Axes, part: PartResults, spec: Figure) -> None:
    """Draw a line for each arm."""
    for arm, color in zip(part.part.arms, COLORS, strict=False):
        xs, ys = part.series(arm, spec.x), part.series(arm, spec.y)
        axes.plot(xs, ys, "o-", color=color, markersize=4, label=arm)
    axes.set(xlabel=spec.x_label, ylabel=spec.y_label)
    axes.legend(frameon=False)
    for name in spec.log:
        axes.set(**{f"{name}scale": "log"})
    if "x" in spec.log:  # decades say little of lengths such as 512, 1024, 2048
        axes.set_xticks(part.series(part.part.arms[0], spec.x), minor=False)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.minorticks_off()


def _draw_bars(axes: Axes, part: PartResults, spec: Figure) -> None:
    """Draw a row for each arm: its mean with the interval, and a dot for each seed."""
    arms = part.part.arms
    for row, arm in enumerate(arms):
        values = part.values(arm, spec.y)
        color = COLORS[0] if row else GRAY  # the baseline is first
        estimate = statistics.mean(values)
        if len(values) > 1:
            axes.plot([estimate.low, estimate.high], [row, row], color=color, linewidth=2)
        axes.plot(values, [row] * len(values), ".", color=color, alpha=0.5, markersize=5)
        axes.plot([estimate.value], [row], "o", color=color, markersize=7)
    axes.set_yticks(range(len(arms)), arms)
    axes.invert_yaxis()
    axes.set(xlabel=spec.y_label, xscale="log" if "y" in spec.log else "linear")
