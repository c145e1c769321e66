"""Plots of runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from gpt.__main__ import main
from gpt.errors import DataError
from gpt.report.plot import COLORS, COLUMNS, MEASURES, draw_runs, write_plot
from gpt.runs.metrics import MetricsFile, Row


def make_run(folder: Path, *, steps: int = 40, scale: float = 1.0) -> Path:
    """Write the metrics of *steps* steps, with evaluations at the 20th and the last."""
    folder.mkdir(parents=True)
    metrics = MetricsFile(folder / "metrics.jsonl", keep=0)
    for step in range(1, steps + 1):
        row = Row(
            step=step,
            tokens=100 * step,
            bytes=300 * step,
            seconds=2.0 * step,
            loss=scale * 6 / step**0.3,
            lr=0.1,
        )
        if step in (20, steps):
            row = dataclasses.replace(row, val={"bits_per_byte": scale * 2.5, "loss": scale * 5.2})
        metrics.append(row)
    metrics.close()
    return folder


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_run_is_plotted_beside_its_metrics(tmp_path: Path) -> None:
    """The image is not blank, and no temporary file is left."""
    picture = imread(write_plot(make_run(tmp_path / "run")))

    assert picture.shape[0] > 600
    assert picture.shape[1] > 1200
    assert picture.std() > 0.05
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"loss.png", "metrics.jsonl"}


def test_validation_is_drawn_at_the_evaluated_steps(tmp_path: Path) -> None:
    """In each panel, over seconds, tokens and steps: nats above, bits below."""
    figure = draw_runs([make_run(tmp_path / "run")])
    drawn = [
        [tuple(map(float, point)) for point in axes.lines[1].get_xydata()] for axes in figure.axes
    ]

    assert drawn == [
        [(first, value), (last, value)]
        for value in (5.2, 2.5)
        for first, last in ((40, 80), (2000, 4000), (20, 40))
    ]


def test_training_loss_is_drawn_in_the_unit_of_the_panel(tmp_path: Path) -> None:
    """One nat per token of three bytes is 0.481 bits per byte."""
    figure = draw_runs([make_run(tmp_path / "run")])
    nats, bits = (figure.axes[panel].lines[0].get_ydata()[0] for panel in (0, len(COLUMNS)))

    assert (nats, bits) == (pytest.approx(6), pytest.approx(6 * 0.4809, rel=1e-3))


def test_runs_have_different_styles(tmp_path: Path) -> None:
    """Each has its own color or dashes, and a label with its name and last evaluation."""
    runs = [make_run(tmp_path / f"run{n}", scale=1 + n / 10) for n in range(2 * len(COLORS))]
    figure = draw_runs(runs)
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}

    assert len(styles) == len(runs)
    assert labels(figure)[:2] == ["run0 (2.5000 bits/byte)", "run1 (2.7500 bits/byte)"]
    assert len(figure.axes) == len(MEASURES) * len(COLUMNS)


def test_runs_with_the_same_name_are_labeled_by_their_paths(tmp_path: Path) -> None:
    """As passed on the command line."""
    runs = [make_run(tmp_path / parent / "run") for parent in ("a", "b")]

    assert [label.split(" (")[0] for label in labels(draw_runs(runs))[:2]] == [
        str(run) for run in runs
    ]


@pytest.mark.parametrize("steps", [1, 2])
def test_the_shortest_runs_are_plotted(steps: int, tmp_path: Path) -> None:
    """The axes of a single step have a positive width."""
    figure = draw_runs([make_run(tmp_path / "run", steps=steps)])

    for axes in figure.axes:
        assert axes.get_xlim()[0] < axes.get_xlim()[1]


def test_the_command_plots_several_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into the file that -o names."""
    runs = [str(make_run(tmp_path / name)) for name in ("first", "second")]
    code = main(["plot", *runs, "-o", str(tmp_path / "both.png")])

    assert code == 0
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert "wrote" in capsys.readouterr().err


def test_a_folder_without_metrics_is_rejected(tmp_path: Path) -> None:
    """The error has the file that is missing or empty."""
    with pytest.raises(DataError, match=r"metrics\.jsonl: not found"):
        draw_runs([tmp_path])
    (tmp_path / "metrics.jsonl").write_text('{"step": 1')
    with pytest.raises(DataError, match="no complete line yet"):
        draw_runs([tmp_path])
