"""Chapter 5: the merges that make one token of the license's tokenizer."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from style import BLUE, GRAY, ORANGE, save

import pytok
from pytok.reference.encode import merges
from pytok.reference.vocab import Vocab

LICENSE = Path(__file__).parents[3] / "LICENSE-APACHE"
TOKEN = b" Contribution"


def draw() -> Figure:
    """A box for each token, above its two parts, over the bytes that it spells."""
    tokenizer = pytok.train([LICENSE.read_text(encoding="utf-8")], 512, special_tokens=())
    vocab = Vocab([tokenizer.decode_single_token_bytes(id) for id in range(512)])
    parts = merges(vocab)
    figure = Figure(figsize=(9, 4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")

    def stack(rank: int, start: float) -> int:
        """Draw the token above its parts, and return the height of its box."""
        text = vocab.tokens[rank].decode().replace(" ", "·")
        pair = parts[rank]
        height = 0
        if pair is not None:
            left, right = pair
            middle = start + len(vocab.tokens[left])
            height = 1 + max(stack(left, start), stack(right, middle))
        box = FancyBboxPatch(
            (start + 0.08, height + 0.1),
            len(text) - 0.16,
            0.76,
            boxstyle="round,pad=0.02",
            color=ORANGE if pair else BLUE,
            alpha=0.25,
        )
        axes.add_patch(box)
        x = start + len(text) / 2
        axes.text(x, height + 0.58, text, ha="center", va="center", family="monospace")
        axes.text(x, height + 0.28, str(rank), ha="center", va="center", fontsize=8, color=GRAY)
        return height

    top = stack(vocab.ranks[TOKEN], 0)
    axes.set(xlim=(-0.1, len(TOKEN) + 0.1), ylim=(-0.1, top + 1.1))
    return figure


if __name__ == "__main__":
    save(draw(), __file__)
