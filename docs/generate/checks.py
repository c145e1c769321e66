"""Checks of the site that was built: each raises a warning, and so fails the build."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from sphinx.pycode import ModuleAnalyzer

from generate import modules
from generate.references import full_name

RESOURCE = re.compile(
    r"""<(?:script|img|source|iframe|video|audio|embed)\b[^>]*?\s(?:src|srcset)=["']?(?:https?:)?//"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|icon|preconnect))[^>]*\bhref=["']?(?:https?:)?//"""
    r"""|(?:@import|url\()\s*["']?(?:https?:)?//""",
    re.I,
)
"""A script, a style, a picture or a font of another host."""


def resources_of_others(folder: Path) -> Iterator[str]:
    """Yield what the pages and styles in *folder* load from other hosts when they are viewed."""
    for path in sorted([*folder.rglob("*.html"), *folder.rglob("*.css")]):
        for found in RESOURCE.finditer(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(folder)} loads {found[0]}"


def missing_members(documented: Collection[str]) -> Iterator[str]:
    """Yield the public classes, functions and methods that have no entry in *documented*."""
    for package in modules.PACKAGES:
        for each in modules.subpackages(package):
            for module in (each, *modules.modules(each)):
                for name in _members(module):
                    if not full_name(name, module, "", documented):
                        yield f"{module}.{name}"


def _members(module: str) -> Iterator[str]:
    """Yield the names of the public classes and functions of *module*, and of the methods."""
    tags = ModuleAnalyzer.for_module(module).find_tags()
    for name, (kind, *_) in tags.items():
        public = not any(part.startswith("_") for part in name.split("."))
        outer = name.rpartition(".")[0]
        if public and kind in ("class", "def") and (not outer or tags[outer][0] == "class"):
            yield name
