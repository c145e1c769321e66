"""Chats in JSON, as one document or as JSON lines: the list of formats, and the choice of one."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from pytok.chat.cut_json import complete
from pytok.chat.dialogues import is_dialogue_file, read_dialogues
from pytok.chat.files import ChatFile
from pytok.chat.formats.discord import from_discord, is_discord, read_discord
from pytok.chat.formats.downloads import (
    from_download,
    is_google_chat,
    is_skype,
    is_slack,
    is_snapchat,
    read_google_chat,
    read_skype,
    read_slack,
    read_snapchat,
)
from pytok.chat.formats.history import is_history, read_history
from pytok.chat.formats.matrix import is_matrix, read_matrix
from pytok.chat.formats.messenger import from_messenger, is_messenger, read_messenger
from pytok.chat.formats.own_format import is_own_document, read_own_document
from pytok.chat.formats.parsed import parsed_chat
from pytok.chat.formats.qq_json import from_qq, is_qq_json, read_qq_json
from pytok.chat.formats.row_documents import is_row_document, read_row_document
from pytok.chat.formats.sigexport import from_sigexport, is_sigexport, read_sigexport
from pytok.chat.formats.signal_cli import from_signal_cli, is_signal_cli, read_signal_cli
from pytok.chat.formats.telegram import from_telegram, is_telegram, read_telegram
from pytok.chat.import_options import ImportOptions
from pytok.chat.jsonl import parse
from pytok.chat.record import Message
from pytok.chat.source import Source, UnknownFormat
from pytok.errors import ChatError

Entries: TypeAlias = Sequence[tuple[int, Any]]
"""Values of a file with their numbers, from 1: the lines of JSON lines, the items of a document
that is an array, or the document itself."""

Convert: TypeAlias = Callable[[dict[str, Any]], Any]


class JsonFormat(NamedTuple):
    """One format of chats in JSON."""

    recognizes: Callable[[Entries], bool]
    read: Callable[[Entries, str], Source]
    """Reads the entries of the file of that name. Raises ChatError."""
    convert: Convert | None = None
    """Replaces the object of one message, while the file is parsed, by a `Message` or by what is
    needed of it, which bounds the memory; returns any other object unchanged."""


JSON_FORMATS = (
    JsonFormat(is_telegram, read_telegram, from_telegram),
    JsonFormat(is_discord, read_discord, from_discord),
    JsonFormat(is_messenger, read_messenger, from_messenger),
    JsonFormat(is_signal_cli, read_signal_cli, from_signal_cli),
    JsonFormat(is_sigexport, read_sigexport, from_sigexport),
    JsonFormat(is_qq_json, read_qq_json, from_qq),
    JsonFormat(is_row_document, read_row_document),
    JsonFormat(is_matrix, read_matrix),
    JsonFormat(is_skype, read_skype, from_download),
    JsonFormat(is_google_chat, read_google_chat, from_download),
    JsonFormat(is_snapchat, read_snapchat, from_download),
    JsonFormat(is_slack, read_slack, from_download),
    JsonFormat(is_own_document, read_own_document),
    JsonFormat(is_history, read_history),
    JsonFormat(is_dialogue_file, read_dialogues),
)
"""All formats in JSON; the first one that recognizes the entries reads them. If some have converted
a message, these come first, and the others that convert messages are not asked."""

_CONVERTING: dict[Convert, dict[JsonFormat, None]] = {}
"""The functions that convert objects, and the formats of each."""
for _known in JSON_FORMATS:
    if _known.convert is not None:
        _CONVERTING.setdefault(_known.convert, {})[_known] = None


def is_json(file: ChatFile) -> bool:
    """Return whether *file* starts like a JSON object, or an array of objects or arrays."""
    return re.match(r"\s*(\{|\[\s*[{\]])", file.start) is not None


def read_json(file: ChatFile, options: ImportOptions) -> Source:
    """Read a chat in any of `JSON_FORMATS`. Raises UnknownFormat for other JSON."""
    text, warnings = file.text()
    converter = _Converter()
    entries, was_cut = _entries(text, file.name, converter)
    if was_cut:
        warnings = [
            f"{file.name} ends early: it was cut when it was copied, and its end is missing; copy "
            "or export it again to have all of it"
        ]
    others = [each for each in JSON_FORMATS if each.convert is None or not converter.used]
    for known in [*converter.used, *others]:
        if known.recognizes(entries):
            source = known.read(entries, file.name)
            source.warnings[:0] = warnings
            return source
    if any(isinstance(entry, Message) for _, entry in entries):
        source = parsed_chat(entries, file.name, "JSON messages without their chat", "")
        source.warnings[:0] = warnings
        return source
    raise UnknownFormat(
        f"{file.name}: JSON, but not from Telegram, ShareGPT or OpenAI, and of no other format in "
        "docs/chat-formats.md; write each message as a line with time, sender and text, as "
        "docs/your-own-format.md shows"
    )


class _Converter:
    """Converts objects with the first format that knows them."""

    def __init__(self) -> None:
        self.used: dict[JsonFormat, None] = {}
        """Formats that have converted an object, in order of their first one."""

    def __call__(self, fields: dict[str, Any]) -> Any:
        for convert, formats in _CONVERTING.items():
            value = convert(fields)
            if value is not fields:
                self.used.update(formats)
                return value
        return fields


def _entries(text: str, name: str, converter: _Converter) -> tuple[Entries, bool]:
    """Return the entries of *text*, and whether its end is missing. Raises ChatError."""
    was_cut = False
    try:
        try:
            value = parse(text, converter)
        except ValueError as error:
            if "Extra data" in str(error):
                return _json_lines(text, name, converter)
            completed = complete(text)
            if completed is None:
                raise
            value = parse(completed, converter)
            was_cut = True
    except RecursionError:
        raise ChatError(f"{name}: JSON that is nested too deeply for a chat") from None
    except ValueError as error:
        raise ChatError(f"{name}: damaged JSON ({error}); export the chat again") from None
    return list(enumerate(value if isinstance(value, list) else [value], start=1)), was_cut


def _json_lines(text: str, name: str, converter: _Converter) -> tuple[Entries, bool]:
    entries: list[tuple[int, Any]] = []
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                entries.append((number, parse(line, converter)))
        except (ValueError, RecursionError):
            if number == len(lines) and line.startswith("{"):
                return entries, True
            raise ChatError(f"{name}, line {number}: not JSON, unlike the lines before") from None
    return entries, False
