"""Frozen dataclasses to and from plain dicts, for JSON and TOML.

The dict of a nested dataclass is tagged: it has ``kind``, the class's name, which can be omitted
where only one class is possible, or where the field names a usual one. An axis that is off is None,
or the text ``none``, since TOML has no null. No value is coerced silently: an unknown field, a
missing field or a value of the wrong type is a ConfigError with the field's dotted path.

Only the types that recipes and configs use are supported.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from gpt.errors import ConfigError
from pytok.text import cut, quoted

Spec = TypeVar("Spec")

KIND = "kind"
"""Field of a table that names its class."""
USUAL = "usual kind"
"""Key in the metadata of a field for the kind of a table that names none."""
NONE = "none"
"""Text that stands for None."""

NEAR = 0.65
"""Similarity from which a name is suggested for a misspelled one (1 is equal)."""


def to_dict(spec: Any) -> dict[str, Any]:
    """Convert *spec*, a dataclass, to a dict of what JSON can hold."""
    return {
        field.name: _plain_value(getattr(spec, field.name))
        for field in dataclasses.fields(spec)
        if field.init
    }


def from_dict(cls: type[Spec], plain: object, where: str = "") -> Spec:
    """Build *cls*, a dataclass, from a dict as `to_dict` returns it or a user writes it.

    Omitted fields have their defaults. *where* is the dotted path that errors start with.
    """
    if not isinstance(plain, Mapping):
        raise ConfigError(
            f"{where or cls.__name__}: expected a table of fields, got {quoted(plain)}"
        )
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for name in plain:
        if name not in fields:
            known = suggest(name, fields)
            raise ConfigError(f"{join(where, cut(str(name)))}: no such field; {known}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in plain:
            value = plain[name]
            if USUAL in field.metadata and isinstance(value, Mapping):
                value = {KIND: field.metadata[USUAL], **value}
            values[name] = parse_plain(hints[name], value, join(where, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{join(where, name)}: missing, and it has no default")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") if where else error from None


def values_of(spec: Any, cls: type) -> dict[str, Any]:
    """Return the values of *spec* by name, those of the fields of *cls*, which it derives from."""
    return {field.name: getattr(spec, field.name) for field in dataclasses.fields(cls)}


def flatten(plain: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Write nested tables as one table whose names are dotted paths, prefixed with *where*.

    >>> flatten({"norm": {"kind": "RMSNorm", "eps": 1e-6}, "tie": True})
    {'norm.kind': 'RMSNorm', 'norm.eps': 1e-06, 'tie': True}
    """
    flat: dict[str, Any] = {}
    for name, value in plain.items():
        path = join(where, name)
        flat |= flatten(value, path) if isinstance(value, Mapping) else {path: value}
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Invert `flatten`.

    >>> nest({"norm.kind": "RMSNorm", "norm.eps": 1e-6, "tie": True})
    {'norm': {'kind': 'RMSNorm', 'eps': 1e-06}, 'tie': True}
    """
    plain: dict[str, Any] = {}
    for path, value in flat.items():
        *tables, name = path.split(".")
        table = plain
        for each in tables:
            table = table.setdefault(each, {})
        table[name] = value
    return plain


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return *under* with the fields of *over*, table by table.

    A table with a ``kind`` replaces the whole table under it: the fields of two kinds do not mix.
    """
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and "kind" not in value:
            value = merge(below, value)
        merged[name] = value
    return merged


def suggest(name: str, known: Iterable[str]) -> str:
    """Say which of the *known* names *name* may stand for: the nearest, or else all of them.

    >>> suggest("layer", ["layers", "width"])
    'did you mean layers?'
    >>> suggest("depth", ["layers", "width"])
    'there are layers, width'
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, cutoff=NEAR)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"


def parse_plain(hint: Any, value: Any, where: str) -> Any:
    """Return the plain *value* as one of the type *hint*; raises ConfigError that names *where*."""
    if is_union(hint):
        return _union(get_args(hint), value, where)
    if dataclasses.is_dataclass(hint):
        return _tagged((hint,), value, where)
    if get_origin(hint) is Literal:
        if value in get_args(hint):
            return value
        expected = ", ".join(repr(choice) for choice in get_args(hint))
        raise ConfigError(f"{where}: expected one of {expected}; got {quoted(value)}")
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint), value, where)
    if get_origin(hint) is dict:
        return _table(get_args(hint)[1], value, where)
    return _scalar(hint, value, where)


def alone_of(cls: type) -> str:
    """Return the field of the dataclass *cls* that a single value sets; "" if there is none."""
    alone: str = getattr(cls, "ALONE", "")
    return alone


def is_union(hint: Any) -> bool:
    """Return whether the type *hint* is a union, of two or more types or with None."""
    return get_origin(hint) in (Union, types.UnionType)


def join(where: str, name: str) -> str:
    """Return the dotted path of the field *name* of the table *where*, "" for the outermost."""
    return f"{where}.{name}" if where else name


def _plain_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {KIND: type(value).__name__, **to_dict(value)}
    if isinstance(value, Path):
        return str(value)
    return [_plain_value(each) for each in value] if isinstance(value, tuple) else value


def _tuple(items: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        if items[1:] == (...,):
            items = items[:1] * len(value)
        if len(value) == len(items):
            return tuple(
                parse_plain(item, element, f"{where}[{index}]")
                for index, (item, element) in enumerate(zip(items, value, strict=True))
            )
    raise ConfigError(f"{where}: expected a list of {len(items)}; got {quoted(value)}")


def _table(hint: Any, value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {name: parse_plain(hint, each, join(where, name)) for name, each in value.items()}
    raise ConfigError(f"{where}: expected a table of values, got {quoted(value)}")


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # A bool is an int to isinstance, but `layers = true` is a mistake.
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{where}: expected {hint.__name__}; got {quoted(value)}")


def _union(members: tuple[Any, ...], value: Any, where: str) -> Any:
    if type(None) in members and (value is None or value == NONE):
        return None
    members = tuple(member for member in members if member is not type(None))
    if all(map(dataclasses.is_dataclass, members)):
        return _tagged(members, value, where)
    (member,) = members  # no other union is a field's type
    return parse_plain(member, value, where)


def _tagged(classes: tuple[Any, ...], value: Any, where: str) -> Any:
    """Return *value*, a table, as an instance of that one of *classes* which its kind names."""
    kinds = {cls.__name__: cls for cls in classes}
    expected = ", ".join(kinds)
    if len(classes) == 1 and (alone := alone_of(*classes)) and isinstance(value, float | int):
        value = {alone: value}
    if not isinstance(value, Mapping) or (KIND not in value and len(kinds) > 1):
        raise ConfigError(f"{where}: needs a table with the field kind, one of {expected}")
    kind = value.get(KIND, next(iter(kinds)))
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(f"{where}.kind: expected one of {expected}; got {quoted(kind)}")
    fields = {name: field for name, field in value.items() if name != KIND}
    return from_dict(kinds[kind], fields, where)
