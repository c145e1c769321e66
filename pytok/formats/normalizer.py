r"""The ``normalizer`` of a tokenizer.json: how text is changed before it is split.

Hugging Face's normalizers run in sequence, as the steps of `pytok.definition.Definition` do. What
has no step of its own is a replacement: white space at the ends, accents.
"""

from collections.abc import Callable
from typing import Any

from pytok.definition import Step
from pytok.errors import FormatError
from pytok.formats.fields import Fields
from pytok.formats.oniguruma import as_literal, from_rust, read_pattern

Json = dict[str, Any]


def read_normalizer(reader: Fields, document: Json) -> tuple[Step, ...]:
    """Return the steps of the file's normalizer.

    Raises FormatError for one that no steps of `pytok.definition.STEPS` equal.
    """
    steps: list[Step] = []
    for where, step in reader.steps(document, "normalizer", "normalizers"):
        if step["type"] not in _READERS:
            raise FormatError(
                f"{reader.path}: {where}.type is {step['type']!r}, which pytok cannot apply: it "
                f"reads {', '.join(_READERS)}"
            )
        steps += _READERS[step["type"]](reader, step, f"{where}.")
    return tuple(steps)


def write_normalizer(steps: tuple[Step, ...]) -> Json | None:
    """Return the value of the field ``normalizer``; FormatError for a regex without translation."""
    written = [_WRITERS.get(name, _by_name(name))(*arguments) for name, *arguments in steps]
    if len(written) < 2:
        return written[0] if written else None
    return {"type": "Sequence", "normalizers": written}


def _named(reader: Fields, step: Json, where: str) -> list[Step]:
    return [(step["type"],)]


def _prepend(reader: Fields, step: Json, where: str) -> list[Step]:
    return [("Prepend", reader.get(step, "prepend", str, where))]


def _replace(reader: Fields, step: Json, where: str) -> list[Step]:
    regex = read_pattern(reader, step, where)
    return [("Replace", regex, reader.get(step, "content", str, where))]


def _strip(reader: Fields, step: Json, where: str) -> list[Step]:
    ends = {"strip_left": r"\A\s+", "strip_right": r"\s+\z"}
    return [
        ("Replace", regex, "")
        for side, regex in ends.items()
        if reader.get(step, side, bool, where)
    ]


def _strip_accents(reader: Fields, step: Json, where: str) -> list[Step]:
    return [("Replace", r"\p{M}+", "")]


_READERS: dict[str, Callable[[Fields, Json, str], list[Step]]] = {
    "NFC": _named,
    "NFD": _named,
    "NFKC": _named,
    "NFKD": _named,
    "Lowercase": _named,
    "Prepend": _prepend,
    "Replace": _replace,
    "Strip": _strip,
    "StripAccents": _strip_accents,
}
"""For each type of normalizer, a function that returns its steps."""


def _by_name(name: str) -> Callable[..., Json]:
    return lambda: {"type": name}


def _write_replace(regex: str, content: str) -> Json:
    text = as_literal(regex)
    pattern = {"Regex": from_rust(regex)} if text is None else {"String": text}
    return {"type": "Replace", "pattern": pattern, "content": content}


_WRITERS: dict[str, Callable[..., Json]] = {
    "Prepend": lambda text: {"type": "Prepend", "prepend": text},
    "Replace": _write_replace,
}
"""For each step with arguments, a function that returns its object."""
