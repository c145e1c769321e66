"""Attention windows in the configs of other software: one size, and which layers have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpt.errors import FormatError
from gpt.interop.fields import Fields
from gpt.spec.pattern import Causal, Window
from pytok.text import quoted

PATTERN = "attention.pattern"
"""Our field of the patterns, here a list: the window of each layer, None for the full context."""
FULL, SLIDING = "full_attention", "sliding_attention"


@dataclass(frozen=True)
class Windows:
    """The window of each layer, which includes the token itself here and there."""

    size: str = "sliding_window"
    """Name of the number of tokens; null is the full context."""
    default: int | None = None
    """Its value if it is missing."""
    flag: str = ""
    """Name of a field that must be true for windows; empty if there is none."""
    types: str = ""
    """Name of a list with the kind of each layer; empty if all layers have the window."""
    every: int | None = None
    """Without that list, which layers attend to the full context: every n-th."""
    full: str = FULL
    """Kind of a layer without a window."""
    sliding: str = SLIDING
    """Kind of a layer with one."""

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return the names of the fields."""
        return tuple(filter(None, (self.size, self.flag, self.types)))

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read the windows of all layers."""
        layers, context = ours["layers"], ours["context"]
        size = self.default
        if self.size in fields.values:
            size = fields.get(self.size, int, None)
        if self.flag and not fields.get(self.flag, bool, False):
            size = None
        kinds = fields.get(self.types, list, None) if self.types else None
        if kinds is None:
            windows = [None if self.every and not n % self.every else size for n in _from_1(layers)]
        elif len(kinds) != layers and size is not None:
            raise FormatError(f"{self.types} has {len(kinds)} layers, not {layers}")
        else:
            windows = [self._window(kind, size) for kind in kinds]
        ours[PATTERN] = clipped(windows, context)

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write the windows of all layers."""
        windows = ours.get(PATTERN)
        sizes = set(windows or ()) - {None}
        if windows is None or len(sizes) > 1:
            return {}
        written: dict[str, Any] = {self.size: next(iter(sizes), None)}
        if self.flag:
            written[self.flag] = bool(sizes)
        if self.types:
            written[self.types] = [self.full if each is None else self.sliding for each in windows]
        return written

    def _window(self, kind: object, size: int | None) -> int | None:
        if kind == self.full:
            return None
        if kind != self.sliding:
            raise FormatError(
                f"{self.types} has {quoted(kind)}; supported: {self.full!r}, {self.sliding!r}"
            )
        if size is None:
            raise FormatError(f"{self.types} has {quoted(kind)}, and {self.size} is not set")
        return size


def clipped(windows: Sequence[int | None], context: int) -> list[int | None]:
    """Return *windows* with None for those that are not shorter than the context."""
    return [None if window is None or window >= context else window for window in windows]


def windows_of(patterns: Sequence[Any], context: int) -> list[int | None] | None:
    """Return the windows of the *patterns* of all layers; None if one of them is no window."""
    layers = len(patterns)
    if not all(isinstance(each, Causal | Window) for each in patterns):
        return None
    windows = [
        each.in_layer(layer, layers) if isinstance(each, Window) else None
        for layer, each in enumerate(patterns)
    ]
    return clipped(windows, context)


def with_windows(attention: Mapping[str, Any], windows: Sequence[int | None]) -> dict[str, Any]:
    """Return the plain spec *attention* with the *windows* of the layers."""
    layers = len(windows)
    for every in (None, *_from_1(layers)):
        size = next(filter(None, windows), None)
        if size is None:
            return {**attention, "pattern": {"kind": "Causal"}}
        window = Window(size=size, long_every=every)
        if [window.in_layer(layer, layers) for layer in range(layers)] == list(windows):
            pattern = {"kind": "Window", "size": size, "long_every": every}
            return {**attention, "pattern": pattern}
    period = next(
        n for n in _from_1(layers) if all(windows[i] == windows[i % n] for i in range(layers))
    )
    each = [with_windows(attention, [window]) for window in windows[:period]]
    return {"kind": "Interleaved", "layers": each}


def _from_1(layers: int) -> range:
    return range(1, layers + 1)
