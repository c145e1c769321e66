"""Chats in JSON, as one document or as JSON lines: the list of formats, and the choice of one."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from pytok.chat.decoding import decode
from pytok.chat.dialogues import is_dialogue_file, read_dialogues
from pytok.chat.files import ChatFile
from pytok.chat.formats.history import is_history, read_history
from pytok.chat.formats.telegram import from_telegram, is_telegram, read_telegram
from pytok.chat.import_options import ImportOptions
from pytok.chat.jsonl import parse
from pytok.chat.source import Source, UnknownFormat
from pytok.errors import ChatError

Entries: TypeAlias = Sequence[tuple[int, Any]]
"""Values of a file with their numbers, from 1: the lines of JSON lines, the items of a document
that is an array, or the document itself."""


class JsonFormat(NamedTuple):
    """One format of chats in JSON."""

    recognizes: Callable[[Entries], bool]
    read: Callable[[Entries, str], Source]
    """Reads the entries of the file of that name. Raises ChatError."""
    convert: Callable[[dict[str, Any]], Any] | None = None
    """Replaces the object of one message by a `Message` while the file is parsed, which bounds the
    memory, and returns any other object unchanged."""


JSON_FORMATS = (
    JsonFormat(is_telegram, read_telegram, from_telegram),
    JsonFormat(is_history, read_history),
    JsonFormat(is_dialogue_file, read_dialogues),
)
"""All formats in JSON; the first one that recognizes the entries reads them."""

_CONVERTERS = [each.convert for each in JSON_FORMATS if each.convert is not None]


def is_json(file: ChatFile) -> bool:
    """Return whether *file* starts like a JSON object, or an array of objects or arrays."""
    start = file.head.lstrip(b"\xef\xbb\xbf")
    return re.match(rb"\s*(\{|\[\s*[{\]])", start) is not None


def read_json(file: ChatFile, options: ImportOptions) -> Source:
    """Read a chat in any of `JSON_FORMATS`. Raises UnknownFormat for other JSON."""
    text, warnings = decode(file.read(), file.name)
    entries = _entries(text, file.name)
    for known in JSON_FORMATS:
        if known.recognizes(entries):
            source = known.read(entries, file.name)
            source.warnings[:0] = warnings
            return source
    raise UnknownFormat(
        f"{file.name}: JSON, but not from Telegram, ShareGPT or OpenAI, and not a history of "
        "`pytok chat import`"
    )


def _entries(text: str, name: str) -> Entries:
    try:
        value = parse(text, _convert)
    except RecursionError:
        raise ChatError(f"{name}: JSON that is nested too deeply for a chat") from None
    except ValueError as error:
        if "Extra data" not in str(error):
            raise ChatError(f"{name}: damaged JSON ({error}); export the chat again") from None
        return list(_json_lines(text, name))
    return list(enumerate(value if isinstance(value, list) else [value], start=1))


def _convert(fields: dict[str, Any]) -> Any:
    for convert in _CONVERTERS:
        value = convert(fields)
        if value is not fields:
            return value
    return fields


def _json_lines(text: str, name: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            if line.strip():
                yield number, parse(line, _convert)
        except (ValueError, RecursionError):
            raise ChatError(f"{name}, line {number}: not JSON, unlike the lines before") from None
