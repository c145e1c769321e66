"""What a person sees of a run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from matplotlib.image import imread
from rich.console import Console

from gpt.metrics import MetricsFile, Row
from gpt.plot import write_plot
from gpt.progress import ConsoleReporter

ROWS = [
    Row(step=s, tokens=100 * s, bytes=300 * s, seconds=2.0 * s, loss=6 / s, lr=0.1)
    for s in range(1, 5)
] + [Row(step=5, tokens=500, bytes=1500, seconds=10, loss=1.2, lr=0.1, val_bpb=2.5)]


@pytest.mark.parametrize("terminal", [True, False])
def test_reporter_keeps_the_line_of_an_evaluation(terminal: bool) -> None:
    """With step, loss, bits per byte and speed, and their units."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=120, no_color=True)
    with ConsoleReporter(console) as reporter:
        for row in ROWS:
            reporter.row(row, 5)
    shown = screen.getvalue()

    assert "step 5/5 · loss 1.200 nats/token · validation 2.5000 bits/byte · 50 tokens/s" in shown
    assert ("step 3/5" in shown) is terminal


def test_plot_is_a_picture_of_the_run(tmp_path: Path) -> None:
    """Written beside the metrics, whole, with something drawn."""
    metrics = MetricsFile(tmp_path / "metrics.jsonl", keep=0)
    for row in ROWS:
        metrics.append(row)
    metrics.close()
    picture = imread(write_plot(tmp_path))

    assert picture.shape[0] > 300
    assert picture.shape[1] > 900
    assert picture.std() > 0.05
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loss.png", "metrics.jsonl"]
