"""Loss curves of one or more runs.

One run has a large panel of its score over steps, with the time above, and a small one of learning
rate and gradient norm. Several runs are drawn over each other, over time and over tokens.
Validation is a strong line with a marker at each evaluation, the best one a star; training is a
thin, smoothed line in the same color. The colors are those of Okabe and Ito (2008), which are
distinguishable with any color vision; from the ninth run on they repeat, dashed.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter
from numpy.typing import ArrayLike, NDArray

from gpt.errors import ConfigError
from gpt.report.curves import BITS, History, Measure
from gpt.runs.metrics import Row
from pytok.atomic import replace_file

COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#A89F00"),  # Okabe and Ito's yellow is too pale on white
)
GRAY = "#6b6b6b"
FORMATS = ("png", "svg", "pdf")
"""Suffixes of files that can be written."""
RANGE = 5.0
"""Ratio of the greatest to the least value from which an axis of losses is logarithmic."""
LEGEND_WIDTH = 140
"""Characters of a line of the legend, about."""


@dataclass(frozen=True)
class XAxis:
    """The horizontal axis of a column of panels."""

    label: str
    value: Callable[[Row], float]
    log: bool


TIME = XAxis("seconds of training", lambda row: row.seconds, log=False)
TOKENS = XAxis("tokens, log scale", lambda row: row.tokens, log=True)
STEPS = XAxis("steps", lambda row: row.step, log=False)
"""Loss falls roughly as a power of tokens (Kaplan 2020, arXiv:2001.08361), so their scale is
logarithmic where runs are compared."""


def write_plot(run: Path) -> Path:
    """Plot metrics.jsonl of *run* as loss.png beside it; return its path."""
    path = run / "loss.png"
    plot_runs([run], path)
    return path


def plot_runs(runs: Sequence[Path], path: Path) -> None:
    """Plot the folders *runs* into *path*; see `draw_runs` and `save_figure`."""
    save_figure(lambda: draw_runs(runs), path)


def save_figure(draw: Callable[[], Figure], path: Path) -> None:
    """Write the figure that *draw* returns to *path*, complete or not at all.

    Its suffix, one of `FORMATS`, is the format. Raises ConfigError for another one.
    """
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in FORMATS:
        raise ConfigError(f"{path}: name it .{', .'.join(FORMATS[:-1])} or .{FORMATS[-1]}")
    picture = io.BytesIO()
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": "pytok", "svg.fonttype": "none"}):
        # A name can be of a script that the font lacks; its letters are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix)
        draw().savefig(picture, format=suffix, dpi=130, metadata=metadata)
    replace_file(path, picture.getvalue())


def draw_runs(runs: Sequence[Path]) -> Figure:
    """Plot the folders *runs*.

    Raises ConfigError if *runs* is empty, and DataError for a run without metrics.
    """
    if not runs:
        raise ConfigError("no run to plot; pass the folder of one or more runs")
    histories = [History(run) for run in runs]
    with rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = _draw_one(histories[0]) if len(runs) == 1 else _draw_several(histories)
    FigureCanvasAgg(figure)
    return figure


def _draw_one(history: History) -> Figure:
    """Draw a run: a panel for each of its measures over steps, and one of its optimizer."""
    measures, rows = history.measures, history.rows
    figure = Figure(figsize=(9, 2 + 4 * len(measures)), layout="constrained")
    ratios = [4.0] * len(measures) + [1.3]
    *panels, optimizer = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    for measure, axes in zip(measures, panels, strict=True):
        _draw(axes, history, measure, STEPS, _style(0))
        _mark_best(axes, history, measure)
        _set_limits(axes, [history], measure, beyond=history.baselines(measure))
    _draw_optimizer(optimizer, rows)
    optimizer.set_xlabel(STEPS.label)
    optimizer.set_xlim(0, rows[-1].step * 1.02)
    optimizer.xaxis.set_major_locator(MaxNLocator(integer=True))
    optimizer.xaxis.set_major_formatter(EngFormatter(sep=""))
    _add_time(panels[0], rows)
    _add_legend(figure, [*_labels([history]), *_kinds()])
    if measures[0].training is not None:
        reasons = history.remarks()
        text = f"The training loss {', '.join(reasons)}; so it can lie above validation."
        figure.supxlabel(text, fontsize=8, color=GRAY)
    return figure


def _draw_several(histories: Sequence[History]) -> Figure:
    """Draw runs over each other: a row of panels for each of their measures, over time, tokens."""
    measures = list(dict.fromkeys(each for history in histories for each in history.measures))
    columns = (TIME, TOKENS)
    figure = Figure(figsize=(13, 1 + 4.5 * len(measures)), layout="constrained")
    grid = figure.subplots(len(measures), len(columns), sharex="col", sharey="row", squeeze=False)
    for measure, line in zip(measures, grid, strict=True):
        for x_axis, axes in zip(columns, line, strict=True):
            for number, history in enumerate(histories):
                _draw(axes, history, measure, x_axis, _style(number))
        _set_limits(line[0], histories, measure)
        line[1].set_ylabel("")
    for x_axis, axes in zip(columns, grid[-1], strict=True):
        _scale(axes, x_axis, histories)
    _add_legend(figure, [*_labels(histories), *_kinds()])
    return figure


def _draw(
    axes: Axes, history: History, measure: Measure, x_axis: XAxis, style: dict[str, Any]
) -> None:
    """Draw training and validation of a run."""
    training = history.training(measure)
    axes.plot(
        [x_axis.value(row) for row, _ in training],
        [value for _, value in training],
        linewidth=1,
        alpha=0.55,
        marker="." if len(training) < 3 else "",
        **style,
    )
    evaluations = history.evaluations(measure.name)
    axes.plot(
        [x_axis.value(row) for row, _ in evaluations],
        [value for _, value in evaluations],
        linewidth=2,
        marker="o",
        markersize=3.5,
        **style,
    )
    best = history.best(measure.name)
    if best is not None:
        axes.plot(x_axis.value(best[0]), best[1], marker="*", markersize=11, **style)
    axes.set_ylabel(measure.label)
    axes.grid(alpha=0.3)


def _mark_best(axes: Axes, history: History, measure: Measure) -> None:
    """Name the best evaluation beside its star, on the side where no line is."""
    best = history.best(measure.name)
    if best is None:
        return
    row, value = best
    is_late = row.step > history.rows[-1].step / 2
    training = [loss for other, loss in history.training(measure) if other.step == row.step]
    is_below = bool(training) and training[0] > value
    axes.annotate(
        f"best: {value:.4f} at step {row.step:,}",
        (row.step, value),
        xytext=(-10 if is_late else 10, -9 if is_below else 9),
        textcoords="offset points",
        ha="right" if is_late else "left",
        va="top" if is_below else "bottom",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
    )


def _set_limits(
    axes: Axes,
    histories: Sequence[History],
    measure: Measure,
    beyond: dict[str, float] | None = None,
) -> None:
    """Set the range of all that is drawn, with a margin; draw the levels *beyond* it holds.

    Those above it are named at its upper edge.
    """
    values = [
        value
        for history in histories
        for _, value in (*history.training(measure), *history.evaluations(measure.name))
    ] or [0.0, 1.0]  # a score, before its first evaluation
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 0.1
    if low > 0 and high > RANGE * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(low / 1.3, high * 1.1)
    else:
        axes.set_ylim(low - 2 * margin, high + margin)  # room for a text below the best point
    bottom, top = axes.get_ylim()
    above = []
    for name, level in (beyond or {}).items():
        if level > top:
            above.append(f"{name} {level:.2f}")
        elif level > bottom:
            axes.axhline(level, color=GRAY, linewidth=1, linestyle=":", zorder=0)
            axes.annotate(
                f"{name} {level:.2f}",
                (1, level),
                xycoords=("axes fraction", "data"),
                xytext=(-2, 2),
                textcoords="offset points",
                ha="right",
                color=GRAY,
                fontsize=8,
            )
    if above:
        axes.text(
            *(0.995, 0.99, "above: " + ", ".join(above)),
            transform=axes.transAxes,
            ha="right",
            va="top",
            color=GRAY,
            fontsize=8,
        )


def _draw_optimizer(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw the learning rate, and the norms of the gradients if there are any."""
    marker = "." if len(rows) < 3 else ""
    steps = [row.step for row in rows]
    color, other = COLORS[2], COLORS[1]
    axes.plot(steps, [row.lr for row in rows], color=color, linewidth=1.5, marker=marker)
    axes.set_ylim(0, max(row.lr for row in rows) * 1.08 or 1.0)
    axes.set_ylabel("learning rate", color=color, fontsize=9)
    axes.tick_params(axis="y", labelcolor=color, labelsize=8)
    axes.grid(alpha=0.3)
    norms = [(row.step, row.gradient_norm) for row in rows if row.gradient_norm]
    if norms:
        twin = axes.twinx()
        twin.spines["right"].set_visible(True)
        twin.plot(*zip(*norms, strict=True), color=other, linewidth=0.8, alpha=0.7, marker=marker)
        twin.set_yscale("log")
        twin.set_ylabel("gradient norm", color=other, fontsize=9)
        twin.tick_params(axis="y", which="both", labelcolor=other, labelsize=8)
        twin.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        twin.yaxis.set_major_formatter(EngFormatter(sep=""))
        twin.yaxis.set_minor_formatter(NullFormatter())


