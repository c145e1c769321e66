"""Fields of a parsed file, and errors that name the one that is wrong."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytok.errors import FormatError

_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
"""How JSON escapes the halves of a surrogate pair."""


def read_text(path: Path) -> str:
    """The text of *path*; FormatError if it is not UTF-8."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: byte {error.start} is not UTF-8") from None


def parse_json(path: Path) -> Any:
    """What the JSON in *path* says.

    Raises FormatError, with line and column, if it is none, and for what JSON allows but a
    tokenizer cannot hold: a key listed twice, half a surrogate pair.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            times = Counter(key for key, _ in pairs)
            twice = next(key for key, count in times.items() if count > 1)
            raise FormatError(f"{path}: {twice!r} is listed twice in one object")
        return found

    text = read_text(path)
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
        raise FormatError(f"{path}: line {line}: a string holds half a surrogate pair") from None
    except FormatError:
        raise
    except RecursionError:
        raise FormatError(f"{path}: not JSON that can be read: nested too deeply") from None
    except ValueError as error:  # a number past Python's limit
        raise FormatError(f"{path}: not JSON that can be read: {error}") from None
    return value


def kind(value: object) -> str:
    """JSON's name for the type of *value*."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


@dataclass(frozen=True, slots=True)
class Fields:
    """Reads fields of a parsed file, and says which one is wrong."""

    path: Path

    def get(self, holder: Any, field: str, expected: type, where: str = "") -> Any:
        """The *field* of *holder*, of that type; FormatError if it is missing or of another."""
        if not isinstance(holder, dict) or field not in holder:
            raise FormatError(f"{self.path}: {where}{field} is missing")
        value = holder[field]
        if type(value) is not expected:
            raise FormatError(
                f"{self.path}: {where}{field} is {kind(value)}, not {kind(expected())}"
            )
        return value

    def must_be(
        self,
        holder: dict[str, Any],
        field: str,
        values: tuple[object, ...],
        why: str,
        where: str = "",
    ) -> None:
        """Refuse a *field* that says what pytok does not do."""
        value = holder.get(field)
        if not any(value == allowed and type(value) is type(allowed) for allowed in values):
            raise FormatError(f"{self.path}: {where}{field} is {value!r}: {why}")

    def parts(self, holder: dict[str, Any], field: str, inner: str) -> list[tuple[str, Any]]:
        """The objects that *field* of *holder* runs one after the other, each with its place.

        Null is none, a Sequence those of its list *inner*, Sequences in it too; all have a type.
        """
        found = []
        waiting = [] if holder.get(field) is None else [(field, holder[field])]
        while waiting:
            where, part = waiting.pop()
            if not isinstance(part, dict):
                raise FormatError(f"{self.path}: {where} is {kind(part)}, not object")
            if self.get(part, "type", str, f"{where}.") == "Sequence":
                listed = self.get(part, inner, list, f"{where}.")
                places = [(f"{where}.{inner}[{place}]", each) for place, each in enumerate(listed)]
                waiting += reversed(places)
            else:
                found.append((where, part))
        return found

    def pair(self, merge: object, place: str) -> tuple[str, str]:
        """The two tokens of a merge, which is a pair or two words."""
        parts = merge.split(" ") if isinstance(merge, str) else merge
        match parts:
            case [str(left), str(right)]:
                return left, right
        raise FormatError(f"{self.path}: {place} is {merge!r}, not two tokens")
