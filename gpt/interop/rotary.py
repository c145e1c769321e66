"""Rotary positions in the configs of Hugging Face: base, fraction and scaling.

Newer versions of transformers have an object, rope_parameters; older ones rope_scaling, and fields
beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpt.errors import FormatError
from gpt.interop.fields import REQUIRED, Codec, Field, Fields, Named
from gpt.interop.layers import PATTERN
from gpt.interop.windows import FULL, SLIDING, Windows
from pytok.text import quoted

_SCALING = "position.scaling"
_LOCAL = "rope_local_base_freq"
_FACTOR = Field("factor", f"{_SCALING}.factor", float)
_ORIGINAL = Field("original_max_position_embeddings", f"{_SCALING}.original_context", default=None)


def _number(name: str, ours: str, default: float | None = None) -> Codec:
    return Field(name, f"{_SCALING}.{ours}", float, default)


SCALINGS: dict[str, tuple[str, tuple[Codec, ...]]] = {
    "linear": ("Linear", (_FACTOR,)),
    "dynamic": ("DynamicNTK", (_FACTOR,)),
    "llama3": (
        "Llama3",
        (
            _FACTOR,
            _ORIGINAL,
            _number("low_freq_factor", "low", 1.0),
            _number("high_freq_factor", "high", 4.0),
        ),
    ),
    "yarn": (
        "YaRN",
        (
            _FACTOR,
            _ORIGINAL,
            _number("beta_fast", "fast", 32.0),
            _number("beta_slow", "slow", 1.0),
            Field("truncate", f"{_SCALING}.truncate", bool, True),
            _number("attention_factor", "magnitude"),
            _number("mscale", "mscale"),
            _number("mscale_all_dim", "mscale_all"),
        ),
    ),
}
"""By rope_type: our kind of scaling, and the fields of the object."""


@dataclass(frozen=True)
class Rotary:
    """Rotary positions of a family."""

    theta: float = 10_000.0
    """Default of the base."""
    fraction: float | None = None
    """Default of the fraction of a head that is rotated; None if the family rotates all of it."""
    older_fraction: str = "partial_rotary_factor"
    """Name of the fraction beside the object."""
    older_theta: str = "rope_theta"
    """Name of the base beside the object."""

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return the names of the object and of the fields beside it."""
        return "rope_parameters", "rope_scaling", self.older_theta, self.older_fraction

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read all of them."""
        found = fields.get("rope_parameters", dict, None) or fields.get("rope_scaling", dict, {})
        inside = Fields(found)
        default = 1.0 if self.fraction is None else self.fraction
        fraction = inside.get(
            "partial_rotary_factor", float, fields.get(self.older_fraction, float, default)
        )
        if self.fraction is None and fraction != 1:
            raise FormatError(f"partial_rotary_factor is {fraction}; supported: 1.0")
        theta = fields.get(self.older_theta, float, self.theta)
        ours |= {
            "position.kind": "Rope",
            "position.theta": inside.get("rope_theta", float, theta),
            "position.fraction": fraction,
        }
        kind = inside.get("rope_type", str, inside.get("type", str, "default"))
        if kind == "default":
            return
        if kind not in SCALINGS:
            supported = ", ".join(("default", *SCALINGS))
            raise FormatError(f"rope_type is {quoted(kind)}; supported: {supported}")
        ours[f"{_SCALING}.kind"], codecs = SCALINGS[kind]
        for codec in codecs:
            codec.read(inside, ours)

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write the object, and for older versions the fields beside it."""
        if "position.theta" not in ours:
            return {}
        theta, fraction = (one_value(ours[f"position.{name}"]) for name in ("theta", "fraction"))
        scaling: dict[str, Any] = {"rope_type": "default"}
        for name, (kind, codecs) in SCALINGS.items():
            if ours.get(f"{_SCALING}.kind") == kind:
                scaling["rope_type"] = name
                for codec in codecs:
                    scaling |= codec.write(ours)
        partial = {} if self.fraction is None else {"partial_rotary_factor": fraction}
        beside = {self.older_theta: theta, **({self.older_fraction: fraction} if partial else {})}
        if scaling["rope_type"] != "default":
            beside["rope_scaling"] = scaling
        return {"rope_parameters": {**scaling, "rope_theta": theta, **partial}, **beside}


