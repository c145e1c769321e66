"""Loss curves of one or more runs over seconds, tokens and steps.

Validation is a strong line with a marker at each evaluation; training is a thin, smoothed line
behind it in the same color. The colors are those of Okabe and Ito (2008), which are distinguishable
with any color vision; from the ninth run on they repeat, dashed.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, NullFormatter

from gpt.errors import ConfigError, DataError
from gpt.evaluation.score import SCORES, Score, score_of
from gpt.runs.metrics import Row, read_metrics
from gpt.runs.reading import read_state
from gpt.runs.retention import find_checkpoint
from gpt.spec.score import BitsPerByte
from pytok.atomic import replace_file

COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#A89F00"),  # Okabe and Ito's yellow is too pale on white
)
BEGINNING = 0.02
"""Initial fraction of a run whose losses can lie above the axes: they fall by several nats, and
would compress everything after into a line."""


@dataclass(frozen=True)
class Measure:
    """The vertical axis of a row of panels."""

    label: str
    name: str
    """Name of the validation figure in `Row.val`."""
    training: Callable[[Row], float] | None = None
    """The same for training; None if it is not measured there."""


@dataclass(frozen=True)
class XAxis:
    """The horizontal axis of a column of panels."""

    label: str
    value: Callable[[Row], float]
    log: bool


MEASURES = (
    Measure("nats per token", "loss", lambda row: row.loss),
    Measure("bits per byte", "bits_per_byte", lambda row: row.bits_per_byte),
)
"""The measures of every plot. Another score of a run has a row of panels of its own."""
COLUMNS = (
    XAxis("seconds of training", lambda row: row.seconds, log=False),
    XAxis("tokens", lambda row: row.tokens, log=True),
    XAxis("steps", lambda row: row.step, log=True),
)
"""Time is linear. Loss falls roughly as a power of tokens and steps (Kaplan 2020,
arXiv:2001.08361), so these are logarithmic."""


def write_plot(run: Path) -> Path:
    """Plot metrics.jsonl of *run* as loss.png beside it; return its path."""
    path = run / "loss.png"
    plot_runs([run], path)
    return path


def plot_runs(runs: Sequence[Path], path: Path) -> None:
    """Plot the folders *runs* into the PNG *path*, complete or not at all; see `draw_runs`."""
    picture = io.BytesIO()
    with warnings.catch_warnings():
        # A name can be of a script that the font lacks; its letters are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        draw_runs(runs).savefig(picture, format="png", dpi=110)
    replace_file(path, picture.getvalue())


def draw_runs(runs: Sequence[Path]) -> Figure:
    """Plot the folders *runs*: one column per axis of `COLUMNS`, one row per measure.

    The measures are `MEASURES` and the scores of the runs.

    Raises ConfigError if *runs* is empty, and DataError for a run without metrics.
    """
    if not runs:
        raise ConfigError("no run to plot; pass the folder of one or more runs")
    histories = [_history(run) for run in runs]
    scores = [_score(run) for run in runs]
    measures = [*MEASURES]
    for score in dict.fromkeys(scores):
        if score.name not in [each.name for each in measures]:
            measures.append(Measure(score.unit, score.name))
    figure = Figure(figsize=(15, 4 * len(measures)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(measures), len(COLUMNS), sharex="col", sharey="row")
    for measure, line in zip(measures, grid, strict=True):
        for x_axis, axes in zip(COLUMNS, line, strict=True):
            for number, rows in enumerate(histories):
                _draw(axes, rows, measure, x_axis, _style(number))
            axes.grid(alpha=0.3, which="both")
            axes.spines[["top", "right"]].set_visible(False)
        line[0].set_ylabel(measure.label)
        line[0].set_ylim(*_limits(histories, measure))
    for x_axis, axes in zip(COLUMNS, grid[-1], strict=True):
        _scale(axes, x_axis, histories)
    legend = figure.legend(
        handles=[*_handles(runs, histories, scores), *_kinds()],
        loc="outside upper center",
        ncols=min(len(runs) + 2, 5),
        frameon=False,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name can contain a $
    return figure


def _history(run: Path) -> list[Row]:
    path = run / "metrics.jsonl"
    if not path.is_file():
        raise DataError(f"{path}: not found; a run has one after its first step")
    rows = read_metrics(path)
    if not rows:
        raise DataError(f"{path}: has no complete line yet; plot it after the first step")
    return rows


def _score(run: Path) -> Score:
    """Return the score of *run*, which its newest checkpoint knows, or else that of most runs."""
    newest = find_checkpoint(run)
    return SCORES[BitsPerByte] if newest is None else score_of(read_state(newest).recipe.score)


def _draw(
    axes: Axes, rows: Sequence[Row], measure: Measure, x_axis: XAxis, style: dict[str, Any]
) -> None:
    if measure.training is not None:
        xs = [x_axis.value(row) for row in rows]
        losses = _smooth([measure.training(row) for row in rows])
        axes.plot(xs, losses, linewidth=1, alpha=0.5, **style)
    evaluations = _evaluations(rows, measure.name)
    axes.plot(
        [x_axis.value(row) for row, _ in evaluations],
        [value for _, value in evaluations],
        linewidth=2,
        marker="o",
        markersize=3.5,
        **style,
    )


def _limits(histories: Sequence[Sequence[Row]], measure: Measure) -> tuple[float, float]:
    """Return the range of all losses after each run's beginning, with a margin."""
    values = []
    for rows in histories:
        if measure.training is not None:
            losses = _smooth([measure.training(row) for row in rows])
            values += losses[min(len(losses) - 1, math.ceil(len(losses) * BEGINNING)) :]
        values += [value for _, value in _evaluations(rows, measure.name)]
    if not values:  # a score, before its first evaluation
        return 0.0, 1.0
    margin = 0.03 * (max(values) - min(values)) or 0.1
    return min(values) - margin, max(values) + margin


