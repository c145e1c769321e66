"""What the figures of the chapters share: colors, sizes, and files that are the same each time."""

import io
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PURPLE, GRAY = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
    "#6b7280",
)
"""Colors that color-blind readers can distinguish (Okabe and Ito 2008), and a gray for notes."""

IMAGES = Path(__file__).parent.parent / "images"

matplotlib.rcParams.update(
    {
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "figure.facecolor": "white",
        "figure.figsize": (8, 4),
        "font.size": 11,
        "grid.color": "#e5e7eb",
        "axes.axisbelow": True,
        "svg.hashsalt": "docs/learn",  # ids of elements are random without it
    }
)


def svg(figure: Figure) -> str:
    """Return *figure* as SVG. The same figure gives the same text, under one matplotlib."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def save(figure: Figure, script: str) -> None:
    """Write the image of *script*, which is its `__file__`: NN_name.py to images/NN-name.svg."""
    path = IMAGES / f"{Path(script).stem.replace('_', '-')}.svg"
    path.write_text(svg(figure), encoding="utf-8")
