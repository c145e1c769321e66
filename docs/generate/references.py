"""References to the code: a name means what it means in the module whose docstring has it."""

from __future__ import annotations

import ast
import builtins
import functools
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

from generate import modules


def full_name(target: str, module: str, scope: str, documented: Collection[str]) -> str | None:
    """Return the name in *documented* of what *target* is called in *module*; None if not found.

    *scope* is the class whose docstring has the reference, "" in others. Names of the module come
    first, then what it imports, also for types only, then full names.

    >>> full_name("Norm", "gpt.nn.wiring", "", {"gpt.nn.norm.Norm", "gpt.spec.norm.Norm"})
    'gpt.nn.norm.Norm'
    """
    classes = scope.split(".") if scope else []
    for depth in range(len(classes), -1, -1):
        name = ".".join([module, *classes[:depth], target])
        if name in documented:
            return name
    first, _, rest = target.partition(".")
    for name in (f"{module}.{target}", _suffixed(_imports(module).get(first, ""), rest), target):
        if found := _home(name, documented):
            return found
    return None


def is_builtin(name: str) -> bool:
    """Return whether *name* is of Python itself, such as ``bytes``."""
    return hasattr(builtins, name)


def is_type_variable(name: str) -> bool:
    """Return whether the full *name* is that of a type variable, which has no entry."""
    module, _, attribute = name.rpartition(".")
    return isinstance(getattr(sys.modules.get(module), attribute, None), TypeVar)


def _home(name: str, documented: Collection[str]) -> str | None:
    """Return the documented name of *name*, which its module may have imported."""
    if name in documented:
        return name
    parts = name.split(".")
    for end in range(len(parts), 0, -1):  # the public name of it, or of its class
        if public := _public().get(".".join(parts[:end])):
            public = _suffixed(public, ".".join(parts[end:]))
            return public if public in documented else None
    for end in range(1, len(parts)):
        module = ".".join(parts[:end])
        origin = _imports(module).get(parts[end])
        if origin and not _is_file(f"{module}.{parts[end]}"):
            return _home(_suffixed(origin, ".".join(parts[end + 1 :])), documented)
    return None


def _suffixed(name: str, rest: str) -> str:
    return f"{name}.{rest}" if rest else name


@functools.cache
def _public() -> dict[str, str]:
    """Return the public names by the full names of what they are."""
    return {
        home: f"{package}.{name}"
        for package in modules.PACKAGES
        for home, name in modules.first_names(modules.public_names(package)).items()
    }


@functools.cache
def _imports(module: str) -> dict[str, str]:
    """Return the full names of what *module* imports by ``from``, by its names for them."""
    if not _is_file(module):
        return {}
    path = _path(module)
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _path(module: str) -> Path:
    return modules.ROOT.joinpath(*module.split("."))


def _is_file(module: str) -> bool:
    """Return whether *module* is the full name of a module or a package."""
    path = _path(module)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
