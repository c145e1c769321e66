"""The fields of a dataclass as Markdown, with the types and the documentation in its source."""

from __future__ import annotations

import dataclasses
import importlib
from inspect import formatannotation
from typing import Any

from generate.markdown import escaped
from gpt.spec.docs import docs_of


def entries(name: str) -> str:
    """Return a definition list of the fields of the dataclass with the dotted *name*.

    >>> entries("gpt.report.samples.Sample").splitlines()[-2:]
    ['`text`: `str`', ': Continuation of the prompt.']
    """
    module, _, attribute = name.rpartition(".")
    spec: Any = getattr(importlib.import_module(module), attribute)
    docs = docs_of(spec)
    lines = []
    for field in dataclasses.fields(spec):
        kind = field.type if isinstance(field.type, str) else formatannotation(field.type)
        text = docs[field.name]
        lines += [f"`{field.name}`: `{kind}`", f": {escaped(text, emphasis=True)}", ""]
    return "\n".join(lines[:-1])
