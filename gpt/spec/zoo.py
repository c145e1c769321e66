"""The zoo: all mechanisms, by the axis of a model on which they are alternatives."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from gpt.errors import ConfigError
from gpt.spec.architecture import Architecture
from gpt.spec.docs import docs_of
from gpt.spec.serialize import NEAR, is_union, join

MANY = 5
"""Number of words from which the possible values of a field are mechanisms of their own."""


@dataclass(frozen=True)
class Axis:
    """A field of a model whose value is one of several mechanisms."""

    name: str
    """Dotted name, such as `attention.pattern`."""
    doc: str
    """Documentation of the field."""
    kinds: tuple[type, ...]
    """Specs of the mechanisms."""
    words: tuple[str, ...] = ()
    """Names of mechanisms without fields, such as activations."""


def axes() -> list[Axis]:
    """Return the axes of `Architecture`, each followed by those of its mechanisms.

    A mechanism that is a part of several others is listed once.
    """
    found: dict[str, Axis] = {}
    seen: set[Any] = set()
    for axis in _walk(Architecture):
        new = tuple(kind for kind in axis.kinds if kind not in seen)
        seen.update(new)
        if axis.name in found:
            before = found[axis.name]
            new, axis = (*before.kinds, *new), before
        if new or (axis.words and axis.words not in seen):
            found[axis.name] = dataclasses.replace(axis, kinds=new)
            seen.add(axis.words)
    return list(found.values())


def find(name: str) -> tuple[Axis, type | None]:
    """Return the axis called *name*, or the mechanism with its axis; in any case of letters.

    Raises ConfigError that suggests similar names.
    """
    entries: dict[str, tuple[Axis, type | None]] = {}
    for axis in axes():
        entries[axis.name] = entries[f"model.{axis.name}"] = (axis, None)
        entries.setdefault(axis.name.rpartition(".")[2], (axis, None))
        entries |= dict.fromkeys(axis.words, (axis, None))
        entries |= {kind.__name__: (axis, kind) for kind in axis.kinds}
    by_case = {key.casefold(): key for key in reversed(entries)}
    key = by_case.get(name.casefold())
    if key is None:
        near = difflib.get_close_matches(name.casefold(), by_case, cutoff=NEAR)
        known = " or ".join(by_case[each] for each in near)
        hint = f"did you mean {known}?" if near else "`gpt mechanisms` lists all"
        raise ConfigError(f"{name}: no such mechanism; {hint}")
    return entries[name if name in entries else key]


def described(kind: type) -> str:
    """Return the first paragraph of the docstring of *kind*, in one line."""
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())


def _walk(spec: type, where: str = "") -> Iterator[Axis]:
    hints, docs = get_type_hints(spec), docs_of(spec)
    for field in dataclasses.fields(spec):
        hint = hints[field.name]
        types = get_args(hint) if is_union(hint) else (hint,)
        kinds: Any = tuple(each for each in types if dataclasses.is_dataclass(each))
        words = get_args(hint) if get_origin(hint) is Literal else ()
        name = join(where, field.name)
        if kinds or len(words) >= MANY:
            yield Axis(name, docs.get(field.name, "").partition(" [default")[0], kinds, words)
        for kind in kinds:
            yield from _walk(kind, name)
