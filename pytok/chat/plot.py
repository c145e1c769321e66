"""Plot of the statistics of a history, for `pytok chat show --plot`."""

import io
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import MaxNLocator, NullLocator

from pytok.atomic import replace_file
from pytok.chat.statistics import WEEKDAYS, Statistics
from pytok.counted import counted

INK, BARS, ACCENT = "#2f3b52", "#6a8fc7", "#b3362b"
_MAX_PEOPLE = 12
"""Maximum number of bars; the last one sums up all remaining people."""
_DAY = 86_400


def write_plot(statistics: Statistics, path: Path) -> None:
    """Plot *statistics* to the PNG file *path*, written completely or not at all.

    The panels show messages per person, over time, and per weekday and hour; characters per
    message; and pauses. *statistics* must have at least one message.
    """
    figure = Figure(figsize=(13, 8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"{counted(statistics.messages, 'message')}, {min(statistics.by_day)} to "
        f"{max(statistics.by_day)}",
        fontsize=14,
        color=INK,
    )
    above, below = cast(Any, figure.subfigures(2, 1))  # annotated as a single figure
    people, time = above.subplots(1, 2, width_ratios=[1, 2])
    week, lengths, pauses = below.subplots(1, 3, width_ratios=[5, 3, 4])
    _draw_people(people, statistics)
    _draw_time(time, statistics.by_day)
    _draw_week(week, statistics.by_hour)
    _draw_lengths(lengths, statistics)
    _draw_pauses(pauses, statistics.pauses)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    replace_file(path, picture.getvalue(), private=True)


def _draw_people(axes: Axes, statistics: Statistics) -> None:
    rows = [
        (_printable_name(person.name, rank), person.messages)
        for rank, person in enumerate(statistics.people, 1)
    ]
    if len(rows) > _MAX_PEOPLE:
        rest = rows[_MAX_PEOPLE - 1 :]
        rows[_MAX_PEOPLE - 1 :] = [(f"{len(rest):,} others", sum(messages for _, messages in rest))]
    positions = range(len(rows))
    bars = axes.barh(positions, [messages for _, messages in rows], color=BARS, height=0.7)
    axes.bar_label(bars, [f"{messages:,}" for _, messages in rows], padding=4, color=INK)
    # Dollar signs in a name would start a formula.
    axes.set_yticks(positions, [name for name, _ in rows], parse_math=False)
    axes.set(ylim=(max(len(rows), 4) - 0.5, -0.5), xlabel="messages", title="by sender")
    axes.margins(x=0.18)
    _style_axes(axes, grid="x")


def _draw_time(axes: Axes, by_day: Counter[date]) -> None:
    first, last = min(by_day), max(by_day)
    length = (last - first).days + 1
    step, name = (1, "day") if length <= 180 else (7, "week") if length <= 1260 else (28, "4 weeks")
    counts = [0] * (-(-length // step))
    for day, messages in by_day.items():
        counts[(day - first).days // step] += messages
    starts = [first + timedelta(days=step * index) for index in range(len(counts))]
    untyped_dates = cast(Any, dates)  # these functions have no annotations
    axes.bar(untyped_dates.date2num(starts), counts, width=step * 0.95, align="edge", color=BARS)
    locator = untyped_dates.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(untyped_dates.ConciseDateFormatter(locator))
    axes.set(ylabel="messages", title=f"over time, by {name}")
    axes.margins(x=0.01)
    _style_axes(axes, grid="y")


def _draw_week(axes: Axes, by_hour: Sequence[Sequence[int]]) -> None:
    picture = axes.imshow(np.asarray(by_hour), cmap="Blues", vmin=0, aspect="auto")
    axes.set_yticks(range(7), WEEKDAYS)
    axes.set_xticks(range(0, 24, 3), [f"{hour}:00" for hour in range(0, 24, 3)])
    axes.set_title("by weekday and hour", color=INK)
    axes.tick_params(length=0, colors=INK)
    for side in axes.spines.values():
        side.set_visible(False)
    color_bar = axes.figure.colorbar(picture, ax=axes, pad=0.02, label="messages")
    color_bar.outline.set_visible(False)


def _draw_lengths(axes: Axes, statistics: Statistics) -> None:
    lengths = [length for person in statistics.people for length in person.lengths]
    edges = np.geomspace(1, max([10, *lengths]) + 1, 24)
    axes.hist(lengths, bins=np.unique(edges.round()).tolist(), color=BARS, edgecolor="white")
    axes.set(xscale="log", xlabel="characters", ylabel="messages", title="length")
    axes.set_xticks([1, 10, 100, *([1000] if max(lengths, default=0) > 300 else [])])
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    _style_axes(axes, grid="y")


def _draw_pauses(axes: Axes, pauses: Sequence[float]) -> None:
    # Pauses of 0 s, frequent in exports without seconds, fall into the first bar.
    seconds = np.clip(np.asarray(pauses, dtype=float), 1, 30 * _DAY)
    axes.hist(seconds, bins=np.geomspace(1, 30 * _DAY, 40).tolist(), color=BARS, edgecolor="white")
    axes.set_xscale("log")
    names = {1: "1 s", 60: "1 min", 3600: "1 h", _DAY: "1 day"}
    axes.set_xticks(list(names), list(names.values()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvline(3600, color=ACCENT, linestyle="--", linewidth=1.2)
    axes.annotate(
        "1 h: default gap between\nconversations (--gap)",
        (3600, 1),
        xycoords=("data", "axes fraction"),
        xytext=(5, -2),
        textcoords="offset points",
        verticalalignment="top",
        color=ACCENT,
        fontsize=8,
    )
    axes.set(ylabel="messages", title="pause before a message")
    _style_axes(axes, grid="y")


def _style_axes(axes: Axes, grid: Literal["x", "y"]) -> None:
    axes.grid(axis=grid, alpha=0.3)
    axes.set_axisbelow(True)
    counts = axes.xaxis if grid == "x" else axes.yaxis
    counts.set_major_locator(MaxNLocator(5, integer=True))
    counts.set_major_formatter("{x:,.0f}")
    axes.tick_params(colors=INK)
    axes.title.set_color(INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _printable_name(name: str, rank: int) -> str:
    """Return *name* with the characters of the font, or its *rank* if none is a letter or digit."""
    charmap = get_font(findfont(FontProperties())).get_charmap()
    printable = "".join(character if ord(character) in charmap else "\ufffd" for character in name)
    if not any(map(str.isalnum, printable)):
        return f"no. {rank}"
    return printable if len(printable) <= 24 else printable[:23] + "…"
