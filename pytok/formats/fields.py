"""Parse JSON files and read their fields, with errors that name the field that is wrong."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytok.errors import FormatError
from pytok.formats import detect
from pytok.text import quoted

_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
"""JSON escapes of the two halves of a surrogate pair."""


def read_text(path: Path, data: bytes | None = None) -> str:
    """Decode *data*, the content of *path* (default: read it). FormatError if it is not UTF-8."""
    try:
        return (detect.read(path) if data is None else data).decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: byte {error.start} is not UTF-8") from None


def parse_json(path: Path, data: bytes | None = None) -> Any:
    """Parse the JSON in *data*, the content of *path* (default: read it).

    Raises FormatError with line and column if it is not JSON, and for what JSON allows but a
    tokenizer cannot contain: a repeated key, a lone surrogate.
    """
    return parse_json_text(path, read_text(path, data))


def parse_json_text(path: Path, text: str) -> Any:
    """Parse *text*, which is that of *path*; see `parse_json`."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            repeated = next(key for key, count in counts.items() if count > 1)
            raise FormatError(f"{path}: {quoted(repeated)} is listed twice in one object")
        return value

    try:
        value = json.loads(text, object_pairs_hook=unique)
        if re.search(rf"{_HIGH}|{_LOW}", text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise FormatError(
            f"{path}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        ) from None
    except UnicodeEncodeError:
        half = re.search(rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}", text)
        line = text.count("\n", 0, half.start() if half else 0) + 1
        raise FormatError(f"{path}: line {line}: a string has a lone surrogate") from None
    except FormatError:
        raise
    except RecursionError:
        raise FormatError(f"{path}: the JSON cannot be read: nested too deeply") from None
    except ValueError as error:  # a number beyond Python's limit
        raise FormatError(f"{path}: the JSON cannot be read: {error}") from None
    return value


def json_type(value: object) -> str:
    """Return JSON's name for the type of *value*."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


@dataclass(frozen=True, slots=True)
class Fields:
    """Reads the fields of a parsed file; *where* is the path of the parent object in it."""

    path: Path

    def get(self, parent: Any, field: str, expected: type, where: str = "") -> Any:
        """Return *field* of *parent*. Raises FormatError if it is missing or of another type."""
        if not isinstance(parent, dict) or field not in parent:
            raise FormatError(f"{self.path}: {where}{field} is missing")
        value = parent[field]
        if type(value) is not expected:
            raise FormatError(
                f"{self.path}: {where}{field} is {json_type(value)}, not {json_type(expected())}"
            )
        return value

    def must_be(
        self,
        parent: dict[str, Any],
        field: str,
        values: tuple[object, ...],
        why: str,
        where: str = "",
    ) -> None:
        """Raise FormatError with the reason *why* unless *field* of *parent* is one of *values*."""
        value = parent.get(field)
        if not any(value == allowed and type(value) is type(allowed) for allowed in values):
            raise FormatError(f"{self.path}: {where}{field} is {quoted(value)}: {why}")

    def steps(self, parent: dict[str, Any], field: str, inner: str) -> list[tuple[str, Any]]:
        """Return the processing steps of *field*: objects with a type, and the path of each.

        A null has no steps; a Sequence has those of its list *inner*, which can hold Sequences.
        """
        found = []
        pending = [] if parent.get(field) is None else [(field, parent[field])]
        while pending:
            where, step = pending.pop()
            if not isinstance(step, dict):
                raise FormatError(f"{self.path}: {where} is {json_type(step)}, not object")
            if self.get(step, "type", str, f"{where}.") == "Sequence":
                listed = self.get(step, inner, list, f"{where}.")
                nested = [(f"{where}.{inner}[{index}]", each) for index, each in enumerate(listed)]
                pending += reversed(nested)
            else:
                found.append((where, step))
        return found

    def pair(self, merge: object, where: str) -> tuple[str, str]:
        """Return the two tokens of *merge*, an array of two or a string with a space."""
        parts = merge.split(" ") if isinstance(merge, str) else merge
        match parts:
            case [str(left), str(right)]:
                return left, right
        raise FormatError(f"{self.path}: {where} is {quoted(merge)}, not two tokens")
