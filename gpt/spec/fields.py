"""The fields of a recipe by dotted name: their types, documentation, and values written as text.

::

    fields = fields_of(Recipe)
    fields.parse("model.mlp.hidden", "512")    # ("model.mlp.hidden", 512)
    fields.parse("model.norm", "LayerNorm")     # ("model.norm.kind", "LayerNorm")

An axis is a field whose value is one of several specs, its kinds, or none: `model.norm` is
LayerNorm, RMSNorm or BatchNorm. Until a recipe is planned the kind is unknown, so a field has an
entry for each kind with that field: three for `model.norm.eps`, one for `model.norm.bias`.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from gpt.errors import ConfigError
from gpt.spec.docs import docs_of
from gpt.spec.serialize import NEAR, alone_of, flatten, is_union, join, nest, parse_plain
from pytok.text import quoted

KIND = ".kind"
"""Suffix of the name of an axis for its kind: `model.mlp.kind`."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field that can be set."""

    name: str
    """Dotted name, such as `model.mlp.hidden`."""
    hint: Any
    """Type."""
    doc: str
    """Documentation, in one line, without the default."""
    default: str | None
    """The default as text; None if there is none to show."""
    kinds: tuple[str, ...]
    """Names of the kinds of an axis; empty for other fields."""
    spec: type
    """The dataclass that defines the field."""
    of_kind: bool
    """Whether that is one of the kinds of an axis."""

    @property
    def specs(self) -> tuple[type, ...]:
        """The kinds of an axis; empty for other fields."""
        members: tuple[Any, ...] = get_args(self.hint)
        return tuple(each for each in members if dataclasses.is_dataclass(each))  # type: ignore[misc]

    @property
    def summary(self) -> str:
        """The first sentence of the documentation."""
        return re.split(r"(?<=[.)])\s+(?=[A-Z`-])", self.doc, maxsplit=1)[0]

    @property
    def table(self) -> str:
        """Dotted name of the table that has the field; "" for the outermost."""
        return self.name.rpartition(".")[0]

    @property
    def choices(self) -> tuple[str, ...]:
        """The possible values as text; empty if they cannot be listed."""
        return self.kinds or _choices(self.hint)

    @property
    def metavar(self) -> str:
        """Placeholder for the value in help: `N`, `[ddp|fsdp]`."""
        return f"[{'|'.join(self.choices)}]" if self.choices else _metavar(self.hint)


class Fields:
    """All fields that can be set in a dataclass, those of nested dataclasses included."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self.by_name: dict[str, list[Field]] = {}
        self._tables: dict[str, Field] = {}
        """Fields of one possible kind, which can be named, but not set to another."""
        for field in fields:
            if len(field.kinds) == 1 and not is_union(field.hint):
                self._tables[field.name] = field
            else:
                entries = self.by_name.setdefault(field.name, [])
                if field not in entries:  # as kinds have that inherit it from one class
                    entries.append(field)

    def without(self, hide: Callable[[str], bool]) -> Fields:
        """Return the fields whose names *hide* returns false for."""
        kept = (entries for name, entries in self.by_name.items() if not hide(name))
        fields = [field for entries in kept for field in entries]
        return Fields([*fields, *self._tables.values()])

    def full_name(self, name: str) -> str:
        """Return the name of the field that *name* set to a single value sets.

        That is *name* itself, but for tables with a field of which the value can stand alone.
        """
        table = self._tables.get(name)
        alone = "" if table is None else alone_of(table.hint)
        return f"{name}.{alone}" if alone else name

    def in_full(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Return the nested tables *plain* with the full names of all fields."""
        return nest({self.full_name(name): value for name, value in flatten(plain).items()})

    def find(self, name: str) -> list[Field]:
        """Return the entries of the field *name*; raises ConfigError that suggests others."""
        name = self.full_name(name)
        axis = name.removesuffix(KIND)
        fields = self.by_name.get(name) or [
            field for field in self.by_name.get(axis, []) if field.kinds
        ]
        if not fields and name != axis and axis in self._tables:
            fields = [self._tables[axis]]
        if not fields:
            raise ConfigError(self._unknown(name))
        return fields

    def parse(self, name: str, text: str) -> tuple[str, Any]:
        """Return the name and the plain value for the field *name* set to *text*.

        The name of an axis gets the suffix `KIND`, that of a table its field that stands alone.
        Raises ConfigError.
        """
        name = self.full_name(name)
        fields = self.find(name)
        problems = []
        for field in fields:
            try:
                return _parse_kind(field, text) if field.kinds else (name, parse(field.hint, text))
            except ValueError as error:
                problems.append(error)
        raise ConfigError(f"{name}: {problems[0]}")

    def check(self, plain: Mapping[str, Any], where: str = "") -> None:
        """Raise ConfigError for an unknown name in *plain*, or a value of a wrong type.

        *plain* are nested tables, as in a TOML file.
        """
        for name, value in plain.items():
            path = join(where, name)
            if isinstance(value, Mapping) and self._is_table(path):
                self.check(value, path)
                continue
            problems = []
            for field in self.find(path):
                try:
                    _check_value(field, value, path)
                    break
                except ConfigError as error:
                    problems.append(error)
            else:
                raise problems[0]

    def _is_table(self, name: str) -> bool:
        inside = (each.startswith(f"{name}.") for each in self.by_name)
        return name in self._tables or any(inside)

    def _unknown(self, name: str) -> str:
        """Return the error for *name*, with the fields that may have been meant."""
        if self._is_table(name):
            first = join(name, next(iter(self._children(name)), KIND[1:]))
            return f"{name}: a table, not a single value; set its fields, such as {first}"
        parts = name.split(".")
        known = 0
        while self._is_table(".".join(parts[: known + 1])):
            known += 1
        table, part, rest = ".".join(parts[:known]), parts[known], parts[known + 1 :]
        children = self._children(table)
        near = [
            ".".join([join(table, each), *rest])
            for each in difflib.get_close_matches(part, children, cutoff=NEAR)
        ]
        near += [each for each in self.by_name if each.rpartition(".")[2] == part]
        if near:
            return f"{name}: no such field; did you mean {' or '.join(dict.fromkeys(near))}?"
        return f"{name}: no such field; there are {', '.join(children)}"

    def _children(self, table: str) -> list[str]:
        """The names in *table*, "" for the outermost."""
        start = f"{table}." if table else ""
        inside = (each[len(start) :] for each in self.by_name if each.startswith(start))
        return list(dict.fromkeys(each.partition(".")[0] for each in inside))


