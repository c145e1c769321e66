"""Chapter 2: the length of a text after each merge."""

from pathlib import Path

from matplotlib.figure import Figure
from style import BLUE, GRAY, save

import pytok

TEXT = (Path(__file__).parents[3] / "LICENSE-APACHE").read_text(encoding="utf-8")
MERGES = 256
NAMED = (1, 4, 17, 37, 100)
"""Merges whose tokens the figure names."""


def draw() -> Figure:
    """The number of tokens, over the number of merges."""
    largest = pytok.train([TEXT], 256 + MERGES, pattern="(?s).+", ties="first", special_tokens=())
    lengths = [largest.truncated(256 + merges).count(TEXT) for merges in range(MERGES + 1)]
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot(range(MERGES + 1), lengths, color=BLUE, linewidth=2)
    for merges in NAMED:
        token = largest.decode_single_token_bytes(255 + merges).decode()
        axes.plot(merges, lengths[merges], "o", color=BLUE)
        axes.annotate(
            f'merge {merges}: "{token}"',
            (merges, lengths[merges]),
            xytext=(8, 6),
            textcoords="offset points",
            color=GRAY,
        )
    axes.set(
        title="The license, in tokens",
        xlabel="merges",
        xlim=(0, MERGES),
        ylim=(0, 11_500),
    )
    axes.yaxis.set_major_formatter("{x:,.0f}")
    return figure


if __name__ == "__main__":
    save(draw(), __file__)
