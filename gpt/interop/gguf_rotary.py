"""Rotary positions in GGUF files: base, number of rotated features, and scaling.

Llama 3's scaling is a tensor there, the divisor of each frequency, of which the parameters are not
in the file; those that all published models have are assumed and checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpt.errors import FormatError
from gpt.interop.fields import Fields
from gpt.interop.rotary import one_value
from gpt.interop.windows import Windows
from pytok.text import quoted

DIVISORS = "rope_freqs"
"""Name, among the fields, of the values of a tensor."""
TENSOR = f"{DIVISORS}.weight"
_SCALING = "position.scaling"
_TYPE, _FACTOR, _ORIGINAL = (
    f"rope.scaling.{name}" for name in ("type", "factor", "original_context_length")
)
_LOCAL = "rope.freq_base_swa"
_LOW, _HIGH, _CONTEXT = 1.0, 4.0, 8192
"""Llama 3's parameters."""
_YARN = {"fast": 32.0, "slow": 1.0, "truncate": True}
"""What llama.cpp computes without further fields."""


@dataclass(frozen=True)
class Rotary:
    """Rotary positions of an architecture."""

    divided: bool = False
    """Whether it has a tensor of divisors."""

    theirs: tuple[str, ...] = (
        *("rope.freq_base", "rope.dimension_count", _TYPE, _FACTOR, _ORIGINAL),
        *("rope.scaling.finetuned", DIVISORS),
    )

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read all of them."""
        head_width = ours.get("attention.head_width") or ours["width"] // ours["attention.heads"]
        rotated = fields.get("rope.dimension_count", int, head_width)
        theta = fields.get("rope.freq_base", float, 10_000.0)
        ours |= {
            "position.kind": "Rope",
            "position.theta": theta,
            "position.fraction": rotated / head_width,
        }
        kind, original = fields.get(_TYPE, str, "none"), fields.get(_ORIGINAL, int, None)
        scaling: dict[str, Any] = {}
        if kind in ("linear", "yarn"):
            scaling = {"kind": "Linear", "factor": fields.get(_FACTOR, float)}
            if kind == "yarn":
                scaling |= {"kind": "YaRN", "original_context": original, **_YARN}
        elif kind != "none":
            raise FormatError(f"{_TYPE} is {quoted(kind)}; supported: 'none', 'linear', 'yarn'")
        if divisors := fields.get(DIVISORS, list, []):
            scaling = _llama3(divisors, theta, rotated, original or _CONTEXT)
        ours |= {f"{_SCALING}.{name}": value for name, value in scaling.items()}

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write all of them, but a scaling that llama.cpp does not compute."""
        ours = {
            name: one_value(value) if name.startswith("position.") else value
            for name, value in ours.items()
        }
        if ours.get("position.kind") != "Rope":
            return {}
        theta = ours["position.theta"]
        rotated = round(ours["attention.head_width"] * ours["position.fraction"])
        written = {"rope.freq_base": theta, "rope.dimension_count": rotated}
        given = {
            name.removeprefix(f"{_SCALING}."): value
            for name, value in ours.items()
            if name.startswith(_SCALING)
        }
        kind, factor, original = (given.get(n) for n in ("kind", "factor", "original_context"))
        if kind == "Linear":
            written |= {_TYPE: "linear", _FACTOR: factor}
        elif kind == "YaRN" and original:
            written |= {_TYPE: "yarn", _FACTOR: factor, _ORIGINAL: original}
        elif kind == "Llama3" and original and factor and self.divided:
            written |= {DIVISORS: divisors(factor, original, theta, rotated), _ORIGINAL: original}
        return written


@dataclass(frozen=True)
class LatentRotary:
    """Rotary positions of latent attention: of a part of each query and key, without a scaling."""

    theirs: tuple[str, ...] = ("rope.freq_base", "rope.dimension_count", "attention.key_length")

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read the base, and the widths of both parts."""
        rotated = fields.get("rope.dimension_count", int)
        ours |= {
            "position.kind": "Rope",
            "position.theta": fields.get("rope.freq_base", float, 10_000.0),
            "attention.rope_width": rotated,
            "attention.nope_width": fields.get("attention.key_length", int) - rotated,
        }

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write them; a config of another kind has none."""
        rotated, other = (ours.get(f"attention.{each}_width") for each in ("rope", "nope"))
        if ours.get("position.kind") != "Rope" or not rotated or not other:
            return {}
        return {
            "rope.freq_base": ours["position.theta"],
            "rope.dimension_count": rotated,
            "attention.key_length": rotated + other,
        }


@dataclass(frozen=True)
class RotaryByWindow:
    """Rotary positions that differ between layers with a window and without, as in Gemma 3."""

    windows: Windows
    theta: float = 1_000_000.0
    """Default of the base of layers without a window."""
    local: float = 10_000.0
    """Default of that of the others."""

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return the names of all fields."""
        return (*Rotary().theirs, _LOCAL)

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read those of both kinds of layers."""
        local = {"rope.freq_base": fields.get(_LOCAL, float, self.local)}
        given = {"rope.freq_base": self.theta, **fields.values}
        sizes = {name: value for name, value in ours.items() if not name.startswith("position.")}
        tables = {True: dict(sizes), False: dict(sizes)}
        Rotary().read(Fields(given), tables[True])
        Rotary().read(Fields(local), tables[False])
        kinds = self.windows.is_full(fields, ours["layers"])
        for name in {**tables[True], **tables[False]}:
            if name.startswith("position."):
                ours[name] = [tables[full].get(name) for full in kinds]

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write those of both kinds of layers."""
        kinds = self.windows.is_full(Fields({}), ours["layers"])
        layers = [kinds.index(full) if full in kinds else None for full in (True, False)]
        full, local = (
            {} if layer is None else Rotary().write(_in_layer(ours, layer)) for layer in layers
        )
        base = {"rope.freq_base": self.theta, **full}
        return {**base, _LOCAL: local.get("rope.freq_base", self.local)}


def _in_layer(ours: Mapping[str, Any], layer: int) -> dict[str, Any]:
    return {
        name: value[layer] if name.startswith("position.") and isinstance(value, list) else value
        for name, value in ours.items()
    }


def divisors(factor: float, context: int, theta: float, rotated: int) -> list[float]:
    """Return Llama 3's divisor of each of the frequencies of *rotated* features."""
    found = []
    for pair in range(rotated // 2):
        turns = context * theta ** (-2 * pair / rotated) / (2 * math.pi)
        kept = min(max((turns - _LOW) / (_HIGH - _LOW), 0.0), 1.0)
        found.append(1 / ((1 - kept) / factor + kept))
    return found


def _llama3(found: list[float], theta: float, rotated: int, context: int) -> dict[str, Any]:
    """Return the scaling that gives the divisors *found*; raises FormatError."""
    factor = round(max(found), 4)
    expected = divisors(factor, context, theta, rotated) if factor > 0 else []
    if len(found) != len(expected) or any(
        abs(a - b) > 1e-3 * b for a, b in zip(found, expected, strict=True)
    ):
        raise FormatError(
            f"{TENSOR} is not Llama 3's scaling of rotary positions with the parameters "
            f"{_LOW}, {_HIGH} and {context}, and no other is supported"
        )
    names = ("kind", "factor", "original_context", "low", "high")
    return dict(zip(names, ("Llama3", factor, context, _LOW, _HIGH), strict=True))
