"""Chapter 0: the videos, and the chapters that follow each."""

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from style import BLUE, GREEN, ORANGE, PURPLE, save

ROADS = [
    (
        "Let's build the GPT Tokenizer",
        BLUE,
        ["bytes", "BPE", "splitting", "speed", "special", "cost"],
    ),
    ("Let's build GPT", GREEN, ["attention", "measuring"]),
    ("Let's reproduce GPT-2", ORANGE, ["the loop", "changes", "GPT-2"]),
    ("Deep Dive into LLMs", PURPLE, ["chat", "next"]),
]
"""Video, color, and what its chapters are about; they are numbered from 1."""


def draw() -> Figure:
    """A row for each video: its name, and its chapters from left to right."""
    figure = Figure(figsize=(9, 3.4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 9), ylim=(0, 4), aspect="auto")
    axes.axis("off")
    number = 1
    for row, (video, color, chapters) in enumerate(ROADS):
        y = 3.5 - row
        axes.text(0.1, y, video, va="center", fontsize=11)
        for column, about in enumerate(chapters):
            x = 2.95 + column
            axes.add_patch(
                FancyBboxPatch(
                    (x, y - 0.33), 0.86, 0.66, boxstyle="round,pad=0.02", color=color, alpha=0.16
                )
            )
            axes.text(x + 0.43, y + 0.1, str(number), ha="center", va="center", weight="bold")
            axes.text(x + 0.43, y - 0.17, about, ha="center", va="center", fontsize=9)
            number += 1
    return figure


if __name__ == "__main__":
    save(draw(), __file__)
