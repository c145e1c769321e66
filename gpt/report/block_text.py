"""A block as text: boxes and lines of characters, for terminals of 80 columns."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Sequence

from gpt.model.anatomy import Anatomy, Node
from gpt.report.block import Box, Lane, boxes_of, lanes_of, stream_of

WIDTH = 80
"""Columns of the text."""
NO_BREAK = "\u00a0"
STEP = 3
"""Columns between lanes."""
UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
LINES = {
    UP | DOWN: "│", LEFT | RIGHT: "─", DOWN | RIGHT: "╭", DOWN | LEFT: "╮", UP | RIGHT: "╰",
    UP | LEFT: "╯", UP | DOWN | RIGHT: "├", UP | DOWN | LEFT: "┤", DOWN | LEFT | RIGHT: "┬",
    UP | LEFT | RIGHT: "┴", UP | DOWN | LEFT | RIGHT: "┼",
    UP: "│", DOWN: "│", LEFT: "─", RIGHT: "─",
}  # fmt: skip
"""Characters by the directions in which they have a line."""


class _Canvas:
    """Characters in rows; lines that meet are joined."""

    def __init__(self) -> None:
        self._lines: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._text: dict[tuple[int, int], str] = {}
        self.height = 0

    def write(self, row: int, column: int, text: str) -> None:
        """Write *text*, over lines."""
        self.height = max(self.height, row + 1)
        for index, letter in enumerate(text):
            self._text[row, column + index] = letter

    def vertical(self, column: int, first: int, last: int) -> None:
        """Draw a line from row *first* to row *last*, from the middle of a character to another."""
        self.height = max(self.height, last + 1)
        for row in range(first, last):
            self._lines[row, column] |= DOWN
            self._lines[row + 1, column] |= UP

    def horizontal(self, row: int, first: int, last: int) -> None:
        """Draw a line from column *first* to column *last*."""
        self.height = max(self.height, row + 1)
        for column in range(first, last):
            self._lines[row, column] |= RIGHT
            self._lines[row, column + 1] |= LEFT

    def render(self) -> str:
        """Return the rows as text."""
        cells = {cell: LINES[lines] for cell, lines in self._lines.items()} | self._text
        width = 1 + max(column for _, column in cells)
        rows = (
            "".join(cells.get((row, column), " ") for column in range(width))
            for row in range(self.height)
        )
        return "\n".join(row.rstrip() for row in rows)


def block_text(anatomy: Anatomy, layer: int) -> str:
    """Draw the block *layer* of *anatomy*."""
    nodes, boxes, lanes = anatomy.nodes, boxes_of(anatomy, layer), lanes_of(anatomy.nodes)
    left = STEP * (1 + max((each.lane for each in lanes), default=-1))
    middle = left + (WIDTH - left) // 2
    canvas, rows, row = _Canvas(), [], 0
    for index, box in enumerate(boxes):
        first = row
        if nodes[index].module is None:
            text = box.title if index else f"x: {stream_of(anatomy.model.config)}"
            canvas.write(row, middle - len(text) // 2, text)
        else:
            row = _draw_box(canvas, box, row, left, middle)
        rows.append((first, row))
        starts = any(each.source == index for each in lanes)
        ends = any(each.target == index + 1 for each in lanes) and _is_box(nodes, index + 1)
        below = row + 2 + (starts and ends)  # lanes start in a row of their own, and end in one
        if index + 1 < len(nodes) and index in nodes[index + 1].sources:
            canvas.vertical(middle, row, below)
        elif starts:
            canvas.vertical(middle, row, row + 1)
        row = below
    for each in lanes:
        _draw_lane(canvas, each, rows, _is_box(nodes, each.target), left, middle)
    out = stream_of(anatomy.model.config)
    canvas.write(row, middle - len(out) // 2, out)
    canvas.vertical(middle, row - 2, row)
    return canvas.render()


def _is_box(nodes: Sequence[Node], index: int) -> bool:
    return index < len(nodes) and nodes[index].module is not None


def _draw_box(canvas: _Canvas, box: Box, row: int, left: int, middle: int) -> int:
    """Draw *box* from *row* on; return its last row."""
    inner = WIDTH - left - 4
    lines = [f"{box.title}: {box.kind}"]
    lines += textwrap.wrap(box.formula, inner, break_on_hyphens=False)
    for parts in (box.settings, box.axes, box.weights):
        lines += _wrapped(parts, inner)
    last = row + len(lines) + 1
    right = WIDTH - 1
    for edge in (row, last):
        canvas.horizontal(edge, left, right)
    for edge in (left, right):
        canvas.vertical(edge, row, last)
    canvas.vertical(middle, row - 1, row)
    for number, line in enumerate(lines, 1):
        canvas.write(row + number, left + 2, line)
    count = f"{box.parameters:,} parameters"
    if len(lines[0]) + len(count) < inner:
        canvas.write(row + 1, right - 1 - len(count), count)
    return last


def _wrapped(parts: Sequence[str], width: int) -> list[str]:
    """Return *parts* in lines of *width*, which break between parts if they can."""
    text = " · ".join(part.replace(" ", NO_BREAK) for part in parts)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [
        piece
        for line in lines
        for piece in textwrap.wrap(line.replace(NO_BREAK, " "), width, break_on_hyphens=False)
    ]


def _draw_lane(
    canvas: _Canvas, lane: Lane, rows: list[tuple[int, int]], into_box: bool, left: int, middle: int
) -> None:
    """Draw *lane* from below its source to the row of its target, or above it if it is a box."""
    column = left - STEP * (lane.lane + 1)
    start = rows[lane.source][1] + 1
    first = rows[lane.target][0]
    end = first - 1 if into_box else first
    canvas.horizontal(start, column, middle)
    canvas.vertical(column, start, end)
    canvas.horizontal(end, column, middle - (0 if into_box else 1))
    if not into_box:
        canvas.write(end, middle - 1, "▶")
