"""Fields of other software's configs that are factors or bounds, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpt.errors import FormatError
from gpt.interop.fields import Fields, Named


@dataclass(frozen=True)
class Factor(Named):
    """A number by which something is multiplied, which is an axis of ours: None, or Multiplier."""

    ours: str
    default: float = 1.0
    divides: bool = False
    """Whether it divides instead."""

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read it."""
        value = fields.get(self.name, float, self.default)
        if value <= 0:
            raise FormatError(f"{self.name} is {value}; supported: numbers above 0")
        if value != 1:
            ours[f"{self.ours}.kind"] = "Multiplier"
            ours[f"{self.ours}.factor"] = 1 / value if self.divides else value

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it; 1 for none."""
        factor = ours.get(f"{self.ours}.factor", 1.0)
        return {self.name: 1 / factor if self.divides else factor}


@dataclass(frozen=True)
class ScoreScale(Named):
    """The factor of the scores of attention, c, as the field that is c to some power."""

    default: float
    power: float = 1.0

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read it; the size of a head is known by now, if it is not the usual one."""
        value = fields.get(self.name, float, self.default)
        if value <= 0:
            raise FormatError(f"{self.name} is {value}; supported: numbers above 0")
        head_width = ours.get("attention.head_width") or ours["width"] / max(
            ours["attention.heads"], 1
        )
        scale = value ** (1 / self.power)
        ours["attention.score.kind"] = "ScaledDot"
        if abs(scale * abs(head_width) ** 0.5 - 1) > 1e-9:
            ours["attention.score.scale"] = scale

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it."""
        if ours.get("attention.score.kind") != "ScaledDot":
            return {}
        scale = ours.get("attention.score.scale") or ours["attention.head_width"] ** -0.5
        value = round(scale**self.power, 9)
        return {self.name: int(value) if self.power < 0 and value.is_integer() else value}


@dataclass(frozen=True)
class Cap(Named):
    """A bound of scores or logits; null is none."""

    ours: str
    default: float | None
    """Its value if it is missing."""
    kind: str = ""
    """Kind of our spec, whose field it is; empty if that has other fields, too."""

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read it."""
        given = self.name in fields.values
        value = fields.get(self.name, float, None) if given else self.default
        if value is not None:
            ours[self.ours] = value
            if self.kind:
                ours[f"{self.ours.rpartition('.')[0]}.kind"] = self.kind

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it."""
        return {self.name: ours.get(self.ours)}
