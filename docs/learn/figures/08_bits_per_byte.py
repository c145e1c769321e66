"""Chapter 8: three counted models by the size of the vocabulary, in both units."""

import math
from collections import Counter
from itertools import pairwise

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from style import BLUE, GREEN, ORANGE, save

import pytok
from pytok.chat.example import example_chat

SIZES = (256, 320, 400, 512, 640, 800, 1024)
MODELS = (("guess evenly", ORANGE), ("count tokens", GREEN), ("count pairs", BLUE))


def texts() -> tuple[str, str]:
    """The training text and the held-out text of the chapter."""
    chat = example_chat(4000)
    lines = [f"{m.text}\n" for m in chat if m.sender == "Jonas" and m.kind == "text"]
    cut = len(lines) * 9 // 10
    return "".join(lines[:cut]), "".join(lines[cut:])


def losses(train: list[int], val: list[int], vocab_size: int) -> tuple[float, float, float]:
    """The nats per token of the three models, as in the chapter."""
    single, pairs = Counter(train), Counter(pairwise(train))
    alone = [(single[token] + 1) / (len(train) + vocab_size) for token in range(vocab_size)]
    after = [
        0.9 * pairs[pair] / max(1, single[pair[0]]) + 0.1 * alone[pair[1]] for pair in pairwise(val)
    ]
    return (
        math.log(vocab_size),
        -sum(math.log(alone[token]) for token in val) / len(val),
        -sum(map(math.log, after)) / len(after),
    )


def draw() -> Figure:
    """Nats per token on the left, bits per byte on the right."""
    train, val = texts()
    nats, bits = [], []
    for size in SIZES:
        tokenizer = pytok.train([train], size, pattern="gpt2", special_tokens=())
        ids = tokenizer.encode_ordinary(val)
        nats.append(losses(tokenizer.encode_ordinary(train), ids, size))
        per_byte = len(ids) / len(val.encode()) / math.log(2)
        bits.append([loss * per_byte for loss in nats[-1]])
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, rows, title in ((left, nats, "nats per token"), (right, bits, "bits per byte")):
        for index, (name, color) in enumerate(MODELS):
            axes.plot(SIZES, [row[index] for row in rows], "o-", color=color, label=name)
        axes.set_title(title)
        axes.set_xlabel("size of the vocabulary")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator([256, 512, 1024]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels(["256", "512", "1024"])
        axes.set_ylim(0, 8.4)
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    save(draw(), __file__)
