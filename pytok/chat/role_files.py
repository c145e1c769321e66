"""Files of conversations of a user and an assistant: JSON lines, or a JSON array."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pytok.chat.role_formats import FORMATS, Unread, read_conversation
from pytok.chat.template import Conversation
from pytok.errors import ChatError

_EXPECTED = "expected a conversation per line, or a JSON array of conversations"
_SPACE = re.compile(r"[ \t\r\n]*")


class Record(NamedTuple):
    """A conversation, and where it is."""

    where: str
    """The file, and the line at which it begins."""
    conversation: Conversation


def read_records(path: Path, unread: Unread | None = None) -> Iterator[Record]:
    """Read the conversations in *path*, in any of the formats of `pytok.chat.role_formats`.

    Counts the fields that are not read in *unread*. Empty lines have none. Raises ChatError with
    the file, the line and the field.
    """
    unread = Unread() if unread is None else unread
    for line, value in _values(path):
        where = f"{path}, line {line}"
        try:
            yield Record(where, read_conversation(value, unread))
        except ChatError as error:
            raise ChatError(f"{where}: {error}") from None
        except RecursionError:  # where a value is quoted in an error
            raise ChatError(f"{where}: nested too deeply; {_EXPECTED}") from None


def holds_conversations(path: Path) -> bool:
    """Return whether the file *path* is JSON of conversations, by its first object.

    An object without any of the fields of a format is one as well, unless it has a text: then the
    file is a corpus.
    """
    if path.suffix not in (".json", ".jsonl", ".ndjson") or not path.is_file():
        return False
    try:
        _, first = next(_values(path))
    except (ChatError, StopIteration):
        return False
    return isinstance(first, dict) and (bool(FORMATS.keys() & first.keys()) or "text" not in first)


def _values(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield each value in *path*, and the number of the line at which it begins."""
    with path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
        file.seek(0)
        if start.startswith(b"["):
            yield from _of_array(path, file.read())
            return
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield number, json.loads(line.decode("utf-8-sig"))
                except (ValueError, RecursionError) as error:
                    raise _not_json(path, number, error) from None


def _of_array(path: Path, content: bytes) -> Iterator[tuple[int, Any]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _not_json(path, line, error) from None
    decoder = json.JSONDecoder()
    line, counted, position = 1, 0, _after_space(text, text.index("[") + 1)
    while text[position : position + 1] != "]":
        line, counted = line + text.count("\n", counted, position), position
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            if isinstance(error, json.JSONDecodeError):
                line = error.lineno
            raise _not_json(path, line, error) from None
        yield line, value
        position = _after_space(text, end)
        if text[position : position + 1] == ",":
            position = _after_space(text, position + 1)
        elif text[position : position + 1] != "]":
            line += text.count("\n", counted, position)
            raise _not_json(path, line, ValueError("expected , or ] after a conversation"))
    if _after_space(text, position + 1) < len(text):
        line = text.count("\n", 0, position) + 1
        raise _not_json(path, line, ValueError("more after the end of the array"))


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    assert match is not None
    return match.end()


def _not_json(path: Path, line: int, error: Exception) -> ChatError:
    reason = {
        UnicodeDecodeError: "not UTF-8",
        RecursionError: "nested too deeply",
    }.get(type(error), getattr(error, "msg", str(error)))
    return ChatError(f"{path}, line {line}: not JSON ({reason}); {_EXPECTED}")
