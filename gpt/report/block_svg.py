"""A block as an SVG image: the same boxes and lines as in `gpt.report.block_text`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from xml.sax.saxutils import escape

from gpt.model.anatomy import Anatomy
from gpt.report.block import Box, Lane, boxes_of, lanes_of, stream_of

WIDTH = 720
"""Width of the image in pixels."""
MARGIN = 28
LANE = 26
"""Distance between lanes."""
GAP = 46
"""Height of the line between two nodes."""
LINE = 19
"""Height of a line of text."""
RADIUS = 11
"""Radius of the circle of an operation, and of the corners of lanes."""
LETTER = 6.3
"""Width of a letter, on average."""
COLORS = {"attention": "#3565c4", "mlp": "#c2611f", "norm": "#7a8494"}
"""Colors of boxes by the last word of their titles."""
OTHER = "#2c8a63"
STYLE = """
text { font-family: Helvetica, Arial, 'DejaVu Sans', sans-serif; font-size: 12.5px; fill: #37404d }
.title { font-weight: bold; font-size: 14px }
.muted { fill: #7a8494 }
.formula { font-style: italic; fill: #1d232b }
.mono { font-family: Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: 11.5px }
.line { fill: none; stroke: #56606e; stroke-width: 1.6 }
"""


def block_svg(anatomy: Anatomy, layer: int) -> str:
    """Draw the block *layer* of *anatomy*; return the SVG document."""
    nodes, boxes, lanes = anatomy.nodes, boxes_of(anatomy, layer), lanes_of(anatomy.nodes)
    left = MARGIN + LANE * (1 + max((each.lane for each in lanes), default=-1))
    middle = left + (WIDTH - MARGIN - left) // 2
    stream = stream_of(anatomy.model.config)
    parts, spans, y = [], [], MARGIN
    for index, box in enumerate(boxes):
        if nodes[index].module is not None:
            height, drawn = _box(box, left, y)
        elif index:
            height, drawn = 2 * RADIUS, [_operation(box.title, middle, y + RADIUS)]
        else:
            height, drawn = LINE, [_text(middle, y + 13, f"x: {stream}", "mono", "middle")]
        spans.append((y, y + height))
        parts += drawn
        y += height + GAP
    for index, node in enumerate(nodes[1:], 1):
        if index - 1 in node.sources:
            parts.append(_arrow(f"M{middle} {spans[index - 1][1]} V{spans[index][0]}"))
    parts.append(_arrow(f"M{middle} {spans[-1][1]} V{y}"))
    parts.append(_text(middle, y + 16, stream, "mono", "middle"))
    for each in lanes:
        into_box = nodes[each.target].module is not None
        parts.append(_lane(each, spans, into_box, left, middle))
    return _document(parts, y + LINE + MARGIN)


def _document(parts: Sequence[str], height: int) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}">\n<style>{STYLE}</style>\n'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0.5 L8 4 L0 7.5 z" fill="#56606e"/></marker>'
        f'</defs>\n<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _box(box: Box, left: int, y: int) -> tuple[int, list[str]]:
    """Draw *box* from *y* on; return its height and its parts."""
    width = WIDTH - MARGIN - left
    color = COLORS.get(box.title.rpartition(" ")[2], OTHER)
    letters = int((width - 40) / LETTER)
    lines = [("formula", line) for line in textwrap.wrap(box.formula, letters)]
    lines += [("", line) for line in textwrap.wrap(" · ".join(box.settings), letters)]
    lines += [("mono", line) for line in box.axes]
    for weights in _rows(box.weights, int((width - 40) / (LETTER * 1.12))):
        lines.append(("mono muted", weights))
    height = 34 + LINE * len(lines) + (6 if lines else 0)
    x = left + 20
    parts = [
        f'<rect x="{left}" y="{y}" width="{width}" height="{height}" rx="7" fill="{color}" '
        f'fill-opacity="0.07" stroke="{color}" stroke-opacity="0.55"/>',
        f'<rect x="{left}" y="{y}" width="6" height="{height}" rx="3" fill="{color}"/>',
        f'<text x="{x}" y="{y + 23}"><tspan class="title" fill="{color}">{escape(box.title)}'
        f'</tspan><tspan dx="9" class="muted">{escape(box.kind)}</tspan></text>',
        _text(left + width - 16, y + 23, f"{box.parameters:,} parameters", "muted", "end"),
    ]
    for number, (style, line) in enumerate(lines):
        parts.append(_text(x, y + 45 + LINE * number, line, style))
    return height, parts


def _rows(parts: Sequence[str], letters: int) -> list[str]:
    """Return *parts* in lines of at most about *letters* letters."""
    rows: list[str] = []
    for part in parts:
        if rows and len(rows[-1]) + len(part) + 3 <= letters:
            rows[-1] += f" · {part}"
        else:
            rows.append(part)
    return rows


def _operation(sign: str, x: int, y: int) -> str:
    return (
        f'<circle cx="{x}" cy="{y}" r="{RADIUS}" fill="#ffffff" stroke="#56606e" '
        f'stroke-width="1.6"/><text x="{x}" y="{y + 5}" text-anchor="middle" '
        f'class="title">{escape(sign)}</text>'
    )


def _text(x: int, y: int, text: str, style: str = "", anchor: str = "start") -> str:
    style = f' class="{style}"' if style else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{style}>{escape(text)}</text>'


def _arrow(path: str) -> str:
    return f'<path class="line" d="{path}" marker-end="url(#arrow)"/>'


def _lane(lane: Lane, spans: list[tuple[int, int]], into_box: bool, left: int, middle: int) -> str:
    """Draw *lane* from below its source to the side of its target, or onto it if it is a box."""
    x, start, r = left - LANE * (lane.lane + 1) + 8, spans[lane.source][1] + GAP // 3, RADIUS
    top, bottom = spans[lane.target]
    path = f"M{middle} {spans[lane.source][1]} V{start} H{x + r} Q{x} {start} {x} {start + r} "
    if into_box:
        end = top - GAP // 3
        return _arrow(
            path + f"V{end - r} Q{x} {end} {x + r} {end} H{middle - r} "
            f"Q{middle} {end} {middle} {top}"
        )
    end = (top + bottom) // 2
    return _arrow(path + f"V{end - r} Q{x} {end} {x + r} {end} H{middle - RADIUS}")
