"""Runs as a picture: their losses by seconds, tokens and steps, several overlaid.

Validation is what the eye should follow: a strong line with a mark at each evaluation. Training is
behind it, thin and smoothed, in the same colour. The colours are those of Okabe and Ito (2008),
which people with any colour vision tell apart; past eight runs they come again, dashed.
"""

from __future__ import annotations

import io
import math
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
from gpt.runs.metrics import Row, read_metrics
from pytok.atomic import replace_file

COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#A89F00"),  # their yellow is too pale for a white page
)
BEGINNING = 0.02
"""Share of a run, at its beginning, whose losses may lie above the axes: they fall by some nats,
and all that comes after would be pressed into a line."""


@dataclass(frozen=True)
class Measure:
    """What a row of the picture shows: a name, and a row of metrics to a number."""

    label: str
    training: Callable[[Row], float]
    validation: Callable[[Row], float | None]


@dataclass(frozen=True)
class Across:
    """What a column of the picture has on its horizontal axis."""

    label: str
    place: Callable[[Row], float]
    log: bool


MEASURES = (
    Measure("nats per token", lambda row: row.loss, lambda row: row.val_loss),
    Measure("bits per byte", lambda row: row.bits_per_byte, lambda row: row.val_bpb),
)
COLUMNS = (
    Across("seconds of training", lambda row: row.seconds, log=False),
    Across("tokens", lambda row: row.tokens, log=True),
    Across("steps", lambda row: row.step, log=True),
)
"""Time is linear, since it is what a person waits for. Losses fall about as a power of tokens and
steps (Kaplan 2020, arXiv:2001.08361), so these are logarithmic."""


def write_plot(run: Path) -> Path:
    """Draw metrics.jsonl of *run* as loss.png beside it; return its path."""
    path = run / "loss.png"
    plot_runs([run], path)
    return path


def plot_runs(runs: Sequence[Path], path: Path) -> None:
    """Draw the folders *runs* into the PNG *path*, whole or not at all; see `draw_runs`."""
    picture = io.BytesIO()
    draw_runs(runs).savefig(picture, format="png", dpi=110)
    replace_file(path, picture.getvalue())


def draw_runs(runs: Sequence[Path]) -> Figure:
    """Draw the folders *runs*: a column an axis of `COLUMNS`, a row a measure of `MEASURES`.

    Raises ConfigError for no runs, and DataError for one without metrics.
    """
    if not runs:
        raise ConfigError("no run to plot; give the folder of one, or of several")
    histories = [_history(run) for run in runs]
    figure = Figure(figsize=(15, 8), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(MEASURES), len(COLUMNS), sharex="col", sharey="row")
    for measure, line in zip(MEASURES, grid, strict=True):
        for across, axes in zip(COLUMNS, line, strict=True):
            for number, rows in enumerate(histories):
                _draw(axes, rows, measure, across, _style(number))
            axes.grid(alpha=0.3, which="both")
            axes.spines[["top", "right"]].set_visible(False)
        line[0].set_ylabel(measure.label)
        line[0].set_ylim(*_limits(histories, measure))
    for across, axes in zip(COLUMNS, grid[-1], strict=True):
        _scale(axes, across, histories)
    legend = figure.legend(
        handles=[*_handles(runs, histories), *_kinds()],
        loc="outside upper center",
        ncols=min(len(runs) + 2, 5),
        frameon=False,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may have a $
    return figure


def _history(run: Path) -> list[Row]:
    path = run / "metrics.jsonl"
    if not path.is_file():
        raise DataError(f"{path}: not there; a run's folder has one after its first step")
    rows = read_metrics(path)
    if not rows:
        raise DataError(f"{path}: has no whole line yet; plot it after the first step")
    return rows


def _draw(
    axes: Axes, rows: Sequence[Row], measure: Measure, across: Across, style: dict[str, Any]
) -> None:
    places = [across.place(row) for row in rows]
    losses = _smoothed([measure.training(row) for row in rows])
    axes.plot(places, losses, linewidth=1, alpha=0.5, **style)
    measured = _measured(rows, measure)
    axes.plot(
        [across.place(row) for row, _ in measured],
        [value for _, value in measured],
        linewidth=2,
        marker="o",
        markersize=3.5,
        **style,
    )


def _limits(histories: Sequence[Sequence[Row]], measure: Measure) -> tuple[float, float]:
    """From the least of all losses to the greatest after each run's beginning, and some room."""
    values = []
    for rows in histories:
        losses = _smoothed([measure.training(row) for row in rows])
        values += losses[min(len(losses) - 1, math.ceil(len(losses) * BEGINNING)) :]
        values += [value for _, value in _measured(rows, measure)]
    room = 0.03 * (max(values) - min(values)) or 0.1
    return min(values) - room, max(values) + room


def _scale(axes: Axes, across: Across, histories: Sequence[Sequence[Row]]) -> None:
    """Set the horizontal axis: from the beginning that the vertical one shows, to the end."""
    last = max(across.place(rows[-1]) for rows in histories)
    axes.set_xlabel(across.label + (", log scale" if across.log else ""))
    if across.log:
        first = max(1.0, BEGINNING * min(across.place(rows[-1]) for rows in histories))
        axes.set_xscale("log")
        axes.set_xlim(min(first, last / 2), last * 1.1)
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, last * 1.02)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _style(number: int) -> dict[str, Any]:
    """Colour and dashes of the run *number*, from 0."""
    again, colour = divmod(number, len(COLOURS))
    return {"color": COLOURS[colour], "linestyle": ("-", "--", ":")[again % 3]}


def _handles(runs: Sequence[Path], histories: Sequence[Sequence[Row]]) -> list[Line2D]:
    """A line of the legend for each of *runs*: its name, and the last of its evaluations."""
    names = [run.resolve().name for run in runs]
    pairs = zip(names, runs, strict=True)
    labels = [name if names.count(name) == 1 else str(run) for name, run in pairs]
    for number, rows in enumerate(histories):
        measured = [row.val_bpb for row in rows if row.val_bpb is not None]
        if measured:
            labels[number] += f" ({measured[-1]:.4f} bits/byte)"
    return [
        Line2D([], [], linewidth=2, label=label, **_style(number))
        for number, label in enumerate(labels)
    ]


def _kinds() -> list[Line2D]:
    """The lines of the legend that tell validation from training."""
    return [
        Line2D([], [], color="grey", linewidth=2, marker="o", markersize=3.5, label="validation"),
        Line2D([], [], color="grey", linewidth=1, alpha=0.5, label="training, running mean"),
    ]


def _measured(rows: Sequence[Row], measure: Measure) -> list[tuple[Row, float]]:
    """The rows that have an evaluation, with it."""
    values = ((row, measure.validation(row)) for row in rows)
    return [(row, value) for row, value in values if value is not None]


def _smoothed(values: Sequence[float]) -> list[float]:
    """Take a running mean that forgets over about 20 values, without the bias of its start."""
    smoothed, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = 0.95 * total + value, 0.95 * weight + 1
        smoothed.append(total / weight)
    return smoothed
