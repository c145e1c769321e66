"""What the trials of a part depend on in its own files, as a digest.

A change of what an experiment measures makes its earlier trials worthless; one of its texts, checks
or panels does not. What the rest of the project does is not in the digest: its revision is in the
results.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from pathlib import Path
from typing import Any

from gpt.lab.experiment import Part, SizeName


def digest_of(part: Part, size: SizeName) -> str:
    """Return the digest of *part* at *size*: its grid, and the files of its functions."""
    grid = (sorted(part.sizes[size].items()), list(part.rates))
    digest = hashlib.sha256(repr(grid).encode())
    for file in sorted(_files(part.measure)):
        digest.update(_code(Path(file).read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


def _files(measure: Any) -> set[str]:
    """Return the files of the functions that make a trial: one, or those that an object holds."""
    if inspect.isfunction(measure):
        return {str(inspect.getsourcefile(measure))}
    return {file for each in vars(measure).values() if callable(each) for file in _files(each)}


def _code(source: str) -> str:
    """Return *source* without comments, docstrings and the assignment of EXPERIMENT."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            node.body = [each for each in node.body if not _is_text(each)]
    return ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    """Return whether *statement* is a docstring, or the assignment of EXPERIMENT."""
    match statement:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name(id="EXPERIMENT")]):
            return True
    return False
