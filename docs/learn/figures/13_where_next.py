"""Chapter 13: the papers of its table, by year and topic."""

import re
from collections import Counter
from pathlib import Path

from matplotlib.figure import Figure
from style import BLUE, GREEN, ORANGE, PURPLE, save

TOPICS = {"tokenizer": BLUE, "model": GREEN, "training": ORANGE, "after": PURPLE}
CHAPTER = Path(__file__).parent.parent / "13-where-next.md"
LINE = 0.2
"""The distance of two papers of the same year and topic."""


def papers() -> list[tuple[int, str, str]]:
    """Year, author and subject, and topic of each row of the table."""
    rows = re.findall(r"^\| (\d{4}) \| (.*?) \| .*? \| (\w+) \|$", CHAPTER.read_text("utf-8"), re.M)
    return [(int(year), name, topic) for year, name, topic in rows]


def draw() -> Figure:
    """A row for each topic, and in it each paper beside a dot at its year."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axes = figure.subplots()
    seen: Counter[tuple[int, str]] = Counter()
    names = list(TOPICS)
    for year, name, topic in sorted(papers()):
        row = names.index(topic) - LINE + LINE * 2 * seen[year, topic]
        # Neighboring years are on different heights, so that long names do not meet.
        row += LINE * (year % 2)
        seen[year, topic] += 1
        axes.plot(year, row, "o", color=TOPICS[topic])
        axes.annotate(
            name, (year, row), xytext=(7, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.set_yticks(range(len(TOPICS)), names)
    axes.invert_yaxis()
    axes.set_xticks(range(2015, 2026))
    axes.set_xlim(2014.7, 2025.9)
    axes.set_ylim(3.7, -0.5)
    axes.grid(axis="y", visible=False)
    return figure


if __name__ == "__main__":
    save(draw(), __file__)
