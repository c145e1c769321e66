"""Frozen dataclasses to and from plain dicts, for JSON and TOML.

A field whose type is a union of dataclasses (an axis of the model: which norm, which MLP) is
tagged: its dict has ``kind``, the class's name. Nothing is coerced in silence: an unknown field,
a missing one or one of the wrong type is a ConfigError that names it by its dotted path.

Not a general serializer: it knows the types that recipes and configs use, and no others.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from gpt.errors import ConfigError

Spec = TypeVar("Spec")


def to_dict(spec: Any) -> dict[str, Any]:
    """Turn *spec*, a dataclass, into a dict of what JSON can hold."""
    hints = get_type_hints(type(spec))
    return {
        field.name: _plain_value(hints[field.name], getattr(spec, field.name))
        for field in dataclasses.fields(spec)
        if field.init
    }


def from_dict(cls: type[Spec], plain: object, where: str = "") -> Spec:
    """Build *cls*, a dataclass, from the dict that `to_dict` made or a person wrote.

    Fields left out take their defaults. *where* is the dotted path that errors begin with.
    """
    if not isinstance(plain, Mapping):
        raise ConfigError(f"{where or cls.__name__}: expected a table of fields, got {plain!r}")
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for name in plain:
        if name not in fields:
            known = ", ".join(fields)
            raise ConfigError(f"{_join(where, str(name))}: no such field; there are {known}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in plain:
            values[name] = _value(hints[name], plain[name], _join(where, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{_join(where, name)}: missing, and it has no default")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") if where else error from None


def flatten(plain: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Write nested tables as one, whose names are dotted paths after *where*.

    >>> flatten({"norm": {"kind": "RMSNorm", "eps": 1e-6}, "tie": True})
    {'norm.kind': 'RMSNorm', 'norm.eps': 1e-06, 'tie': True}
    """
    flat: dict[str, Any] = {}
    for name, value in plain.items():
        path = _join(where, name)
        flat |= flatten(value, path) if isinstance(value, Mapping) else {path: value}
    return flat


def _plain_value(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        plain = to_dict(value)
        return {"kind": type(value).__name__, **plain} if _is_union(hint) else plain
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _value(hint: Any, value: Any, where: str) -> Any:
    if _is_union(hint):
        return _union(get_args(hint), value, where)
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where)  # type: ignore[arg-type]
    if get_origin(hint) is Literal:
        if value in get_args(hint):
            return value
        expected = ", ".join(repr(choice) for choice in get_args(hint))
        raise ConfigError(f"{where}: expected one of {expected}; got {value!r}")
    if get_origin(hint) is tuple:
        items, listed = get_args(hint), isinstance(value, Sequence) and not isinstance(value, str)
        if listed and items[1:] == (...,):
            items = items[:1] * len(value)
        if listed and len(value) == len(items):
            return tuple(
                _value(item, element, f"{where}[{place}]")
                for place, (item, element) in enumerate(zip(items, value, strict=True))
            )
        raise ConfigError(f"{where}: expected a list of {len(items)}; got {value!r}")
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # bool is an int to isinstance, but `layers = true` is a mistake.
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{where}: expected {hint.__name__}; got {value!r}")


def _union(members: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in members:
        return None
    members = tuple(member for member in members if member is not type(None))
    if len(members) == 1:
        return _value(members[0], value, where)
    kinds = {member.__name__: member for member in members}
    expected = ", ".join(kinds)
    if not isinstance(value, Mapping) or "kind" not in value:
        raise ConfigError(f"{where}: needs a table with the field kind, one of {expected}")
    if value["kind"] not in kinds:
        raise ConfigError(f"{where}.kind: expected one of {expected}; got {value['kind']!r}")
    fields = {name: field for name, field in value.items() if name != "kind"}
    return from_dict(kinds[value["kind"]], fields, where)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
