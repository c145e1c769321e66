"""The table of model families in docs/families.md; run as a module, it writes the table there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gpt.interop.families.table import FAMILIES, UNSUPPORTED
from gpt.interop.family import Family
from gpt.interop.fields import Codec, Inside, Only
from gpt.interop.gguf_families import ARCHITECTURES

PAGE = Path(__file__).parents[3] / "docs" / "families.md"
BEGIN, END = "<!-- models -->\n", "<!-- end of models -->\n"


def table() -> str:
    """All families, and what of them is refused."""
    lines = ["| model_type | GGUF | refused |", "|---|---|---|"]
    for family in sorted(FAMILIES.values(), key=lambda family: family.name):
        refused = ", ".join(_refused(family.fields))
        lines.append(f"| {family.name} | {_architecture(family)} | {refused} |")
    lines += ["", "| model_type | not supported, because |", "|---|---|"]
    lines += [f"| {', '.join(names)} | {reason} |" for reason, names in _by_reason().items()]
    return "\n".join(lines) + "\n"


def _architecture(family: Family) -> str:
    """The architecture of llama.cpp in which models of *family* are stored."""
    stored = [name for (name, _), each in ARCHITECTURES.items() if each.source is family]
    return stored[0] if stored else ""


def _refused(codecs: Iterable[Codec]) -> list[str]:
    """Fields of which not all values are supported."""
    found = []
    for codec in codecs:
        if isinstance(codec, Inside):
            found += [f"{codec.name}.{each}" for each in _refused(codec.codecs)]
        if isinstance(codec, Only):
            found.append(f"{codec.name} ≠ {codec.supported!r}".replace("None", "null"))
    return found


def _by_reason() -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, reason in UNSUPPORTED.items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def written(page: str) -> str:
    """*page* with the table as it is now."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
