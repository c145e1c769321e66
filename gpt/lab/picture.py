"""The picture of an experiment, as SVG: panels of bars, lines, points or a grid."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from gpt.lab import statistics
from gpt.lab.experiment import Bars, Experiment, Grid, Lines, Panel, Points
from gpt.lab.results import PartResults, Results
from gpt.report.plot import COLORS, GRAY

Looks: TypeAlias = Mapping[str, tuple[str, str]]
"""The color and the marker of each arm."""
STYLE: Any = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.size": 11,
    "svg.fonttype": "none",
    "svg.hashsalt": "pytok lab",  # ids of elements are random without it
}
WIDTH, HEIGHT = 8.0, 4.0
"""Inches of a panel; several have two thirds of the width each."""
ROW = 0.34
"""Inches of a row of bars, or of a grid."""
MARKERS = "osD^vPX*"
MOST_INSIDE, MOST_TICKS = 4, 8
"""Lines whose names are inside the axes, and lengths that are all ticks."""
TINTS = (*COLORS, "#882255", "#44AA99")
"""Colors of arms: those of plots, and two of Paul Tol's."""
VALUE_TICKS = 6
"""Most ticks on the x axis of bars and points, so that numbers such as 0.0125 do not touch."""
FEW_DECADES = 2.5
"""Decades up to which ticks have names such as 200 and 0.05, not powers of ten."""


def picture(experiment: Experiment, results: Results) -> str:
    """Draw the panels of *experiment*; the same results give the same SVG, in one matplotlib."""
    panels = experiment.panels
    width = WIDTH if len(panels) == 1 else WIDTH * 2 / 3 * len(panels)
    height = max(_height(panel, results[panel.part]) for panel in panels)
    with matplotlib.rc_context(STYLE):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        columns = canvas.subplots(1, len(panels), squeeze=False)[0]
        for panel, axes in zip(panels, columns, strict=True):
            DRAW[type(panel)](axes, results[panel.part], panel, _looks(experiment, panel.part))
        file = io.StringIO()
        canvas.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _height(panel: Panel, part: PartResults) -> float:
    """Return the height in inches: many rows need more."""
    rows = len(_arms(panel, part)) if isinstance(panel, Bars | Grid) else 0
    return max(HEIGHT, 1.2 + ROW * rows)


def _arms(panel: Panel, part: PartResults) -> list[str]:
    return list(panel.arms or part.part.arms)