@dataclass(frozen=True)
class RotaryWidth(Named):
    """The number of features of a head that are rotated, with the usual base and no scaling."""

    default: int

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read it as a fraction."""
        width = fields.get(self.name, int, REQUIRED if self.name in fields.values else self.default)
        head_width = ours["width"] // max(ours["attention.heads"], 1)
        if not 0 < width <= head_width:
            raise FormatError(
                f"{self.name} is {width}; supported: 1 to {head_width}, the size of a head"
            )
        ours |= {"position.kind": "Rope", "position.fraction": width / head_width}

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it."""
        if "position.fraction" not in ours:
            return {}
        head_width = ours["width"] // ours["attention.heads"]
        return {self.name: round(one_value(ours["position.fraction"]) * head_width)}


def one_value(value: Any) -> Any:
    """Return *value*, or that of all layers that have one if it is a list of those of layers."""
    values = value if isinstance(value, list) else [value]
    return next((each for each in values if each is not None), None)


@dataclass(frozen=True)
class WithoutPositions:
    """A list of which layers have rotary positions, 1, and which have none, 0 (NoPE)."""

    name: str
    interval: str
    """Field that says without the list which layers have none: every n-th."""
    default: int

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return the names of both fields."""
        return self.name, self.interval

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read the list."""
        layers, every = ours["layers"], fields.get(self.interval, int, self.default)
        if every < 1:
            raise FormatError(f"{self.interval} is {every}; supported: numbers above 0")
        given = fields.get(self.name, list, [int((n + 1) % every != 0) for n in range(layers)])
        if len(given) != layers or not all(each in (0, 1) for each in given):
            raise FormatError(f"{self.name} is {quoted(given)}, not {layers} times 0 or 1")
        if not all(given):
            ours["position.kind"] = ["Rope" if each else None for each in given]

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write the list."""
        kinds = ours.get("position.kind")
        each = kinds if isinstance(kinds, list) else [kinds] * ours["layers"]
        return {self.name: [int(kind == "Rope") for kind in each]}


@dataclass(frozen=True)
class RotaryByWindow:
    """Rotary positions that differ between layers with a window and without, as in Gemma 3."""

    windows: Windows
    theta: float = 1_000_000.0
    """Default of the base of layers without a window."""
    local: float = 10_000.0
    """Default of that of the others."""

    theirs: tuple[str, ...] = ("rope_parameters", "rope_scaling", "rope_theta", _LOCAL)

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read those of both kinds of layers."""
        found = fields.get("rope_parameters", dict, None)
        if found is None:  # as older versions of transformers have it
            found = {
                FULL: {**fields.get("rope_scaling", dict, {}), "rope_theta": self._theta(fields)},
                SLIDING: {"rope_theta": fields.get(_LOCAL, float, self.local)},
            }
        tables: dict[bool, dict[str, Any]] = {}
        for kind, theta in ((FULL, self.theta), (SLIDING, self.local)):
            tables[kind == FULL] = {}
            inside = {"rope_parameters": Fields(found).get(kind, dict, {})}
            Rotary(theta=theta).read(Fields(inside), tables[kind == FULL])
        kinds = self.windows.is_full(fields, ours["layers"])
        for name in {**tables[True], **tables[False]}:
            ours[name] = [tables[full].get(name) for full in kinds]

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write those of both kinds of layers."""
        windows = ours.get(PATTERN) or []
        written = {}
        for kind, theta in ((FULL, self.theta), (SLIDING, self.local)):
            layers = [i for i, window in enumerate(windows) if (window is None) == (kind == FULL)]
            one = {
                name: value[layers[0]] if isinstance(value, list) and layers else value
                for name, value in ours.items()
                if name.startswith("position.")
            }
            given = Rotary().write(one) if layers else {}
            written[kind] = given.get(
                "rope_parameters", {"rope_type": "default", "rope_theta": theta}
            )
        return {"rope_parameters": written}

    def _theta(self, fields: Fields) -> float:
        theta: float = fields.get("rope_theta", float, self.theta)
        return theta


@dataclass(frozen=True)
class PositionsInWindows:
    """Rotary positions in layers with a window only (Cohere 2)."""

    windows: Windows
    theirs: tuple[str, ...] = ()

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Leave the layers without a window without positions."""
        full = self.windows.is_full(fields, ours["layers"])
        if any(full):
            ours["position.kind"] = [None if each else "Rope" for each in full]

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write nothing: it follows from the windows."""
        return {}
