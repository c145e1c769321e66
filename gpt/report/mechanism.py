"""One mechanism in full: its formula, its fields, and what it costs in a small model."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from typing import Any, get_args, get_type_hints

from gpt.errors import ConfigError
from gpt.model.anatomy import Anatomy, anatomy_of
from gpt.model.flops import parts_of
from gpt.nn.build import MECHANISMS
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.docs import docs_of
from gpt.spec.serialize import is_union
from gpt.spec.zoo import Axis

WIDTH = 80
"""Columns of the text."""
VOCABULARY = 4096
"""Vocabulary size of the model in which a mechanism's cost is measured."""


def entry(axis: Axis, kind: type) -> str:
    """Describe the mechanism *kind* of *axis*."""
    sections = [
        f"{kind.__name__} (model.{axis.name})",
        _wrapped(inspect.getdoc(kind) or ""),
        *(_wrapped(f"{name}: {doc}") for name, doc in formulas(kind).items()),
        _fields(kind),
        _cost(axis, kind),
    ]
    return "\n\n".join(filter(None, sections))


def formulas(kind: type) -> dict[str, str]:
    """Return the documentation of the modules that implement *kind*, by their names."""
    build = MECHANISMS.get(kind)
    if build is None:
        return {}
    if not inspect.isclass(build):  # a function that builds one of several classes
        hint = get_type_hints(build).get("return")
        built = get_args(hint) if is_union(hint) else (hint,)
        return {each.__name__: inspect.getdoc(each) or "" for each in built if each is not None}
    return {build.__name__: inspect.getdoc(build) or ""}


def example(kind: type) -> Any:
    """Return a spec of *kind* for a model of four layers of width 256; None if there is none.

    What has no default is 4 heads, or a size of 32.
    """
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            fields[field.name] = 4 if "heads" in field.name else 32
    try:
        return kind(**fields)
    except (ConfigError, TypeError):
        return None


def _wrapped(doc: str, indent: str = "") -> str:
    """Return the paragraphs of *doc* in lines of `WIDTH` columns."""
    return "\n".join(
        textwrap.fill(each, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
        for each in doc.split("\n\n")
    )


def _fields(kind: type) -> str:
    docs = docs_of(kind)
    lines = []
    for field in dataclasses.fields(kind):
        doc, _, default = docs.get(field.name, "").partition(" [default: ")
        default = default.rstrip("]")
        if not default and field.default is not dataclasses.MISSING:
            default = str(field.default)
        if field.default_factory is not dataclasses.MISSING:
            default = type(field.default_factory()).__name__
        line = f"  {field.name}: {doc} [{default or 'required'}]"
        lines.append(_wrapped(line, "    "))
    return "\n".join(lines and ["Fields, with their defaults:", *lines])


def _cost(axis: Axis, kind: type) -> str:
    """Return what *kind* adds to the default model, or takes from it."""
    spec = example(kind)
    base = GPTConfig.over(Architecture(), VOCABULARY)
    if spec is None:
        return ""
    try:
        changed = _replaced(base, axis.name.split("."), spec)
    except (AttributeError, ConfigError, TypeError):
        return ""
    before, after = map(_figures, (anatomy_of(base), anatomy_of(changed)))
    names = ("parameters", "active parameters", "FLOPs a token", "bytes of state a token")
    deltas = [f"{new - old:+,} {name}" for name, old, new in zip(names, before, after, strict=True)]
    return _wrapped(
        f"Cost: in a model of {base.layers} layers of width {base.width} and a context of "
        f"{base.context}, instead of the default: {', '.join(deltas)} (float32)."
    )


def _figures(anatomy: Anatomy) -> tuple[int, ...]:
    parts = parts_of(anatomy.model).values()
    figures = zip(*((part.parameters, part.active, part.flops) for part in parts), strict=True)
    return (*map(sum, figures), anatomy.state // anatomy.model.context)


def _replaced(spec: Any, path: list[str], value: Any) -> Any:
    """Return *spec* with the field at *path* set to *value*."""
    name, *rest = path
    inner = _replaced(getattr(spec, name), rest, value) if rest else value
    return dataclasses.replace(spec, **{name: inner})
