"""Attention windows in the configs of other software: one size, and which layers have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpt.errors import FormatError
from gpt.interop.fields import Fields
from gpt.interop.layers import PATTERN, clipped
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
    repeated: str = ""
    """Name of a list of such lists and how often each is repeated (GPT-Neo); empty if there is
    none."""
    every: int | None = None
    """Without that list, which layers attend to the full context: every n-th."""
    needed: bool = False
    """Whether there must be a size even if no layer has a window: it is the context then."""
    full: str = FULL
    """Kind of a layer without a window."""
    sliding: str = SLIDING
    """Kind of a layer with one."""

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return the names of the fields."""
        return tuple(filter(None, (self.size, self.flag, self.types, self.repeated)))

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read the windows of all layers."""
        layers, context = ours["layers"], ours["context"]
        size = self.default
        if self.size in fields.values:
            size = fields.get(self.size, int, None)
        if self.flag and not fields.get(self.flag, bool, False):
            size = None
        kinds = fields.get(self.types, list, None) if self.types else None
        if kinds is None and self.repeated:
            kinds = self._expanded(fields.get(self.repeated, list), layers)
        if kinds is None:
            windows = [
                None if self.every and not n % self.every else size for n in range(1, layers + 1)
            ]
        else:
            windows = [self._window(kind, size) for kind in kinds]
            if len(kinds) != layers:
                raise FormatError(f"{self.types} has {len(kinds)} layers, not {layers}")
        ours[PATTERN] = clipped(windows, context)

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write the windows of all layers."""
        windows = ours.get(PATTERN)
        sizes = set(windows or ()) - {None}
        if windows is None or len(sizes) > 1:
            return {}
        size = next(iter(sizes), ours["context"] if self.needed else None)
        written: dict[str, Any] = {self.size: size}
        if self.flag:
            written[self.flag] = bool(sizes)
        if self.types:
            written[self.types] = [self.full if each is None else self.sliding for each in windows]
        if self.repeated:
            written[self.repeated] = [[written[self.types], 1]]
        return written

    def is_full(self, fields: Fields, layers: int) -> list[bool]:
        """Return for each layer whether it is of the kind without a window."""
        kinds = fields.get(self.types, list, None) if self.types else None
        if kinds is None:
            return [bool(self.every and not n % self.every) for n in range(1, layers + 1)]
        if len(kinds) != layers:
            raise FormatError(f"{self.types} has {len(kinds)} layers, not {layers}")
        return [kind == self.full for kind in kinds]

    def _expanded(self, repeated: list[Any], layers: int) -> list[Any]:
        """Return the kinds of all layers, up to one more than there are."""
        kinds: list[Any] = []
        for each in repeated:
            if not (isinstance(each, list) and len(each) == 2 and isinstance(each[0], list)):
                raise FormatError(f"{self.repeated} is {quoted(repeated)}, not lists and numbers")
            count = each[1] if isinstance(each[1], int) else 0
            kinds += each[0] * min(count, layers)
        return kinds

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