def _add_time(axes: Axes, rows: Sequence[Row]) -> None:
    """Add the training time as an axis above *axes*, whose own is that of steps."""
    last = rows[-1]
    per, unit = next(
        (per, unit)
        for per, unit in ((1.0, "seconds"), (60.0, "minutes"), (3600.0, "hours"))
        if last.seconds < 600 * per or unit == "hours"
    )
    # From the first step on, and beyond the last at the mean speed.
    steps = np.array([0.0, *(row.step for row in rows), 2.0 * last.step])
    times = np.array([0.0, *(row.seconds for row in rows), 2.0 * last.seconds]) / per
    times = np.maximum.accumulate(times) + 1e-9 * steps  # strictly rising

    def to_time(x: ArrayLike) -> NDArray[np.float64]:
        times_of: NDArray[np.float64] = np.interp(np.asarray(x, float), steps, times)
        return times_of

    def to_step(x: ArrayLike) -> NDArray[np.float64]:
        steps_of: NDArray[np.float64] = np.interp(np.asarray(x, float), times, steps)
        return steps_of

    above = axes.secondary_xaxis("top", functions=(to_time, to_step))
    above.set_xlabel(f"{unit} of training", fontsize=9)
    above.tick_params(labelsize=8)


def _scale(axes: Axes, x_axis: XAxis, histories: Sequence[History]) -> None:
    """Set the horizontal axis, from where losses are drawn to the end."""
    ends = [x_axis.value(history.rows[-1]) for history in histories]
    last = max(ends)
    axes.set_xlabel(x_axis.label)
    if x_axis.log:
        drawn = [history.training(each)[0][0] for history in histories for each in (BITS,)]
        first = max(1.0, min(x_axis.value(row) for row in drawn))
        axes.set_xscale("log")
        axes.set_xlim(min(first, last / 2), last * 1.1)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, last * 1.02)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _style(number: int) -> dict[str, Any]:
    """Return color and dashes of run *number*, from 0."""
    cycle, color = divmod(number, len(COLORS))
    return {"color": COLORS[color], "linestyle": ("-", "--", ":")[cycle % 3]}


