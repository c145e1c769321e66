"""Fields of other software's configs, each the same fact as some fields of ours, both ways.

A family lists them. Reading gives our fields by dotted path, as in recipes; a value that gpt would
not compute is rejected by the name of their field. Writing is the inverse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gpt.errors import FormatError
from gpt.interop.layers import ATTENTION_BIASES, BIAS
from pytok.text import quoted

REQUIRED: Any = object()
"""Default of a field that must be there."""
_KINDS = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}


@dataclass(frozen=True)
class Fields:
    """The fields of a config, read by name and type."""

    values: Mapping[str, Any]

    def get(self, name: str, kind: type, default: Any = REQUIRED) -> Any:
        """Return the field *name*, which is of *kind*, or *default* if it is missing or null."""
        value = self.values.get(name)
        if value is None:
            if default is REQUIRED:
                raise FormatError(f"{name} is missing")
            return default
        wanted = (int, float) if kind is float else kind
        if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
            expected = _KINDS.get(kind, "an object" if kind is dict else "a list")
            raise FormatError(f"{name} is {quoted(value)}, not {expected}")
        return float(value) if kind is float else value  # type: ignore[arg-type]


class Codec(Protocol):
    """Some of their fields, and the fields of ours that they mean."""

    @property
    def theirs(self) -> tuple[str, ...]:
        """Names of their fields."""

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Add to *ours*, which has what earlier codecs have read; raises FormatError."""

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Return their fields for *ours*; those that cannot express it are missing."""


@dataclass(frozen=True)
class Named:
    """A codec of one of their fields."""

    name: str
    """Name of the field."""

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return its name."""
        return (self.name,)


@dataclass(frozen=True)
class Field(Named):
    """One of their fields that is one of ours."""

    ours: str
    kind: type = int
    default: Any = REQUIRED
    """Their value where the field is missing or null; with None, our default holds."""
    otherwise: str = ""
    """Another of their fields, whose value it has where it is missing."""
    values: Mapping[Any, Any] = field(default_factory=dict)
    """Our value for each of theirs; empty if they are the same. The first is the one written."""
    null: bool = False
    """Whether none is written as null, because a missing field means something else."""

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return its name, and that of the other field."""
        return (self.name, *filter(None, (self.otherwise,)))

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read it."""
        default = self.default
        if self.otherwise and fields.values.get(self.name) is None:
            default = fields.get(self.otherwise, self.kind, default)
        value = fields.get(self.name, self.kind, default)
        if self.values and value not in self.values:
            raise FormatError(f"{self.name} is {quoted(value)}; supported: {_listed(self.values)}")
        if value is not None:
            ours[self.ours] = self.values[value] if self.values else value

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it, unless it has no such value."""
        value = ours.get(self.ours)
        if self.values:
            value = next((theirs for theirs, own in self.values.items() if own == value), None)
        return {} if value is None and not self.null else {self.name: value}


@dataclass(frozen=True)
class Equal:
    """A field of ours that equals another one in every model of the family."""

    ours: str
    other: str
    theirs: tuple[str, ...] = ()

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Set it."""
        ours[self.ours] = ours[self.other]

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write nothing."""
        return {}


@dataclass(frozen=True)
class ParallelBranches(Named):
    """Whether attention and MLP read the same stream."""

    default: bool
    shared_norm: bool = False

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read it."""
        parallel = fields.get(self.name, bool, self.default)
        ours["wiring.kind"] = "Parallel" if parallel else "PreNorm"
        if parallel:
            ours["wiring.shared_norm"] = self.shared_norm

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it."""
        return {self.name: ours["wiring.kind"] == "Parallel"}


@dataclass(frozen=True)
class NormedHeads(Named):
    """Whether queries and keys have a LayerNorm with a scale for each head, as the others' eps."""

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read it; the eps of norms is known by now."""
        if fields.get(self.name, bool, False):
            ours |= {f"attention.qk_norm{name}": value for name, value in _OWN_NORMS.items()}
            ours["attention.qk_norm_eps"] = ours["norm.eps"]

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it."""
        return {self.name: bool(ours.get("attention.qk_norm"))}


_OWN_NORMS = {"": True, "_over": "own", "_kind": "layer"}