def _looks(experiment: Experiment, part: str) -> Looks:
    """Return the color and the marker of each arm of *part*: no two of 64 are alike.

    They are the same in all panels, but that the baseline of a part, its first arm, is gray.
    """
    named = [arm for panel in experiment.panels for arm in _colored(panel, experiment)]
    order = {arm: index for index, arm in enumerate(dict.fromkeys(named))}
    arms = experiment.part(part).arms
    looks = {}
    for arm in arms:
        index = order.get(arm, len(order))
        color = GRAY if arm == arms[0] and len(arms) > 1 else TINTS[index % len(TINTS)]
        looks[arm] = color, MARKERS[(index // len(TINTS) + index) % len(MARKERS)]
    return looks


def _colored(panel: Panel, experiment: Experiment) -> list[str]:
    """Return the arms of *panel* but the baseline of its part, if there are others."""
    arms = experiment.part(panel.part).arms
    return [arm for arm in panel.arms or arms if arm != arms[0]] or [arms[0]]


def _draw_bars(axes: Axes, part: PartResults, panel: Bars, looks: Looks) -> None:
    """Draw a row for each arm: its mean with the interval, and a dot for each seed."""
    arms = _arms(panel, part)
    for row, arm in enumerate(arms):
        values = part.values(arm, panel.figure)
        color, _ = looks[arm]
        estimate = statistics.mean(values)
        if len(values) > 1:
            axes.plot([estimate.low, estimate.high], [row, row], color=color, linewidth=2)
        axes.plot(values, [row] * len(values), ".", color=color, alpha=0.5, markersize=5)
        axes.plot([estimate.value], [row], "o", color=color, markersize=7)
    axes.set_yticks(range(len(arms)), arms)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=VALUE_TICKS)
    axes.set(xlabel=panel.label)
    _scale(axes, panel)


def _draw_lines(axes: Axes, part: PartResults, panel: Lines, looks: Looks) -> None:
    """Draw a line for each arm, with the range of its seeds if there are several."""
    for arm in _arms(panel, part):
        color, marker = looks[arm]
        xs, ys = part.series(arm, panel.x), part.series(arm, panel.y)
        marked = marker if len(xs) <= 16 else ""
        axes.plot(xs, ys, color=color, label=arm, marker=marked, markersize=4)
        seeds = list(zip(*part.by_seed(arm, panel.y), strict=False))
        if len(seeds[0]) > 1:
            low, high = [min(each) for each in seeds], [max(each) for each in seeds]
            axes.fill_between(xs, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
    _name_arms(axes, len(_arms(panel, part)))
    _scale(axes, panel)
    xs = part.series(_arms(panel, part)[0], panel.x)
    if "x" in panel.log and len(xs) <= MOST_TICKS:  # lengths such as 512, 1024, 2048
        axes.set_xticks(xs, minor=False)


def _draw_points(axes: Axes, part: PartResults, panel: Points, looks: Looks) -> None:
    """Draw a point for each arm, with its name."""
    for arm in _arms(panel, part):
        color, marker = looks[arm]
        x = statistics.mean(part.values(arm, panel.x)).value
        y = statistics.mean(part.values(arm, panel.y))
        axes.plot([x], [y.value], marker, color=color, markersize=7, label=arm)
        if math.isfinite(y.low):
            axes.plot([x, x], [y.low, y.high], color=color, linewidth=1.5)
    axes.locator_params(axis="x", nbins=VALUE_TICKS)
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
    _name_arms(axes, 0)
    _scale(axes, panel)


def _draw_grid(axes: Axes, part: PartResults, panel: Grid, looks: Looks) -> None:
    """Draw a table whose cells are colored by their values."""
    arms, figures = _arms(panel, part), list(panel.figures.values())
    cells = np.array(
        [[statistics.mean(part.values(arm, figure)).value for figure in figures] for arm in arms]
    )
    axes.imshow(cells, cmap="Blues", aspect="auto")
    middle = (np.nanmin(cells) + np.nanmax(cells)) / 2
    for row, column in np.ndindex(cells.shape):
        color = "white" if cells[row, column] > middle else "black"
        axes.text(column, row, f"{cells[row, column]:.2f}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(figures)), list(panel.figures))
    axes.set_yticks(range(len(arms)), arms)
    axes.set(xlabel=panel.label)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _name_arms(axes: Axes, lines: int) -> None:
    """Draw the legend: inside, where there is space, of a few *lines*, otherwise beside."""
    if 0 < lines <= MOST_INSIDE:
        axes.legend(frameon=False)
    else:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)


def _scale(axes: Axes, panel: Panel) -> None:
    """Set log scales with ticks at 1, 2 and 5: a decade is more than some axes have."""
    for name in panel.log:
        axes.set(**{f"{name}scale": "log"})
        axis = axes.xaxis if name == "x" else axes.yaxis
        low, high = axis.get_view_interval()
        decades = math.log10(high / low) if low > 0 else 1.0
        subs = (1.0, 2.0, 5.0) if decades < FEW_DECADES else (1.0,)
        axis.set_major_locator(LogLocator(subs=subs))
        if decades < FEW_DECADES:
            axis.set_major_formatter(FuncFormatter(_short))
        axis.set_minor_locator(NullLocator())


def _short(value: float, _: int) -> str:
    """Return the name of a tick: from 10k on in thousands, which neighbors leave room for."""
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


DRAW: dict[type[Panel], Callable[[Axes, PartResults, Any, Looks], None]] = {
    Bars: _draw_bars,
    Lines: _draw_lines,
    Points: _draw_points,
    Grid: _draw_grid,
}
