"""Signal chats as sigexport writes them: data.json (JSON lines) and chat.md in a folder per chat.

The fields are those of `Message` in sigexport/models.py (version 3.9). Neither file has ids: a
reply quotes a text, and is taken for an answer to the latest message with it. Times are local.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from pytok.chat.files import ChatFile
from pytok.chat.formats.times import read_time
from pytok.chat.formats.values import fields, items, words
from pytok.chat.import_options import ImportOptions
from pytok.chat.record import Kind, Message
from pytok.chat.source import Chat, Source

_FIELDS = frozenset({"date", "sender", "body", "quote", "reactions", "attachments"})
_NOBODY = "No-Sender"
_HEADER = re.compile(r"\[(\d{4}-\d\d-\d\d),? (\d\d:\d\d(?::\d\d)?)\] ([^\n]{1,200}?): ?")
_REACTIONS = re.compile(r"\(- ([^\n]*) -\)\Z")
_STICKER = re.compile(r"\(\( ([^\n]*) \)\)\Z")
_ATTACHMENT = re.compile(
    r"!?\[([^\[\]\n]{0,300})\]\(\.{1,2}/((?:media|exported_stickers)/[^)\n]{0,300})\) {0,2}"
)
_MISSING = re.compile(r"\((media|attachment) not exported\) {0,2}\Z")
_DELETED = "(This message was deleted)"


def is_sigexport(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are the lines of a data.json, parsed with `from_sigexport`."""
    return any(isinstance(entry, Message) for _, entry in entries[:20])


def from_sigexport(plain: dict[str, Any]) -> Any:
    """Convert *plain* to a Message if it is a line of a data.json, else return it.

    Its `reply_to` is the quoted text, since the earlier messages are not known here.
    """
    if not plain.keys() >= _FIELDS:
        return plain
    try:
        return _message(plain)
    except ValueError:
        return plain


def read_sigexport(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages of the lines of a data.json, in the folder of its chat."""
    return _read(entries, name, "sigexport JSON (Signal)")


def is_sigexport_markdown(file: ChatFile) -> bool:
    """Return whether *file* is a chat.md: most of its messages end with two spaces.

    Some phones write WhatsApp's text with the same dates, but without these spaces.
    """
    lines = file.start.split("\n")
    headers = sum(_HEADER.match(line) is not None for line in lines)
    ends = sum(line.endswith(("  ", _DELETED)) for line in lines)
    return _HEADER.match(lines[0]) is not None and 2 * ends > headers


def read_sigexport_markdown(file: ChatFile, options: ImportOptions) -> Source:
    """Return the messages of a chat.md, in the folder of its chat."""
    text, warnings = file.text()
    lines = text.splitlines() if "\r" in text else text.split("\n")
    entries = ((number, from_sigexport(plain)) for number, plain in _blocks(lines))
    source = _read(entries, file.name, "sigexport Markdown (Signal)")
    source.warnings[:0] = warnings
    return source


def _read(entries: Iterable[tuple[int, Any]], name: str, label: str) -> Source:
    """Return the converted *entries* with their lines as ids, and the ids of what they quote."""
    source = Source(name=name, format=label, messages=[])
    latest: dict[str, str] = {}
    for number, entry in entries:
        if not isinstance(entry, Message):
            source.unread.append(number)
            continue
        quoted = None if entry.reply_to is None else latest.get(entry.reply_to)
        source.messages.append(
            replace(entry, id=str(number), reply_to=quoted, source=name, line=number)
        )
        if entry.text:
            latest[_comparable(entry.text)] = str(number)
    folder = PurePosixPath(name).parent.name
    if folder:
        source.chats = [Chat(folder, len(source.messages), folder)]
    return source


def _message(plain: Mapping[str, Any]) -> Message:
    sender = words(plain.get("sender"))
    text = words(plain.get("body")).strip("\n").removesuffix("  ").rstrip("\n")
    kind, media = _kind(plain, sender)
    return Message(
        time=read_time(plain.get("date")),
        sender=None if kind == "system" else sender or "unknown",
        kind=kind,
        text="" if kind == "deleted" else text,
        media=media,
        reply_to=_comparable(words(plain.get("quote"))) or None,
        reactions=tuple(_emoji(plain)),
    )


def _kind(plain: Mapping[str, Any], sender: str) -> tuple[Kind, str | None]:
    """Return the kind of a message, and the name or type of its file."""
    if plain.get("deleted") is True:
        return "deleted", None
    if plain.get("call") is True:
        return "call", None
    if plain.get("sticker"):
        return "media", "sticker"
    if files := items(plain.get("attachments")):
        first = fields(files[0])
        return "media", words(first.get("name")) or words(first.get("missing_kind")) or "file"
    return ("system" if sender == _NOBODY else "text"), None


def _emoji(plain: Mapping[str, Any]) -> Iterator[str]:
    """Yield the emoji of reactions: pairs of a name and an emoji, or objects."""
    for each in items(plain.get("reactions")):
        emoji = each[1] if isinstance(each, list) and len(each) == 2 else fields(each).get("emoji")
        if words(emoji):
            yield words(emoji)


def _comparable(text: str) -> str:
    """Return *text* without the marks of a quotation and without line breaks."""
    return " ".join(text.replace("> ", " ").replace("`", "").split())


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of the first line and the fields of each message in Markdown."""
    start, block = 0, list[str]()
    header: re.Match[str] | None = None
    for number, line in enumerate([*lines, ""], start=1):
        match = _HEADER.match(line)
        if match is None and number <= len(lines):
            block.append(line)
            continue
        if header is not None:
            yield start, _fields(header, block)
        elif any(block):
            yield start or 1, {}
        if match is not None:
            start, header, block = number, match, [line[match.end() :]]


def _fields(header: re.Match[str], block: list[str]) -> dict[str, Any]:
    """Return the fields that data.json has for the lines of a message."""
    plain: dict[str, Any] = {
        "date": f"{header[1]} {header[2]}",
        "sender": header[3],
        "quote": "\n".join(line for line in block if line.startswith("> ")),
        "deleted": block[0] == _DELETED,
        "reactions": [],
        "attachments": [],
    }
    body: list[str] = []
    for line in block:
        stripped = line.rstrip()
        if reactions := _REACTIONS.match(stripped):
            for each in reactions[1].split(", "):
                person, _, emoji = each.rpartition(": ")
                plain["reactions"].append([person, emoji])
        elif sticker := _STICKER.match(stripped):
            plain["sticker"] = sticker[1]
        elif not line.startswith("> "):
            for name, path in _ATTACHMENT.findall(line):
                plain["attachments"].append({"name": name or PurePosixPath(path).name})
            for kind in _MISSING.findall(line):
                plain["attachments"].append({"name": "", "missing_kind": kind})
            body.append(_MISSING.sub("", _ATTACHMENT.sub("", line)).rstrip())
    plain["body"] = "\n".join(body).strip("\n")
    return plain
