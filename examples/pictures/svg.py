"""What all pictures have in common: two palettes, one font, and text for SVG."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

from pytok.atomic import replace_file

ROOT = Path(__file__).resolve().parent.parent.parent
IMAGES = ROOT / "docs/images"

MONOSPACE = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
SANS = "system-ui,-apple-system,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif"


@dataclass(frozen=True)
class Palette:
    """The colors of a picture on a light or a dark page (those of GitHub)."""

    name: str
    page: str
    surface: str
    edge: str
    text: str
    faint: str
    accent: str
    other: str
    terminal: tuple[str, ...]
    """The first eight colors of a terminal."""


LIGHT = Palette(
    name="light",
    page="#ffffff",
    surface="#f6f8fa",
    edge="#d1d9e0",
    text="#1f2328",
    faint="#59636e",
    accent="#0969da",
    other="#afb8c1",
    terminal=(
        "#1f2328",
        "#cf222e",
        "#116329",
        "#7d4e00",
        "#0969da",
        "#8250df",
        "#1b7c83",
        "#59636e",
    ),
)
DARK = Palette(
    name="dark",
    page="#0d1117",
    surface="#151b23",
    edge="#3d444d",
    text="#f0f6fc",
    faint="#9198a1",
    accent="#4493f8",
    other="#656c76",
    terminal=(
        "#656c76",
        "#ff7b72",
        "#3fb950",
        "#d29922",
        "#58a6ff",
        "#bc8cff",
        "#39c5cf",
        "#f0f6fc",
    ),
)
PALETTES = (LIGHT, DARK)


def text(x: float, y: float, content: str, **attributes: object) -> str:
    """Return a text element; underscores in attributes are hyphens."""
    written = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in attributes.items())
    return f'<text x="{x:g}" y="{y:g}"{written}>{escape(content, quote=False)}</text>'


def rectangle(
    x: float, y: float, width: float, height: float, fill: str, **attributes: object
) -> str:
    """Return a rectangle."""
    written = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in attributes.items())
    size = f'width="{width:g}" height="{height:g}"'
    return f'<rect x="{x:g}" y="{y:g}" {size} fill="{fill}"{written}/>'


def write(path: Path, width: float, height: float, font: str, title: str, body: list[str]) -> None:
    """Write a picture; *title* is what a screen reader says."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="{font}" role="img">'
    )
    lines = [head, f"<title>{escape(title)}</title>", *body, "</svg>"]
    replace_file(path, "\n".join(lines).encode() + b"\n")
