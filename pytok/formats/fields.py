"""Fields of a parsed file, and errors that name the one that is wrong."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytok.errors import FormatError


def read_text(path: Path) -> str:
    """The text of *path*; FormatError if it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: byte {error.start} is not UTF-8") from None


def parse_json(path: Path) -> Any:
    """What the JSON in *path* says; FormatError with line and column if it is none."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise FormatError(
            f"{path}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        ) from None
    except RecursionError:
        raise FormatError(f"{path}: JSON nested too deeply") from None


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
        value = holder.get(field) if isinstance(holder, dict) else None
        if not isinstance(value, expected) or isinstance(value, bool):
            raise FormatError(
                f"{self.path}: {where}{field} is {kind(value)}, not {kind(expected())}"
                if isinstance(holder, dict) and field in holder
                else f"{self.path}: {where}{field} is missing"
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
        if holder.get(field) not in values:
            raise FormatError(f"{self.path}: {where}{field} is {holder.get(field)!r}: {why}")

    def pair(self, merge: object, place: str) -> tuple[str, str]:
        """The two tokens of a merge, which is a pair or two words."""
        parts = merge.split(" ") if isinstance(merge, str) else merge
        match parts:
            case [str(left), str(right)]:
                return left, right
        raise FormatError(f"{self.path}: {place} is {merge!r}, not two tokens")
