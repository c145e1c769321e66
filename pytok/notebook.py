"""What a notebook shows: tokenizers, colored tokens, progress.

Colors are of text and background both, so they are legible on light and on dark pages, and all text
is escaped. Nothing of IPython is imported unless a notebook runs.
"""

import html
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from pytok.terminal import BAR_DELAY, BAR_PAUSE, COLORS, Stage, escaped

INK = "#1f1f1f"
"""Color of text on the backgrounds of `COLORS`."""
SHOWN_IDS = 512
"""Most ids that are listed below a text."""


class Display(Protocol):
    """Something that a notebook shows, and that can be replaced."""

    def update(self, content: Any) -> object:
        """Show *content* instead."""


def is_running() -> bool:
    """Return whether the process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def show_html(content: str) -> Display:
    """Show *content* in the output of the cell that runs; return what can replace it."""
    from IPython.display import HTML, display

    handle: Display = display(HTML(content), display_id=True)
    return handle


def update_html(handle: Display, content: str) -> None:
    """Show *content* instead of what *handle* showed."""
    from IPython.display import HTML

    handle.update(HTML(content))


def bar_html(fraction: float | None, text: str) -> str:
    """Return a progress bar, of an unknown length if *fraction* is None, with *text* after it."""
    value = "" if fraction is None else f' value="{min(1.0, fraction):.4f}"'
    return (
        f'<div style="font-family:monospace"><progress{value} max="1" '
        f'style="width:20em;vertical-align:middle"></progress> {html.escape(text)}</div>'
    )


class NotebookBars:
    """Progress bars in a notebook, one for each stage, if the work takes a while.

    `update` is a progress callback of `pytok.train`.
    """

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._next = self._start + BAR_DELAY
        self._stages: dict[str, Stage] = {}
        self._display: Display | None = None

    def update(self, stage: str, done: int, total: int) -> None:
        """Show that *done* of *total* is done, in bytes or in the unit of the stage."""
        now = time.monotonic()
        self._stages.setdefault(stage, Stage(stage, now)).add(done, total, now)
        is_over = self._display is not None and done == total
        if now < self._next and not is_over:
            return
        self._next = now + BAR_PAUSE
        content = "".join(map(_stage_html, self._stages.values()))
        if self._display is None:
            self._display = show_html(content)
        else:
            update_html(self._display, content)


def _stage_html(stage: Stage) -> str:
    fraction = stage.done / stage.total if stage.total else None
    parts = [stage.name, *stage.amounts()]
    if stage.seconds_left is not None:
        parts.append(f"{stage.seconds_left:,.0f} s left")
    return bar_html(fraction, " · ".join(parts))


class ShownText:
    """A text as its tokens: colored in a notebook, with bars between them elsewhere."""

    def __init__(self, tokens: Sequence[bytes], ids: Sequence[int]) -> None:
        self.tokens, self.ids = list(tokens), list(ids)
        """The bytes of each token, and its id."""

    def __repr__(self) -> str:
        text = "|".join(escaped(_text_of(token)) for token in self.tokens)
        return f"{text}\n{self._size}: {self.ids}"

    @property
    def _size(self) -> str:
        size = sum(map(len, self.tokens))
        count = len(self.tokens)
        rate = f", {size / count:.2f} bytes per token" if count else ""
        return f"{count:,} token{'s' * (count != 1)}, {size:,} byte{'s' * (size != 1)}{rate}"

    def _repr_html_(self) -> str:
        spans = tokens_html(zip(self.tokens, self.ids, strict=True))
        more = len(self.ids) - SHOWN_IDS
        ids = " ".join(map(str, self.ids[:SHOWN_IDS])) + (f" … {more:,} more" if more > 0 else "")
        return (
            f'<div><div style="font-family:monospace;line-height:1.7">{spans}</div>'
            f'<div style="opacity:0.7;font-size:85%">{self._size}<br>{ids}</div></div>'
        )


def tokens_html(tokens: Iterable[tuple[bytes, int]]) -> str:
    """Return colored *tokens*, side by side; pointing at one shows its id and its bytes."""
    return "".join(
        f'<span title="{id}: {html.escape(repr(token)[1:])}" style="background:'
        f"{COLORS[number % len(COLORS)].removeprefix('on ')};color:{INK};border-radius:2px;"
        f'white-space:pre-wrap">{html.escape(escaped(_visible(token)))}</span>'
        + ("<br>" if token.endswith(b"\n") else "")
        for number, (token, id) in enumerate(tokens)
    )


def facts_html(title: str, facts: Mapping[str, str], tokens: Iterable[tuple[bytes, int]]) -> str:
    """Return a table of *facts* below *title*, with a row of colored *tokens*."""
    rows = {name: html.escape(escaped(value)) for name, value in facts.items()}
    rows["first merges"] = tokens_html(tokens) or "none"
    cell = 'style="text-align:left;vertical-align:top"'
    body = "".join(
        f"<tr><th {cell}>{name}</th><td {cell}>{value}</td></tr>" for name, value in rows.items()
    )
    return f"<table><caption>{html.escape(escaped(title))}</caption>{body}</table>"


def _text_of(token: bytes) -> str:
    """Return *token* as text; bytes of an incomplete character are escaped."""
    return token.decode("utf-8", "backslashreplace")


def _visible(token: bytes) -> str:
    return _text_of(token).replace("\n", "⏎").replace("\t", "→")
