"""Chapter 6: tokens of the same article in ten languages.

`--measure` counts them; it downloads the ranks, unless they are in the cache of tiktoken or pytok.
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure
from style import BLUE, GREEN, ORANGE, save

import pytok

MEASURED = Path(__file__).with_suffix(".json")
TEXTS = Path(__file__).parent.parent / "languages.json"
ENCODINGS = {"GPT-2": "r50k_base", "GPT-4": "cl100k_base", "GPT-4o": "o200k_base"}
COLORS = dict(zip(ENCODINGS, (ORANGE, BLUE, GREEN), strict=True))


def measured() -> dict[str, dict[str, int]]:
    """Return the number of tokens by model and language."""
    texts = json.loads(TEXTS.read_text(encoding="utf-8"))
    encodings = {model: pytok.get_encoding(name) for model, name in ENCODINGS.items()}
    return {
        model: {language: encoding.count(text) for language, text in texts.items()}
        for model, encoding in encodings.items()
    }


def draw() -> Figure:
    """Three bars for each language."""
    tokens = json.loads(MEASURED.read_text(encoding="utf-8"))
    languages = list(tokens["GPT-2"])
    figure = Figure(figsize=(8, 5))
    axes = figure.add_subplot()
    for index, (model, counts) in enumerate(tokens.items()):
        rows = [row + 0.26 * (index - 1) for row in range(len(languages))]
        axes.barh(rows, list(counts.values()), height=0.24, color=COLORS[model], label=model)
        for row, count in zip(rows, counts.values(), strict=True):
            axes.annotate(
                str(count),
                (count, row),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
    axes.set_yticks(range(len(languages)), languages)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(title="Tokens of the same article", xlabel="tokens", xlim=(0, 320))
    axes.legend(loc="lower right", frameon=False)
    return figure


if __name__ == "__main__":
    if "--measure" in sys.argv:
        MEASURED.write_text(json.dumps(measured(), indent=2) + "\n", encoding="utf-8")
    save(draw(), __file__)
