"""Runs as a picture."""

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
    """A folder with metrics of *steps* steps, the 20th and the last of them evaluated."""
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
            row = dataclasses.replace(row, val_bpb=scale * 2.5, val_loss=scale * 5.2)
        metrics.append(row)
    metrics.close()
    return folder


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_plot_is_a_picture_of_the_run(tmp_path: Path) -> None:
    """Written beside the metrics, whole, with something drawn."""
    picture = imread(write_plot(make_run(tmp_path / "run")))

    assert picture.shape[0] > 600
    assert picture.shape[1] > 1200
    assert picture.std() > 0.05
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"loss.png", "metrics.jsonl"}


def test_validation_stands_at_the_steps_that_had_it(tmp_path: Path) -> None:
    """In each panel, by seconds, tokens and steps; above in nats, below in bits."""
    figure = draw_runs([make_run(tmp_path / "run")])
    drawn = [
        [tuple(map(float, point)) for point in axes.lines[1].get_xydata()] for axes in figure.axes
    ]

    assert drawn == [
        [(first, value), (last, value)]
        for value in (5.2, 2.5)
        for first, last in ((40, 80), (2000, 4000), (20, 40))
    ]


def test_training_is_beside_validation_in_the_same_unit(tmp_path: Path) -> None:
    """One nat a token of three bytes is 0.481 bits a byte."""
    figure = draw_runs([make_run(tmp_path / "run")])
    nats, bits = (figure.axes[place].lines[0].get_ydata()[0] for place in (0, len(COLUMNS)))

    assert (nats, bits) == (pytest.approx(6), pytest.approx(6 * 0.4809, rel=1e-3))


def test_runs_are_told_apart(tmp_path: Path) -> None:
    """Each has a colour or dashes of its own, its name, and what it reached."""
    runs = [make_run(tmp_path / f"run{n}", scale=1 + n / 10) for n in range(2 * len(COLORS))]
    figure = draw_runs(runs)
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}

    assert len(styles) == len(runs)
    assert labels(figure)[:2] == ["run0 (2.5000 bits/byte)", "run1 (2.7500 bits/byte)"]
    assert len(figure.axes) == len(MEASURES) * len(COLUMNS)


def test_runs_of_one_name_are_told_by_their_folders(tmp_path: Path) -> None:
    """As they were given."""
    runs = [make_run(tmp_path / parent / "run") for parent in ("a", "b")]

    assert [label.split(" (")[0] for label in labels(draw_runs(runs))[:2]] == [
        str(run) for run in runs
    ]


@pytest.mark.parametrize("steps", [1, 2])
def test_shortest_runs_are_drawn(steps: int, tmp_path: Path) -> None:
    """A single step is a point."""
    figure = draw_runs([make_run(tmp_path / "run", steps=steps)])

    for axes in figure.axes:
        assert axes.get_xlim()[0] < axes.get_xlim()[1]


def test_command_draws_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into the file that is named."""
    runs = [str(make_run(tmp_path / name)) for name in ("first", "second")]
    code = main(["plot", *runs, "-o", str(tmp_path / "both.png")])

    assert code == 0
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert "wrote" in capsys.readouterr().err


def test_folder_without_metrics_is_refused(tmp_path: Path) -> None:
    """By the name of the file that is missing, or empty."""
    with pytest.raises(DataError, match=r"metrics\.jsonl: not there"):
        draw_runs([tmp_path])
    (tmp_path / "metrics.jsonl").write_text('{"step": 1')
    with pytest.raises(DataError, match="no whole line yet"):
        draw_runs([tmp_path])
