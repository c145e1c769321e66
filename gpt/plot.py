"""The picture of a run: `loss.png`, from metrics.jsonl."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gpt.metrics import Row, read_metrics
from pytok.atomic import replace_file

TRAIN, VAL = "#9db4d6", "#b3362b"


def write_plot(run: Path) -> Path:
    """Draw metrics.jsonl of *run* as loss.png beside it; return its path.

    Left, loss by steps in nats per token; right, bits per byte by seconds of training, with the
    validation split's.
    """
    rows = read_metrics(run / "metrics.jsonl")
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    by_step, by_time = figure.subplots(1, 2)
    figure.suptitle(run.name)
    _draw_steps(by_step, rows)
    _draw_seconds(by_time, rows)
    path = run / "loss.png"
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    replace_file(path, picture.getvalue())
    return path


def _draw_steps(axes: Axes, rows: Sequence[Row]) -> None:
    steps, losses = [row.step for row in rows], [row.loss for row in rows]
    axes.plot(steps, losses, color=TRAIN, linewidth=1, label="training batch")
    axes.plot(steps, _smoothed(losses), color="#2f5597", linewidth=1.8, label="its running mean")
    axes.set(xlabel="step", ylabel="loss (nats per token)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def _draw_seconds(axes: Axes, rows: Sequence[Row]) -> None:
    bits = [row.loss / math.log(2) * row.tokens / row.bytes for row in rows]
    axes.plot([row.seconds for row in rows], bits, color=TRAIN, linewidth=1, label="training batch")
    measured = [(row.seconds, row.val_bpb) for row in rows if row.val_bpb is not None]
    if measured:
        axes.plot(*zip(*measured, strict=True), color=VAL, marker="o", label="validation split")
        seconds, last = measured[-1]
        axes.annotate(
            f"{last:.3f}", (seconds, last), xytext=(0, -16), textcoords="offset points", ha="right"
        )
    axes.set(xlabel="training time (seconds)", ylabel="bits per byte")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def _smoothed(values: Sequence[float]) -> list[float]:
    """Take a running mean that forgets over about 20 values, without the bias of its start."""
    smoothed, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = 0.95 * total + value, 0.95 * weight + 1
        smoothed.append(total / weight)
    return smoothed
