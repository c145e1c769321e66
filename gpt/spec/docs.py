"""The documentation of fields: the string literal below a field in the source of its class.

Python drops these strings, so they are read from the source, once a module. Help and error messages
then need no second copy of them.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from itertools import pairwise


def docs_of(spec: type) -> dict[str, str]:
    """Return the documentation of the fields of the class *spec*, each in one line.

    Inherited fields are included. Without a source, as in a frozen program, there is none.
    """
    docs: dict[str, str] = {}
    for cls in reversed(spec.__mro__[:-1]):
        docs |= _classes(cls.__module__).get(cls.__name__, {})
    return docs


def summary_of(spec: type) -> str:
    """Return the first line of the docstring of *spec*."""
    return (inspect.getdoc(spec) or "").partition("\n")[0]


@functools.cache
def _classes(module: str) -> dict[str, dict[str, str]]:
    """Return the documentation of the fields of each class in the *module*."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:
        return {}
    return {node.name: _fields(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _fields(node: ast.ClassDef) -> dict[str, str]:
    docs = {}
    for field, below in pairwise(node.body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(doc))),
            ):
                docs[name] = " ".join(doc.split())
    return docs
