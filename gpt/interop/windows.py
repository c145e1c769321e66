"""Attention windows in the configs of other software: one size, and which layers have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpt.errors import FormatError
from gpt.interop.fields import Fields
from gpt.spec.attention import Window
from pytok.text import quoted

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
        ours |= pattern_of(windows, context, f"{self.types or self.size}")

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write the windows of all layers."""
        windows = windows_of(ours)
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


def pattern_of(windows: Sequence[int | None], context: int, name: str) -> dict[str, Any]:
    """Return our fields for the *windows* of the layers; raises FormatError naming the field."""
    windows = [None if window is None or window >= context else window for window in windows]
    sizes = set(windows) - {None}
    if not sizes:
        return {"attention.pattern.kind": "Causal"}
    size, layers = max(size for size in sizes if size), len(windows)
    for every in (None, *range(1, layers + 1)):
        window = Window(size=size, long_every=every)
        if [window.in_layer(layer, layers) for layer in range(layers)] == windows:
            found = {"kind": "Window", "size": size, "long_every": every}
            return {f"attention.pattern.{field}": value for field, value in found.items()}
    raise FormatError(f"{name}: gpt has no such pattern of windows: {quoted(windows)}")


def windows_of(ours: Mapping[str, Any]) -> list[int | None] | None:
    """Return the window of each layer, None for the full context; None for another pattern."""
    prefix, layers = "attention.pattern.", range(ours["layers"])
    if ours.get(f"{prefix}kind") == "Causal":
        return [None for _ in layers]
    if ours.get(f"{prefix}kind") != "Window":
        return None
    window = Window(size=ours[f"{prefix}size"], long_every=ours[f"{prefix}long_every"])
    return [window.in_layer(layer, len(layers)) for layer in layers]


def _from_1(layers: int) -> range:
    return range(1, layers + 1)
