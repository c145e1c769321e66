"""Chapter 7: counts of pairs, an average of the past, and a head that looks for vowels."""

from collections import Counter
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from style import save

from pytok.chat.example import example_chat

LETTERS = " aeiouhlnrst"
LINE = "we go home now"


def pair_probabilities() -> NDArray[np.float64]:
    """The probability of each of `LETTERS` after each of them."""
    chat = example_chat(4000)
    text = "".join(f"{m.text}\n" for m in chat if m.sender == "Jonas" and m.kind == "text")
    pairs = Counter(pairwise(text))
    counts = np.array([[pairs[first, second] for second in LETTERS] for first in LETTERS])
    return counts / np.array([[sum(n for p, n in pairs.items() if p[0] == c)] for c in LETTERS])


def causal_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights of each row, zero above the diagonal."""
    weights = np.tril(np.exp(scores - scores.max()))
    return weights / weights.sum(1, keepdims=True)


def show(axes: Axes, values: NDArray[np.float64], labels: str, title: str, columns: str) -> None:
    """Draw *values* as squares, darker for larger ones, with row 0 at the top."""
    axes.pcolormesh(values, cmap="Blues", vmin=0, vmax=1)
    ticks = np.arange(len(labels)) + 0.5
    names = [label.replace(" ", "␣") for label in labels]
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, names)
    axes.tick_params(length=0, labelsize=9)
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(columns)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw() -> Figure:
    """Three squares of weights; a row is what one token uses, or predicts."""
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    show(left, pair_probabilities(), LETTERS, "counts of pairs", "the next letter")
    size = len(LINE)
    show(
        middle, causal_softmax(np.zeros((size, size))), LINE, "all scores 0: an average", "looks at"
    )
    vowels = np.array([letter in "aeiou" for letter in LINE])
    scores = np.broadcast_to(6 * vowels + 0.5 * np.arange(size), (size, size))
    show(right, causal_softmax(scores), LINE, "a head that looks for the latest vowel", "looks at")
    return figure


if __name__ == "__main__":
    save(draw(), __file__)
