"""The page of the fields of a recipe, from the specs in `gpt.spec`."""

from __future__ import annotations

import re

from generate.markdown import escaped
from gpt.spec.docs import summary_of
from gpt.spec.fields import Field, fields_of
from gpt.spec.planning import PLANNED
from gpt.spec.recipe import Recipe

INTRODUCTION = """# The fields of a recipe

A recipe is what `gpt train` and `gpt tune` run: the run folder keeps it, and `report.md` shows it.
Each field can be set in three ways that mean the same:

```sh
gpt train --data corpus.txt --set model.norm=RMSNorm --set model.mlp.hidden=512
gpt train --data corpus.txt --model.norm RMSNorm --model.mlp.hidden 512
gpt train --data corpus.txt --config recipe.toml
```

```toml
[model]
norm = "RMSNorm"
mlp = { hidden = 512 }
```

*planned* means that the field is chosen for the data and the machine unless it is set; a mechanism
that is planned is planned with its fields. The defaults below apply to a mechanism that is set.
"""
KINDS = {"N": "integer", "X": "number", "TEXT": "text", "PATH": "path"}
"""Types in words, by the placeholders of their values."""


def pages() -> dict[str, str]:
    """Return the text of the page, in Markdown, by its file in docs/reference/."""
    lines = [INTRODUCTION]
    for (table, spec), fields in _tables().items():
        kind = f" = {spec.__name__}" if table and _is_kind(table, spec) else ""
        lines += [f"## {f'`{table}{kind}`' if table else 'The run'}", ""]
        lines += [escaped(summary_of(spec), emphasis=True), ""]
        for field in fields:
            lines += [*_entry(field), ""]
    return {"recipe.md": "\n".join(lines)}


def _tables() -> dict[tuple[str, type], list[Field]]:
    """Return the fields by their table and the spec of it, in the order of the recipe."""
    found: dict[tuple[str, type], list[Field]] = {}
    for entries in fields_of(Recipe).by_name.values():
        for field in entries:
            found.setdefault((field.table, field.spec), []).append(field)
            for spec in field.specs:  # also those without fields
                found.setdefault((field.name, spec), [])
    return found


def _is_kind(table: str, spec: type) -> bool:
    fields = fields_of(Recipe).by_name.get(table, [])
    return any(spec in field.specs for field in fields)


def _entry(field: Field) -> list[str]:
    """Return the entry of *field*: its name, its values, its documentation, its default."""
    values = " or ".join(f"`{each}`" for each in field.choices)
    values = values or re.sub(r"[A-Z]+", lambda name: KINDS[name[0]], field.metavar)
    lines = [f"`{field.name}`: {values}", f": {escaped(field.doc, emphasis=True)}"]
    if (default := _default(field)) is not None:
        lines[1] += f" Default: {default}."
    return lines


def _default(field: Field) -> str | None:
    """Return the default of *field* in Markdown; None if there is none to show."""
    planned = any(f"{field.name}.".startswith(f"{each}.") for each in PLANNED)
    if planned and (not field.of_kind or field.name in PLANNED):
        return "*planned*"
    return None if field.default is None else f"`{field.default}`"
