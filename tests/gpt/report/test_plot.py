"""Plots of runs."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from gpt.__main__ import main
from gpt.data.shards import open_data
from gpt.errors import ConfigError, DataError
from gpt.report.curves import BITS, History
from gpt.report.plot import COLORS, draw_runs, plot_runs, write_plot
from gpt.runs.metrics import MetricsFile, Row, read_metrics, write_records
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.recipe import Recipe
from gpt.training.loop import train


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


def points(figure: Figure, panel: int, line: int) -> list[tuple[float, float]]:
    return [
        (float(x), float(y)) for x, y in np.asarray(figure.axes[panel].lines[line].get_xydata())
    ]


def test_a_run_is_plotted_beside_its_metrics(tmp_path: Path) -> None:
    """The image is not blank, and no temporary file is left."""
    picture = imread(write_plot(make_run(tmp_path / "run")))

    assert picture.shape[0] > 600
    assert picture.shape[1] > 1000
    assert picture.std() > 0.05
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"loss.png", "metrics.jsonl"}


def test_validation_is_drawn_at_the_evaluated_steps(tmp_path: Path) -> None:
    """In bits per byte, over steps; the best of equal ones is the first."""
    figure = draw_runs([make_run(tmp_path / "run")])

    assert points(figure, 0, 1) == [(20, 2.5), (40, 2.5)]
    assert points(figure, 0, 2) == [(20, 2.5)]
    assert "best: 2.5000 at step 20" in [text.get_text() for text in figure.axes[0].texts]


def test_several_runs_are_drawn_over_time_and_tokens(tmp_path: Path) -> None:
    """The second of them in the same panels."""
    runs = [make_run(tmp_path / name, scale=scale) for name, scale in (("a", 1), ("b", 2))]
    figure = draw_runs(runs)

    assert points(figure, 0, 4) == [(40, 5), (80, 5)]
    assert points(figure, 1, 4) == [(2000, 5), (4000, 5)]


def test_training_loss_is_drawn_in_the_unit_of_the_panel(tmp_path: Path) -> None:
    """One nat per token of three bytes is 0.481 bits per byte."""
    figure = draw_runs([make_run(tmp_path / "run")])

    assert points(figure, 0, 0)[0][1] == pytest.approx(6 * 0.4809, rel=1e-3)


def test_the_time_of_a_step_is_above_it(tmp_path: Path) -> None:
    """Each of them took two seconds."""
    figure = draw_runs([make_run(tmp_path / "run")])
    (above,) = figure.axes[0].child_axes
    figure.draw_without_rendering()

    assert above.get_xlabel() == "seconds of training"
    assert above.get_xlim() == pytest.approx([2 * limit for limit in figure.axes[0].get_xlim()])


@pytest.mark.parametrize("steps", [1, 2, 40, 400])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_all_lines_are_inside_their_panels(steps: int, scale: float, tmp_path: Path) -> None:
    """Also of the shortest runs, and of one whose loss explodes."""
    run = make_run(tmp_path / "run", steps=steps)
    rows = read_metrics(run / "metrics.jsonl")
    rows[-1] = dataclasses.replace(rows[-1], loss=scale * rows[-1].loss)
    write_records(run / "metrics.jsonl", rows)

    for axes in draw_runs([run]).axes:
        for line in axes.lines:
            for limits, values in (
                (axes.get_xlim(), line.get_xdata()),
                (axes.get_ylim(), line.get_ydata()),
            ):
                assert limits[0] < limits[1]
                assert limits[0] <= np.min(np.asarray(values))
                assert np.max(np.asarray(values)) <= limits[1]


def test_levels_to_compare_with_are_drawn(data: Path, tmp_path: Path) -> None:
    """A random guess, log2 of the vocabulary a token, and the entropy of the tokens."""
    recipe = Recipe(
        data=data,
        out=tmp_path / "run",
        steps=2,
        batch_size=2,
        model=Architecture(
            context=8, layers=1, width=16, attention=GroupedQuery(heads=1, kv_heads=1)
        ),
    )
    train(recipe)
    history = History(tmp_path / "run")
    levels = history.baselines(BITS)
    split = open_data(data).splits["train"]
    counts = Counter(split.read(0, len(split)).tolist())
    entropy = sum(n / len(split) * math.log2(len(split) / n) for n in counts.values())
    rate = len(split) / split.bytes

    assert levels == {
        "random guess": pytest.approx(rate * math.log2(257), rel=1e-3),
        "unigram entropy": pytest.approx(rate * entropy, rel=1e-3),
    }


def test_runs_have_different_styles(tmp_path: Path) -> None:
    """Each has its own color or dashes, and a label with its name and best evaluation."""
    runs = [make_run(tmp_path / f"run{n}", scale=1 + n / 10) for n in range(2 * len(COLORS))]
    figure = draw_runs(runs)
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}

    assert len(styles) == len(runs)
    assert labels(figure)[:2] == ["run0 (2.5000 bits/byte)", "run1 (2.7500 bits/byte)"]
    assert len(figure.axes) == 2


def test_runs_with_the_same_name_are_labeled_by_their_paths(tmp_path: Path) -> None:
    """As passed on the command line."""
    runs = [make_run(tmp_path / parent / "run") for parent in ("a", "b")]

    assert [label.split(" (")[0] for label in labels(draw_runs(runs))[:2]] == [
        str(run) for run in runs
    ]


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


def test_an_image_of_vectors_is_the_same_each_time(tmp_path: Path) -> None:
    """It can be committed."""
    run = make_run(tmp_path / "run")
    for name in ("a.svg", "b.svg"):
        plot_runs([run], tmp_path / name)

    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_file_of_another_kind_is_rejected(tmp_path: Path) -> None:
    """Before anything is read."""
    with pytest.raises(ConfigError, match=r"name it \.png, \.svg or \.pdf"):
        plot_runs([tmp_path], tmp_path / "plot.gif")
