"""The API reference: a page for the public names of each package, and one for each subpackage.

Modules are found by walking the folders, so that none can be missing. `autodoc` reads the rest from
the docstrings.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pytok", "gpt")
COMMANDS = "commands"
"""The packages of the command lines, which have pages of their own: `generate.commands`."""


def subpackages(package: str) -> list[str]:
    """Return the dotted names of *package* and of all packages inside it, by name.

    >>> "gpt.nn.attention" in subpackages("gpt")
    True
    """
    inits = sorted((ROOT / package).rglob("__init__.py"))
    names = [".".join(path.parent.relative_to(ROOT).parts) for path in inits]
    return [name for name in names if name.split(".")[-1] != COMMANDS]


def modules(package: str) -> list[str]:
    """Return the dotted names of the modules in *package*, without those of its subpackages.

    >>> "gpt.nn.norm" in modules("gpt.nn")
    True
    """
    files = sorted(ROOT.joinpath(*package.split(".")).glob("*.py"))
    return [f"{package}.{path.stem}" for path in files if not path.stem.startswith("_")]


@functools.cache
def public_names(package: str) -> dict[str, str]:
    """Return each name in ``__all__`` of *package*, and where it is defined: `module.attribute`.

    >>> public_names("pytok")["load"]
    'pytok.tokenizer.Tokenizer.load'
    """
    module = importlib.import_module(package)
    return {name: _home(getattr(module, name)) for name in module.__all__}


def origin(module: str, name: str) -> tuple[str, str]:
    """Return the module that defines *name* of *module*, which it may import or inherit; its name.

    >>> origin("pytok", "Tokenizer.encode")
    ('pytok.encoding', 'Encoder.encode')
    """
    value: Any = importlib.import_module(module)
    for part in name.split("."):
        owners = [each for each in getattr(value, "__mro__", ()) if part in vars(each)]
        if owners:
            module, name = owners[0].__module__, f"{owners[0].__qualname__}.{part}"
        value = getattr(value, part, None)
        if not owners and isinstance(value, FunctionType | MethodType | type):
            module, name = value.__module__, value.__qualname__
    return module, name


def pages() -> dict[str, str]:
    """Return the text of each page, in reST, by its file in docs/reference/."""
    found = {}
    for package in PACKAGES:
        homes = public_names(package)
        inner = subpackages(package)
        found[f"{package}.rst"] = _public_page(package, homes)
        found[f"{package}-modules.rst"] = _index_page(package, inner)
        public = {home: f"{package}.{name}" for home, name in first_names(homes).items()}
        for name in inner:
            found[f"modules/{name}.rst"] = _package_page(name, package, public)
    return found


def _home(value: Any) -> str:
    """Return where the class, the function or the method *value* is defined."""
    return f"{value.__module__}.{value.__qualname__}"


def first_names(homes: dict[str, str]) -> dict[str, str]:
    """Return the name of each object in *homes*: of two, that of its definition."""
    names = {home: name for name, home in homes.items()}
    return names | {home: name for name, home in homes.items() if home.endswith(f".{name}")}


def _public_page(package: str, homes: dict[str, str]) -> str:
    """Return the page of the names that ``import`` *package* gives."""
    first = first_names(homes)
    lines = [*_page_title(f"import {package}"), f".. automodule:: {package}", "   :no-members:", ""]
    lines += [".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   {name}" for name, home in homes.items() if first[home] == name]
    for name, home in homes.items():
        lines += ["", *_title(name, "-")]
        if first[home] != name:
            lines += [f"Another name of `{package}.{first[home]}`."]
        elif isinstance(getattr(importlib.import_module(package), name), type):
            lines += [f".. autoclass:: {package}.{name}", "   :members:", "   :inherited-members:"]
        else:
            lines += [f".. autofunction:: {package}.{name}"]
    lines += ["", f"The other modules: :doc:`{package}-modules`.", ""]
    return "\n".join(lines)


def _index_page(package: str, inner: list[str]) -> str:
    """Return the page that lists the packages in *package*."""
    lines = [*_title(f"Modules of {package}"), ".. toctree::", "   :titlesonly:", ""]
    return "\n".join([*lines, *(f"   modules/{name}" for name in inner), ""])


def _package_page(package: str, outer: str, public: dict[str, str]) -> str:
    """Return the page of the modules in *package*; those in *public* have entries elsewhere."""
    lines = [*_page_title(package)]
    if package != outer:
        lines += [f".. automodule:: {package}", "   :members:"]
        lines += ["   :ignore-module-all:", ""]  # what it imports has entries on its own page
    for module in modules(package):
        elsewhere = {
            home.rpartition(".")[2]: name
            for home, name in public.items()
            if home.rpartition(".")[0] == module
        }
        lines += [*_title(module, "-"), f".. automodule:: {module}", "   :members:"]
        lines += ["   :ignore-module-all:"]  # it lists what is imported from there
        if elsewhere:
            lines += [f"   :exclude-members: {', '.join(elsewhere)}", ""]
            lines += [f"Documented with ``import {outer}``: {_references(elsewhere)}."]
        lines += [""]
    return "\n".join(lines)


def _references(elsewhere: dict[str, str]) -> str:
    return ", ".join(f"`{name}`" for name in elsewhere.values())


def _page_title(text: str) -> list[str]:
    """Return the lines of the title of a page, whose code is Python if it looks like that."""
    return [*_title(text), ".. highlight:: default", ""]


def _title(text: str, line: str = "=") -> list[str]:
    """Return the lines of a title in reST."""
    return [text, line * len(text), ""]
