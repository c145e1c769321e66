"""Chapter 12: a conversation as tokens, and which of them count in the loss."""

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from style import BLUE, GRAY, ORANGE, save

import pytok
from pytok.chat.example import example_chat
from pytok.chat.template import Conversation, Template, Turn

TURNS = (Turn("Jonas", "Are you going swimming?"), Turn("Mara", "no way, it is raining lol"))
COLORS = {"special": GRAY, "read": BLUE, "trained": ORANGE}
NAMES = {
    "special": "the template's tokens: read only",
    "read": "of Jonas: read only",
    "trained": "of Mara, and the end of her turn: in the loss",
}


def pieces() -> list[tuple[str, str]]:
    """Each token of the conversation as text, and what it is."""
    template = Template(speakers=("Mara", "Jonas"), me="Mara")
    texts = [m.text for m in example_chat(2000) if m.kind == "text"]
    tokenizer = template.extend(pytok.train(texts, 400, pattern="gpt2"))
    special = {id: name for name, id in tokenizer.special_tokens.items()}
    ids, mask = template.render(Conversation(TURNS), tokenizer)
    return [
        (
            special.get(id) or tokenizer.decode([id]).replace(" ", "␣"),
            "trained" if counts else "special" if id in special else "read",
        )
        for id, counts in zip(ids, mask, strict=True)
    ]


def draw() -> Figure:
    """Boxes from left to right, a row for each turn, and a legend."""
    figure = Figure(figsize=(10, 2.3))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    x, y = 0.1, 1.9
    for text, kind in pieces():
        if text.startswith("<|speaker_0"):
            x, y = 0.1, 1.2
        width = 0.16 + 0.088 * len(text)
        axes.add_patch(
            FancyBboxPatch(
                (x, y - 0.2), width, 0.4, boxstyle="round,pad=0.02", color=COLORS[kind], alpha=0.22
            )
        )
        axes.text(x + width / 2, y, text, ha="center", va="center", family="monospace", fontsize=10)
        x += width + 0.1
    x = 0.1
    for kind, name in NAMES.items():
        axes.add_patch(
            FancyBboxPatch(
                (x, 0.42), 0.2, 0.16, boxstyle="round,pad=0.02", color=COLORS[kind], alpha=0.22
            )
        )
        axes.text(x + 0.34, 0.5, name, va="center", fontsize=10)
        x += 0.6 + 0.076 * len(name)
    axes.set(xlim=(0, 10), ylim=(0.2, 2.3))
    return figure


if __name__ == "__main__":
    save(draw(), __file__)