def fields_of(recipe: type) -> Fields:
    """Return the fields of the dataclass *recipe*."""
    return Fields(_walk(recipe))


def parse(hint: Any, text: str) -> Any:
    """Return *text* as a plain value of the type *hint*; raises ValueError.

    >>> parse(tuple[float, float], "0.9,0.95")
    [0.9, 0.95]
    >>> parse(int | None, "none") is None
    True
    """
    if is_union(hint):
        if text.casefold() == "none":
            return None
        hint = _without_none(hint)
    if get_origin(hint) is tuple:
        items = [item.strip() for item in text.strip("[]()").split(",")]
        types = get_args(hint)
        if types[1:] != (...,) and len(items) != len(types):
            raise ValueError(f"{quoted(text)} is not {len(types)} values separated by commas")
        return [parse(types[0], item) for item in items]
    if choices := _choices(hint):
        word = text.casefold() if hint is bool else text
        if word not in choices:
            raise ValueError(f"{quoted(text)} is not one of {', '.join(choices)}")
        return word == "true" if hint is bool else word
    if hint in (int, float):
        try:
            # Some fields are an integer in one kind and a number in another: schedule.warmup.
            return int(text) if hint is int or text.lstrip("+-").isdecimal() else float(text)
        except ValueError:
            wanted = "an integer" if hint is int else "a number"
            raise ValueError(f"{quoted(text)} is not {wanted}") from None
    return text


def _parse_kind(axis: Field, text: str) -> tuple[str, str | None]:
    """Return the name and the value that set *axis* to the kind *text*, in any case."""
    if text.casefold() == "none" and type(None) in get_args(axis.hint):
        return axis.name, None
    for kind in axis.kinds:
        if kind.casefold() == text.casefold():
            return axis.name + KIND, kind
    raise ValueError(f"{quoted(text)} is not one of {', '.join(axis.kinds)}")


def _check_value(field: Field, value: Any, path: str) -> None:
    """Raise ConfigError if *value* has a wrong type; *path* is the name of *field* or its kind."""
    if not path.endswith(KIND) or not field.kinds:
        parse_plain(field.hint, value, path)
    elif value not in field.kinds:
        expected = ", ".join(field.kinds)
        raise ConfigError(f"{path}: expected one of {expected}; got {quoted(value)}")


def _walk(spec: type, where: str = "", of_kind: bool = False) -> Iterator[Field]:
    """Yield the fields of the dataclass *spec*, each followed by those of its own specs."""
    hints, docs = get_type_hints(spec), docs_of(spec)
    for each in dataclasses.fields(spec):
        if not each.init:
            continue
        name, hint = join(where, each.name), hints[each.name]
        types = get_args(hint) if is_union(hint) else (hint,)
        specs: list[Any] = [member for member in types if dataclasses.is_dataclass(member)]
        doc, default = _split_default(docs.get(each.name, ""), each)
        yield Field(
            name=name,
            hint=hint,
            doc=doc,
            default=default,
            kinds=tuple(member.__name__ for member in specs),
            spec=next(base for base in spec.__mro__ if each.name in _own(base)),
            of_kind=of_kind,
        )
        for member in specs:
            yield from _walk(member, name, is_union(hint))


def _own(spec: type) -> Collection[str]:
    """Return the names of the fields that the class *spec* defines itself."""
    return inspect.get_annotations(spec).keys()


def _split_default(doc: str, field: dataclasses.Field[Any]) -> tuple[str, str | None]:
    """Return *doc* and the default of *field*, which can be described at the end of *doc*."""
    if found := re.search(r"\s*\[default: (.+)\]$", doc):
        return doc[: found.start()], found[1]
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = type(field.default_factory()).__name__
    if value is dataclasses.MISSING or value is None or isinstance(value, Path):
        return doc, None
    if isinstance(value, tuple):
        return doc, ",".join(map(str, value))
    return doc, str(value).lower() if isinstance(value, bool) else str(value)


def _metavar(hint: Any) -> str:
    hint = _without_none(hint)
    if get_origin(hint) is tuple:
        return ",".join("..." if each is ... else _metavar(each) for each in get_args(hint))
    return {int: "N", float: "X", Path: "PATH"}.get(hint, "TEXT")


def _choices(hint: Any) -> tuple[str, ...]:
    hint = _without_none(hint)
    if hint is bool:
        return ("true", "false")
    return get_args(hint) if get_origin(hint) is Literal else ()


def _without_none(hint: Any) -> Any:
    """Return the type *hint* without None; *hint* itself if it is no union."""
    if not is_union(hint):
        return hint
    return next(each for each in get_args(hint) if each is not type(None))
