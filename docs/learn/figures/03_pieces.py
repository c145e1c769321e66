"""Chapter 3: a line of code in the pieces of three patterns."""

import regex
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from style import BLUE, GRAY, GREEN, ORANGE, PURPLE, save

from pytok.patterns import CL100K, GPT2, O200K

TEXT = "if it's 2024:\n    DON'T(myValue, 12345678)"
PATTERNS = {"GPT-2": GPT2, "GPT-4": CL100K, "GPT-4o": O200K}
COLORS = (BLUE, ORANGE, GREEN, PURPLE)
VISIBLE = str.maketrans({" ": "·", "\n": "↵"})


def draw() -> Figure:
    """A row for each pattern, a box for each piece."""
    figure = Figure(figsize=(10, 2.5))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-6.5, len(TEXT) + 0.5), ylim=(0, 3.6))
    axes.axis("off")
    for row, (name, pattern) in enumerate(PATTERNS.items()):
        y = 3.1 - row
        axes.text(-6.3, y, name, va="center", weight="bold")
        x = 0
        for index, piece in enumerate(regex.findall(pattern, TEXT)):
            axes.add_patch(
                FancyBboxPatch(
                    (x + 0.12, y - 0.3),
                    len(piece) - 0.24,
                    0.6,
                    boxstyle="round,pad=0.05",
                    color=COLORS[index % len(COLORS)],
                    alpha=0.25,
                )
            )
            for character in piece.translate(VISIBLE):
                axes.text(x + 0.5, y, character, ha="center", va="center", family="monospace")
                x += 1
    axes.text(0, 0.3, "· is a space, ↵ the end of a line", color=GRAY, fontsize=10)
    return figure


if __name__ == "__main__":
    save(draw(), __file__)
