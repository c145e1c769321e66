"""Chapter 1: the characters of a text, and the bytes that write them."""

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from style import BLUE, GRAY, ORANGE, save

TEXT = "héllo 안녕 👋"
NAMES = {" ": "space", "안": "U+C548", "녕": "U+B155", "👋": "U+1F44B"}
"""What stands for a character that matplotlib's font lacks, or that nobody sees."""


def draw() -> Figure:
    """A box for each byte, below the character that it belongs to."""
    count = len(TEXT.encode())
    figure = Figure(figsize=(10, 2.3))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.2, count + 0.2), ylim=(0, 3.2))
    axes.axis("off")
    x = 0
    for character in TEXT:
        data = character.encode()
        middle = x + len(data) / 2
        axes.text(middle, 2.75, NAMES.get(character, character), ha="center", va="center")
        axes.plot([x + 0.1, x + len(data) - 0.1], [2.35, 2.35], color=GRAY, linewidth=1)
        for index, byte in enumerate(data):
            color = ORANGE if index else BLUE
            axes.add_patch(
                FancyBboxPatch(
                    (x + 0.1, 1.35), 0.8, 0.75, boxstyle="round,pad=0.02", color=color, alpha=0.25
                )
            )
            axes.text(x + 0.5, 1.72, str(byte), ha="center", va="center")
            x += 1
    for at, color, text in (
        (0, BLUE, "the first byte of a character says how long it is"),
        (9, ORANGE, "the bytes that follow begin with the bits 10"),
    ):
        axes.add_patch(
            FancyBboxPatch(
                (at + 0.1, 0.4), 0.3, 0.3, boxstyle="round,pad=0.02", color=color, alpha=0.25
            )
        )
        axes.text(at + 0.6, 0.55, text, va="center", fontsize=10)
    return figure


if __name__ == "__main__":
    save(draw(), __file__)
