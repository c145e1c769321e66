"""The progress line of a run."""

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
from pytok.live import bar

ROWS = [
    Row(step=s, tokens=100 * s, bytes=300 * s, seconds=2.0 * s, loss=6 / s, lr=0.1)
    for s in range(1, 5)
] + [Row(step=5, tokens=500, bytes=1500, seconds=10, loss=1.2, lr=0.1, val={"bits_per_byte": 2.5})]


def output(
    rows: list[Row], steps: int, *, terminal: bool, width: int = 120, brief: bool = False
) -> str:
    """Return everything that is printed for *rows*."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=width, no_color=True)
    with ConsoleReporter(console, brief=brief) as reporter:
        for row in rows:
            reporter.row(row, steps)
    return screen.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_the_line_of_an_evaluation_stays(terminal: bool) -> None:
    """It has step, loss, bits per byte and speed, with units."""
    text = output(ROWS, 5, terminal=terminal)

    assert "step 5/5 · loss 1.200 nats/token · validation 2.5000 bits/byte · 50 tokens/s" in text
    assert ("step 3/5" in text) is terminal


def test_the_live_line_has_the_bits_per_byte_of_the_batch() -> None:
    """2 nats per token, 100 tokens, 300 bytes."""
    line = " 60% · step 3/5 · loss 2.000 nats/token · 0:04 left · 0.962 bits/byte"
    assert line in output(ROWS, 5, terminal=True)


def test_the_speed_is_a_recent_average() -> None:
    """A machine that slows down is visible."""
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
    last = output(fast + slow, 103, terminal=False)

    assert "100 tokens/s" in last


def test_the_remaining_time_follows_from_the_speed() -> None:
    """60 steps of two seconds take two minutes."""
    assert "2:00 left" in output(ROWS[:4], 64, terminal=True)


@pytest.mark.parametrize("width", [30, 50, 70, 100])
def test_the_live_line_fits_the_terminal(width: int) -> None:
    """The least important parts are omitted first, and none is cut."""
    text = output(ROWS[:4], 64, terminal=True, width=width)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "\n", text)
    last = next(line for line in plain.splitlines() if "step 4/64" in line)

    assert len(last) < width
    assert ("─" in last) is (width >= 70)
    assert ("loss 1.500 nats/token" in last) is (width >= 50)
    assert ("2:00 left" in last) is (width >= 50)
    assert ("bits/byte" in last) is (width >= 100)
    assert ("tokens/s" in last) is (width >= 100)


def test_the_bar_is_ascii_where_the_terminal_is() -> None:
    """It has no other characters."""
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=screen, force_terminal=True, width=80, no_color=True)

    assert bar(0.25, 8, console).plain == "==------  25%"


def test_a_brief_line_has_what_is_done_and_the_time_left() -> None:
    """It does not stay, and has no figure that needs an explanation."""
    text = output(ROWS[:4], 16, terminal=True, brief=True)

    assert "━━━━━━──────────────────  25% · 0:24 left" in text
    assert not re.search("step|nats|bits|tokens|MFU", text)
    assert output(ROWS, 5, terminal=False, brief=True) == ""


@pytest.mark.parametrize(("brief", "lines"), [(True, 3), (False, 1)])
def test_a_brief_notice_is_wrapped_at_words(brief: bool, lines: int) -> None:
    """On a terminal; the lines that follow are indented."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=30)
    text = "    warning: give it more time, such as --seconds 600, in another --out"
    ConsoleReporter(console, brief=brief).notice(text)

    first, *others = screen.getvalue().splitlines()
    assert " ".join([first, *map(str.strip, others)]) == text
    assert len(others) == lines - 1
    assert all(line.startswith(" " * 6) for line in others)


def test_nothing_is_printed_before_the_first_step() -> None:
    """Questions can be asked until then."""
    assert output([], 5, terminal=True) == ""


MODEL = GPTConfig(vocab_size=64, context=8, layers=1, width=32)


def start(model: GPT) -> Start:
    """Return the start of a run of *model*."""
    return Start(
        recipe=Recipe(data=".", out="."),
        runtime=Runtime.choose("cpu", "float32"),
        step=0,
        borrow_model=lambda: nullcontext(model),
    )


def test_each_run_has_its_own_speed() -> None:
    """`gpt clone` trains several runs, and the seconds of each start at 0."""
    screen = io.StringIO()
    with ConsoleReporter(Console(file=screen, width=120)) as reporter:
        for faster in (1, 2):
            reporter.began(start(GPT(MODEL)))
            for row in ROWS:
                reporter.row(dataclasses.replace(row, seconds=row.seconds / faster), 5)

    assert re.findall(r"\d+ tokens/s", screen.getvalue()) == ["50 tokens/s", "100 tokens/s"]


def test_mfu_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """FLOPs per token times tokens per second, as a fraction of the peak of the device."""
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


def test_a_run_that_is_faster_than_the_products_is_the_peak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So its MFU is 100% at most, and later rates are compared with its best one."""
    model = GPT(MODEL)
    monkeypatch.setattr("gpt.report.console.peak_flops", lambda runtime: 40 * training_flops(model))
    screen = io.StringIO()
    with ConsoleReporter(Console(file=screen, width=120)) as reporter:
        reporter.began(start(model))
        for row in ROWS:
            reporter.row(row, 5)

    assert "50 tokens/s · MFU 100%" in screen.getvalue()
