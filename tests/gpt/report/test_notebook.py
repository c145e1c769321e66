"""Runs in a notebook."""

from __future__ import annotations

import re

import pytest

from gpt.report.notebook import HEIGHT, WIDTH, NotebookReporter, curve_svg
from gpt.runs.metrics import Row

ROWS = [
    Row(step=s, tokens=100 * s, bytes=300 * s, seconds=2.0 * s, loss=6 / s, lr=0.1)
    for s in range(1, 4)
] + [Row(step=4, tokens=400, bytes=1200, seconds=8, loss=1.2, lr=0.1, val={"bits_per_byte": 2.5})]


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the cell has shown, one content after the other."""
    shown: list[str] = []
    monkeypatch.setattr("pytok.notebook.show_html", shown.append)
    monkeypatch.setattr("pytok.notebook.update_html", lambda display, html: shown.append(html))
    return shown


def test_the_last_step_is_shown_with_its_bar_and_score(contents: list[str]) -> None:
    """Below what was noticed, escaped."""
    reporter = NotebookReporter()
    reporter.notice("runs/<a>: 7.3M parameters")
    for row in ROWS:
        reporter.row(row, 4)

    assert "runs/&lt;a&gt;: 7.3M parameters" in contents[-1]
    assert "step 4/4 · loss 1.200 nats/token · validation 2.5000 bits/byte" in contents[-1]
    assert 'value="1.0000"' in contents[-1]


def test_the_curve_fills_its_image() -> None:
    """However many steps there are."""
    for count in (2, 10_000):
        points = re.findall(r"([\d.]+),([\d.]+)", curve_svg([6 / n for n in range(1, count + 1)]))
        xs, ys = ([float(point[axis]) for point in points] for axis in (0, 1))

        assert (min(xs), max(xs)) == (0, WIDTH)
        assert (min(ys), max(ys)) == (2, HEIGHT - 2)
        assert len(points) <= 2 * WIDTH