def _labels(histories: Sequence[History]) -> list[Line2D]:
    """Return a legend entry for each run: its name and its best evaluation."""
    names = [history.run.resolve().name for history in histories]
    labels = []
    for name, history in zip(names, histories, strict=True):
        label = name if names.count(name) == 1 else str(history.run)
        score = history.score
        best = history.best(score.name)
        if best is not None:
            label += f" ({best[1]:.4f} {score.short})"
        # Names of folders need not be UTF-8, and drawing takes nothing else.
        labels.append(label.encode(errors="backslashreplace").decode())
    return [Line2D([], [], linewidth=2, label=each, **_style(n)) for n, each in enumerate(labels)]


def _kinds() -> list[Line2D]:
    """Return the legend entries for validation, the best of it, and training."""
    dots = {"color": GRAY, "marker": "o", "markersize": 3.5}
    star = {"color": GRAY, "marker": "*", "markersize": 11}
    return [
        Line2D([], [], linewidth=2, label="validation", **dots),  # type: ignore[arg-type]
        Line2D([], [], linewidth=0, label="best", **star),  # type: ignore[arg-type]
        Line2D([], [], color=GRAY, linewidth=1, alpha=0.55, label="training, running mean"),
    ]


def _add_legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Put the legend above the panels, in as many columns as fit."""
    lengths = [len(str(each.get_label())) + 6 for each in handles]
    width = LEGEND_WIDTH * figure.get_figwidth() / 13
    columns = len(handles) if sum(lengths) <= width else int(width / max(lengths))
    legend = figure.legend(
        handles=list(handles),
        loc="outside upper center",
        ncols=max(1, columns),
        frameon=False,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name can contain a $
