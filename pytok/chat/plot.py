"""A history as a picture: `pytok chat show --plot`."""

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
_MOST_PEOPLE = 12
"""Bars of people; the others share one."""
_DAY = 86_400


def write_plot(statistics: Statistics, path: Path) -> None:
    """Draw *statistics* as the PNG *path*, which appears whole or not at all.

    Messages by person, over time, and by weekday and hour; characters a message; pauses. There must
    be a message that somebody sent.
    """
    figure = Figure(figsize=(13, 8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"{counted(statistics.messages, 'message')}, {min(statistics.by_day)} to "
        f"{max(statistics.by_day)}",
        fontsize=14,
        color=INK,
    )
    above, below = cast(Any, figure.subfigures(2, 1))  # whose type says one
    people, time = above.subplots(1, 2, width_ratios=[1, 2])
    week, lengths, pauses = below.subplots(1, 3, width_ratios=[5, 3, 4])
    _draw_people(people, statistics)
    _draw_time(time, statistics.by_day)
    _draw_week(week, statistics.by_hour)
    _draw_lengths(lengths, statistics)
    _draw_pauses(pauses, statistics.pauses)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    replace_file(path, picture.getvalue())


def _draw_people(axes: Axes, statistics: Statistics) -> None:
    rows = [
        (_drawable(person.name, place), person.messages)
        for place, person in enumerate(statistics.people, 1)
    ]
    if len(rows) > _MOST_PEOPLE:
        rest = rows[_MOST_PEOPLE - 1 :]
        rows[_MOST_PEOPLE - 1 :] = [
            (f"{len(rest):,} others", sum(messages for _, messages in rest))
        ]
    places = range(len(rows))
    bars = axes.barh(places, [messages for _, messages in rows], color=BARS, height=0.7)
    axes.bar_label(bars, [f"{messages:,}" for _, messages in rows], padding=4, color=INK)
    # Names are no formulas, whatever dollars they have.
    axes.set_yticks(places, [name for name, _ in rows], parse_math=False)
    axes.set(ylim=(max(len(rows), 4) - 0.5, -0.5), xlabel="messages", title="who writes")
    axes.margins(x=0.18)
    _plain(axes, grid="x")


def _draw_time(axes: Axes, by_day: Counter[date]) -> None:
    first, last = min(by_day), max(by_day)
    length = (last - first).days + 1
    step, name = (1, "day") if length <= 180 else (7, "week") if length <= 1260 else (28, "4 weeks")
    counts = [0] * (-(-length // step))
    for day, messages in by_day.items():
        counts[(day - first).days // step] += messages
    begins = [first + timedelta(days=step * place) for place in range(len(counts))]
    # Through Any, since these have no types.
    dating = cast(Any, dates)
    axes.bar(dating.date2num(begins), counts, width=step * 0.95, align="edge", color=BARS)
    locator = dating.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dating.ConciseDateFormatter(locator))
    axes.set(ylabel="messages", title=f"when, by {name}")
    axes.margins(x=0.01)
    _plain(axes, grid="y")


def _draw_week(axes: Axes, by_hour: Sequence[Sequence[int]]) -> None:
    picture = axes.imshow(np.asarray(by_hour), cmap="Blues", vmin=0, aspect="auto")
    axes.set_yticks(range(7), WEEKDAYS)
    axes.set_xticks(range(0, 24, 3), [f"{hour}:00" for hour in range(0, 24, 3)])
    axes.set_title("when in the week", color=INK)
    axes.tick_params(length=0, colors=INK)
    for side in axes.spines.values():
        side.set_visible(False)
    colours = axes.figure.colorbar(picture, ax=axes, pad=0.02, label="messages")
    colours.outline.set_visible(False)


def _draw_lengths(axes: Axes, statistics: Statistics) -> None:
    lengths = [length for person in statistics.people for length in person.lengths]
    edges = np.geomspace(1, max([10, *lengths]) + 1, 24)
    axes.hist(lengths, bins=np.unique(edges.round()).tolist(), color=BARS, edgecolor="white")
    axes.set(xscale="log", xlabel="characters", ylabel="messages", title="how long")
    axes.set_xticks([1, 10, 100, *([1000] if max(lengths, default=0) > 300 else [])])
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    _plain(axes, grid="y")


def _draw_pauses(axes: Axes, pauses: Sequence[float]) -> None:
    # Of exports that tell minutes only, what is shorter lies in the first bar.
    seconds = np.clip(np.asarray(pauses, dtype=float), 1, 30 * _DAY)
    axes.hist(seconds, bins=np.geomspace(1, 30 * _DAY, 40).tolist(), color=BARS, edgecolor="white")
    axes.set_xscale("log")
    names = {1: "1 s", 60: "1 min", 3600: "1 h", _DAY: "1 day"}
    axes.set_xticks(list(names), list(names.values()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvline(3600, color=ACCENT, linestyle="--", linewidth=1.2)
    axes.annotate(
        "1 h ends a conversation,\nunless --gap is another",
        (3600, 1),
        xycoords=("data", "axes fraction"),
        xytext=(5, -2),
        textcoords="offset points",
        verticalalignment="top",
        color=ACCENT,
        fontsize=8,
    )
    axes.set(ylabel="messages", title="the pause before a message")
    _plain(axes, grid="y")


def _plain(axes: Axes, grid: Literal["x", "y"]) -> None:
    axes.grid(axis=grid, alpha=0.3)
    axes.set_axisbelow(True)
    counts = axes.xaxis if grid == "x" else axes.yaxis
    counts.set_major_locator(MaxNLocator(5, integer=True))
    counts.set_major_formatter("{x:,.0f}")
    axes.tick_params(colors=INK)
    axes.title.set_color(INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _drawable(name: str, place: int) -> str:
    """*name* with what the font has of it, on one line; its *place* if that is no letter."""
    known = get_font(findfont(FontProperties())).get_charmap()
    shown = "".join(character if ord(character) in known else "\ufffd" for character in name)
    if not any(map(str.isalnum, shown)):
        return f"no. {place}"
    return shown if len(shown) <= 24 else shown[:23] + "…"
