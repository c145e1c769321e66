"""Draw the bar charts of the README from the tables of docs/benchmarks.md.

    python -m examples.pictures.speed

writes docs/images/speed-light.svg and speed-dark.svg. The tables are what `python -m benches`
printed, so each figure is written once; `tests/docs/test_pictures.py` compares the pictures with
them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.pictures import svg
from examples.pictures.svg import IMAGES, PALETTES, ROOT, Palette

BENCHMARKS = ROOT / "docs/benchmarks.md"

WIDTH, LABEL, VALUE = 640, 118, 96
"""The width of the picture, of the names at the left, and of the figures at the right."""
BAR, PITCH = 18, 27
"""The height of a bar, and from one to the next."""


@dataclass(frozen=True)
class Chart:
    """A chart of one column of a table: its title, where it is, and which rows it has."""

    title: str
    section: str
    column: str
    unit: str
    rows: Mapping[str, str]
    """What the first cells of a row begin with, and the name to show."""


CHARTS = (
    Chart(
        "Encode English, cl100k, one core: MB/s, more is better",
        "Encode, one thread, cl100k_base",
        "English (5.0 MB, 625)",
        "MB/s",
        {
            "pytok | list": "pytok",
            "gigatoken | list": "gigatoken",
            "toktok | list": "toktok",
            "splintr | list": "splintr",
            "quicktok | list": "quicktok",
            "riptoken | list": "riptoken",
            "rs-bpe | list": "rs-bpe",
            "bpe-openai | list": "bpe-openai",
            "tiktoken | list": "tiktoken",
            "tokenizers | list": "tokenizers",
        },
    ),
    Chart(
        "Train 50,257 ids on 200 MB of English, two cores: seconds, less is better",
        "50,257 ids, English, 200.0 MB",
        "seconds",
        "s",
        {
            "pytok": "pytok",
            "gigabpe": "gigabpe",
            "gigatoken": "gigatoken",
            "rustbpe": "rustbpe",
            "tokenizers, documents": "tokenizers",
        },
    ),
)


def main() -> None:
    """Write both pictures."""
    IMAGES.mkdir(exist_ok=True)
    for palette in PALETTES:
        draw(IMAGES / f"speed-{palette.name}.svg", palette)


def draw(path: Path, palette: Palette) -> None:
    """Write the picture for *palette*."""
    body, y = [], 0.0
    for chart in CHARTS:
        figures = read_column(chart)
        y += 24
        body.append(svg.text(0, y, chart.title, font_size=16, font_weight=600, fill=palette.text))
        y += 14
        greatest = max(figures.values())
        for name, figure in figures.items():
            body += bar(name, figure, figure / greatest, y, chart.unit, palette)
            y += PITCH
        y += 10
    title = "; ".join(chart.title for chart in CHARTS)
    svg.write(path, WIDTH, y, svg.SANS, title, body)


def bar(
    name: str, figure: float, fraction: float, y: float, unit: str, palette: Palette
) -> Sequence[str]:
    """Return a bar with its name and its figure."""
    ours = name == "pytok"
    length = max(2.0, fraction * (WIDTH - LABEL - VALUE))
    shown = f"{figure:.2f}" if figure < 10 and unit == "s" else f"{figure:.0f}"
    weight = {"font_size": 16, "font_weight": 700 if ours else 400, "fill": palette.text}
    return (
        svg.text(LABEL - 10, y + 14, name, text_anchor="end", **weight),
        svg.rectangle(LABEL, y, length, BAR, palette.accent if ours else palette.other, rx=2),
        svg.text(LABEL + length + 8, y + 14, f"{shown} {unit}", **weight),
    )


def read_column(chart: Chart) -> dict[str, float]:
    """Return the figures of *chart* by name, from the table of its section.

    A section, a column or a row that is not there is an error, which names it.
    """
    text = BENCHMARKS.read_text(encoding="utf-8")
    found = re.search(rf"^### {re.escape(chart.section)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    if found is None:
        raise SystemExit(f"docs/benchmarks.md has no section {chart.section!r}")
    header, _, *rows = [line.strip("| \n") for line in found[1].splitlines() if line[:1] == "|"]
    column = [cell.strip() for cell in header.split("|")].index(chart.column)
    figures = {}
    for start, name in chart.rows.items():
        (row,) = [row for row in rows if row.startswith(f"{start} |")]
        figures[name] = float(row.split("|")[column].split()[0].replace(",", ""))
    return figures


if __name__ == "__main__":
    main()