@dataclass(frozen=True)
class Only(Named):
    """A field of theirs with which gpt computes the same for some values only."""

    supported: Any
    default: Any = REQUIRED
    """Value of a missing field; by default the supported one."""
    reason: str = ""
    """Why no other value is supported."""

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Check it."""
        default = self.supported if self.default is REQUIRED else self.default
        value = fields.values.get(self.name)
        value = default if value is None else value
        if value != self.supported or isinstance(value, bool) != isinstance(self.supported, bool):
            reason = f" ({self.reason})" if self.reason else ""
            raise FormatError(
                f"{self.name} is {quoted(value)}; supported: {self.supported!r}{reason}"
            )

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it where its default is another."""
        return {} if self.default is REQUIRED else {self.name: self.supported}


@dataclass(frozen=True)
class Written(Named):
    """A field of theirs that the tensors follow, so that it is only written."""

    value: Any

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read nothing."""

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it."""
        return {self.name: self.value}


@dataclass(frozen=True)
class Longer(Named):
    """One of their fields that is one of ours plus a constant."""

    ours: str
    by: int

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read it."""
        ours[self.ours] = fields.get(self.name, int) - self.by

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it."""
        return {self.name: ours[self.ours] + self.by}


@dataclass(frozen=True)
class SameAs(Named):
    """A field of theirs with which gpt computes the same only if it equals another one."""

    other: str
    ours: str = ""
    """Field of ours that has the value of both, if they must be written."""

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Check it."""
        value, other = fields.values.get(self.name), fields.values.get(self.other)
        if value is not None and value != other:
            raise FormatError(
                f"{self.name} is {quoted(value)}; supported: that of {self.other}, {quoted(other)}"
            )

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it where it must be."""
        return {self.name: ours[self.ours]} if self.ours else {}


@dataclass(frozen=True)
class Biases:
    """Which linear layers have biases: names of fields, or a value that is fixed."""

    qkv: str | bool = False
    """That of queries, keys and values."""
    output: str | bool = False
    """That of the output of attention."""
    mlp: str | bool = False
    """That of the MLP."""
    default: bool = False
    inverted: bool = False
    """Whether a true field means that there are none."""

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return the names of the fields."""
        given = (self.qkv, self.output, self.mlp)
        return tuple(dict.fromkeys(name for name in given if isinstance(name, str)))

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read the fields."""
        qkv, output, mlp = (self._value(fields, each) for each in (self.qkv, self.output, self.mlp))
        ours |= {"bias": mlp, BIAS: ATTENTION_BIASES[qkv, output]}

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write the fields."""
        attention = ours.get(BIAS, "off")
        having = {name: each for each, name in ATTENTION_BIASES.items()}[attention]
        pairs = zip((self.qkv, self.output, self.mlp), (*having, ours["bias"]), strict=True)
        return {name: value != self.inverted for name, value in pairs if isinstance(name, str)}

    def _value(self, fields: Fields, name: str | bool) -> bool:
        if isinstance(name, bool):
            return name
        given: bool = fields.get(name, bool, self.default != self.inverted)
        return given != self.inverted


@dataclass(frozen=True)
class Expansion(Named):
    """The width of the hidden layer as a multiple of that of the model."""

    default: int

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read it."""
        ours["mlp.hidden"] = fields.get(self.name, int, self.default) * ours["width"]

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it, unless the hidden layer is no multiple."""
        ratio, rest = divmod(ours.get("mlp.hidden") or 0, ours["width"])
        return {} if rest else {self.name: ratio}


class Inside:
    """The fields of an object in a field of theirs."""

    def __init__(self, name: str, *codecs: Codec) -> None:
        self.name, self.codecs = name, codecs

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return the name of the object."""
        return (self.name,)

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read the fields of the object."""
        inside = Fields(fields.get(self.name, dict, {}))
        for codec in self.codecs:
            try:
                codec.read(inside, ours)
            except FormatError as error:
                raise FormatError(f"{self.name}.{error}") from error

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write the object."""
        written = [codec.write(ours) for codec in self.codecs]
        return {self.name: {name: value for each in written for name, value in each.items()}}


def _listed(values: Mapping[Any, Any]) -> str:
    return ", ".join(map(repr, values))


def names_of(codecs: tuple[Codec, ...]) -> Iterator[str]:
    """Yield the names of the fields that *codecs* read."""
    for codec in codecs:
        yield from codec.theirs
