"""Draw recorded terminals as SVG, for a light and a dark page.

    python -m examples.pictures.terminal

draws the casts of docs/images, which `record.py` has written. Where a picture has seconds, the
recorded time is played in so many, by CSS alone, and the last screen stays; where nothing moves, it
is all that is shown. No scripts, nothing from elsewhere.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.pictures import svg
from examples.pictures.recordings import RECORDINGS, Recording
from examples.pictures.screen import Line, Screen, Style
from examples.pictures.svg import IMAGES, PALETTES, Palette

SIZE, WIDTH, HEIGHT = 15, 9, 21
"""The font's size, and the width and height of a cell: 0.6 of the size in common fonts."""
PADDING = 16
IDLE = 1.0
"""Seconds of the recording after which nothing new is waited for."""
FRAME = 0.15
"""Seconds of the animation for which a screen is shown at least."""
BLACK = "#1f2328"
"""Text on a background that the command chose, which is light."""


@dataclass(frozen=True)
class Shown:
    """A line at its index, from a time to another, None for the end."""

    index: int
    line: Line
    start: float
    end: float | None


def main() -> None:
    """Draw all pictures."""
    for name in RECORDINGS:
        draw_recording(name, IMAGES)


def draw_recording(name: str, folder: Path) -> None:
    """Write the pictures of a recording into *folder*."""
    recording = RECORDINGS[name]
    screens = read_cast(recording.cast(name), recording.seconds)
    for palette in PALETTES:
        draw(folder / f"{name}-{palette.name}.svg", screens, recording, palette)


def read_cast(path: Path, seconds: float) -> list[tuple[float, list[Line]]]:
    """Return the screens of a cast, with times from 0 to *seconds*."""
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in rest]
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(events)]
    times = list(itertools.accumulate((min(gap, IDLE) for gap in gaps), initial=0.0))
    screen = Screen(json.loads(first)["width"])
    screens: list[tuple[float, list[Line]]] = []
    for (_, _, text), time in zip(events, times, strict=True):
        screen.feed(text)
        shown = round(time / (times[-1] or 1) * seconds, 2)
        if screens and shown - screens[-1][0] < FRAME:
            screens[-1] = (screens[-1][0], screen.lines())
        else:
            screens.append((shown, screen.lines()))
    while not screens[-1][1][-1]:
        screens[-1][1].pop()
    return screens


def lines_over_time(screens: Sequence[tuple[float, list[Line]]]) -> Iterator[Shown]:
    """Yield each line that is not empty, with the times between which it is shown."""
    for index in range(max(len(lines) for _, lines in screens)):
        states = [(time, lines[index] if index < len(lines) else ()) for time, lines in screens]
        changes = [next(group) for _, group in itertools.groupby(states, lambda state: state[1])]
        ends = [time for time, _ in changes[1:]] + [None]
        for (start, line), end in zip(changes, ends, strict=True):
            if line:
                yield Shown(index, line, start, end)


def draw(
    path: Path,
    screens: Sequence[tuple[float, list[Line]]],
    recording: Recording,
    palette: Palette,
) -> None:
    """Write the picture of *screens* for *palette*."""
    seconds, count = recording.seconds, len(screens[-1][1])
    rows = min(recording.rows, count)
    width, height = recording.columns * WIDTH + 2 * PADDING, rows * HEIGHT + 2 * PADDING
    body = [
        svg.rectangle(0.5, 0.5, width - 1, height - 1, palette.surface, stroke=palette.edge, rx=8),
        f'<svg x="{PADDING}" y="{PADDING}" width="{width - 2 * PADDING}" height="{rows * HEIGHT}">',
        f'<g class="scroll" transform="translate(0,{-(count - rows) * HEIGHT})">',
    ]
    for number, shown in enumerate(lines_over_time(screens)):
        body += _line(shown, number, seconds, palette)
    body += ["</g>", "</svg>"]
    style = _style(screens, rows, seconds) if seconds else []
    svg.write(path, width, height, svg.MONOSPACE, recording.title, [*style, *body])


def _style(screens: Sequence[tuple[float, list[Line]]], rows: int, seconds: float) -> list[str]:
    """Return the CSS that scrolls, and the rule for whoever wants nothing to move."""
    offsets = [(time, max(0, len(lines) - rows)) for time, lines in screens]
    steps = [next(group) for _, group in itertools.groupby(offsets, lambda each: each[1])]
    frames = "".join(
        f"{100 * time / seconds:.2f}%{{transform:translate(0,{-offset * HEIGHT}px)}}"
        for time, offset in steps
    )
    last = f"100%{{transform:translate(0,{-steps[-1][1] * HEIGHT}px)}}"
    return [
        "<style>",
        f"@keyframes scroll{{{frames}{last}}}",
        "@keyframes show{from{opacity:0}to{opacity:1}}",
        "@keyframes pass{from,to{opacity:1}}",
        f".scroll{{animation:scroll {seconds:g}s step-end both}}",
        ".stay{animation:show .01s step-end backwards}",
        ".pass{opacity:0;animation-name:pass}",
        "@media(prefers-reduced-motion){.scroll,.stay,.pass{animation:none}}",
        "</style>",
    ]


def _line(shown: Shown, number: int, seconds: float, palette: Palette) -> Iterator[str]:
    """Yield the elements of a line: a group, so that it appears and disappears as one."""
    if not seconds:
        yield "<g>"
    elif shown.end is None:
        yield f'<g class="stay" style="animation-delay:{shown.start:g}s">'
    else:
        times = f"animation-delay:{shown.start:g}s;animation-duration:{shown.end - shown.start:g}s"
        yield f'<g class="pass" opacity="0" style="{times}">'
    y, column = shown.index * HEIGHT, 0
    for style, group in itertools.groupby(shown.line, lambda cell: cell[1]):
        content = "".join(character for character, _ in group)
        if style.background:
            fill = _color(style.background, palette)
            yield svg.rectangle(column * WIDTH, y, len(content) * WIDTH, HEIGHT, fill)
        if content.strip():
            yield _text(column, y, content, style, palette)
        column += len(content)
    yield "</g>"


def _text(column: int, y: int, content: str, style: Style, palette: Palette) -> str:
    """Return text of one style; its length is that of its cells, whatever the font."""
    start = column + len(content) - len(content.lstrip())
    content = content.strip()
    color = BLACK if style.background else _color(style.color, palette)
    return svg.text(
        start * WIDTH,
        y + 15,
        content,
        font_size=SIZE,
        fill=palette.faint if style.dim else color,
        textLength=len(content) * WIDTH,
        lengthAdjust="spacingAndGlyphs",
        **({"font_weight": "bold"} if style.bold else {}),
        style="white-space:pre",
    )


def _color(color: str, palette: Palette) -> str:
    if not color:
        return palette.text
    return color if color.startswith("#") else palette.terminal[int(color) % 8]


if __name__ == "__main__":
    main()