def _scale(axes: Axes, x_axis: XAxis, histories: Sequence[Sequence[Row]]) -> None:
    """Set the horizontal axis, from where the vertical one shows losses to the end."""
    last = max(x_axis.value(rows[-1]) for rows in histories)
    axes.set_xlabel(x_axis.label + (", log scale" if x_axis.log else ""))
    if x_axis.log:
        first = max(1.0, BEGINNING * min(x_axis.value(rows[-1]) for rows in histories))
        axes.set_xscale("log")
        axes.set_xlim(min(first, last / 2), last * 1.1)
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, last * 1.02)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _style(number: int) -> dict[str, Any]:
    """Return color and dashes of run *number*, from 0."""
    cycle, color = divmod(number, len(COLORS))
    return {"color": COLORS[color], "linestyle": ("-", "--", ":")[cycle % 3]}


def _handles(
    runs: Sequence[Path], histories: Sequence[Sequence[Row]], scores: Sequence[Score]
) -> list[Line2D]:
    """Return a legend entry for each of *runs*: its name and its last evaluation."""
    names = [run.resolve().name for run in runs]
    pairs = zip(names, runs, strict=True)
    labels = [name if names.count(name) == 1 else str(run) for name, run in pairs]
    for number, rows in enumerate(histories):
        score = scores[number]
        evaluations = _evaluations(rows, score.name)
        if evaluations:
            labels[number] += f" ({evaluations[-1][1]:.4f} {score.short})"
    # Names of folders need not be UTF-8, and drawing takes nothing else.
    shown = [label.encode(errors="backslashreplace").decode() for label in labels]
    return [
        Line2D([], [], linewidth=2, label=label, **_style(number))
        for number, label in enumerate(shown)
    ]


def _kinds() -> list[Line2D]:
    """Return the legend entries for validation and training."""
    return [
        Line2D([], [], color="gray", linewidth=2, marker="o", markersize=3.5, label="validation"),
        Line2D([], [], color="gray", linewidth=1, alpha=0.5, label="training, running mean"),
    ]


def _evaluations(rows: Sequence[Row], name: str) -> list[tuple[Row, float]]:
    """Return the rows that have the validation figure *name*, with its value."""
    return [(row, row.val[name]) for row in rows if row.val and name in row.val]


def _smooth(values: Sequence[float]) -> list[float]:
    """Return an exponential moving average with decay 0.95, corrected for its start."""
    smoothed, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = 0.95 * total + value, 0.95 * weight + 1
        smoothed.append(total / weight)
    return smoothed
