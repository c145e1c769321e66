"""What a person sees of a run while it goes."""

from __future__ import annotations

import dataclasses
import io
import re
from contextlib import nullcontext

import pytest
from rich.console import Console

from gpt.model.flops import training_flops
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.report.console import SPEED_WINDOW, ConsoleReporter
from gpt.report.events import Start
from gpt.runs.metrics import Row
from gpt.spec.architecture import GPTConfig
from gpt.spec.recipe import Recipe

ROWS = [
    Row(step=s, tokens=100 * s, bytes=300 * s, seconds=2.0 * s, loss=6 / s, lr=0.1)
    for s in range(1, 5)
] + [Row(step=5, tokens=500, bytes=1500, seconds=10, loss=1.2, lr=0.1, val_bpb=2.5)]


def shown(rows: list[Row], steps: int, *, terminal: bool, width: int = 120) -> str:
    """All that the console is told of *rows*."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=width, no_color=True)
    with ConsoleReporter(console) as reporter:
        for row in rows:
            reporter.row(row, steps)
    return screen.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_line_of_an_evaluation_stays(terminal: bool) -> None:
    """With step, loss, bits per byte and speed, and their units."""
    text = shown(ROWS, 5, terminal=terminal)

    assert "step 5/5 · loss 1.200 nats/token · validation 2.5000 bits/byte · 0:00 left" in text
    assert "50 tokens/s" in text
    assert ("step 3/5" in text) is terminal


def test_bits_per_byte_of_the_batch_are_live() -> None:
    """2 nats of 100 tokens over 300 bytes."""
    assert "step 3/5 · loss 2.000 nats/token · 0.962 bits/byte" in shown(ROWS, 5, terminal=True)


def test_speed_is_that_of_lately() -> None:
    """Steps of long ago do not count, so a machine that gets slow is seen to."""
    fast = [
        Row(step=s, tokens=1000 * s, bytes=3000 * s, seconds=0.1 * s, loss=1.0, lr=0.1)
        for s in range(1, 101)
    ]
    slow = [
        Row(
            step=100 + s,
            tokens=100_000 + 1000 * s,
            bytes=300_000 + 3000 * s,
            seconds=10 + SPEED_WINDOW * s,
            loss=1.0,
            lr=0.1,
        )
        for s in (1, 2, 3)
    ]
    last = shown(fast + slow, 103, terminal=False)

    assert "100 tokens/s" in last


def test_time_left_follows_from_the_pace() -> None:
    """Two seconds a step: 60 steps are two minutes."""
    assert "2:00 left" in shown(ROWS[:4], 64, terminal=True)


@pytest.mark.parametrize("width", [30, 50, 70, 100])
def test_live_line_fits_the_terminal(width: int) -> None:
    """What matters least is left out first; nothing is cut within."""
    text = shown(ROWS[:4], 64, terminal=True, width=width)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "\n", text)
    last = next(line for line in plain.splitlines() if "step 4/64" in line)

    assert len(last) <= width
    assert ("loss 1.500 nats/token" in last) is (width >= 50)
    assert ("2:00 left" in last) is (width >= 70)
    assert ("tokens/s" in last) is (width >= 100)


MODEL = GPTConfig(vocab_size=64, context=8, layers=1, width=32)


def start(model: GPT) -> Start:
    """The beginning of a run of *model*."""
    return Start(
        recipe=Recipe(data=".", out="."),
        runtime=Runtime.choose("cpu", "float32"),
        step=0,
        borrow_model=lambda: nullcontext(model),
    )


def test_second_run_has_a_pace_of_its_own() -> None:
    """Its steps and seconds are counted from its own beginning, as those of `gpt clone` are."""
    screen = io.StringIO()
    with ConsoleReporter(Console(file=screen, width=120)) as reporter:
        for faster in (1, 2):
            reporter.began(start(GPT(MODEL)))
            for row in ROWS:
                reporter.row(dataclasses.replace(row, seconds=row.seconds / faster), 5)

    assert re.findall(r"\d+ tokens/s", screen.getvalue()) == ["50 tokens/s", "100 tokens/s"]


def test_share_of_the_peak_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations of a token times tokens a second, of what the device could do."""
    model = GPT(MODEL)
    monkeypatch.setattr(
        "gpt.report.console.peak_flops", lambda runtime: 100 * training_flops(model)
    )
    screen = io.StringIO()
    with ConsoleReporter(Console(file=screen, width=120)) as reporter:
        reporter.began(start(model))
        for row in ROWS:
            reporter.row(row, 5)

    assert "50 tokens/s · MFU 50%" in screen.getvalue()
