"""Messenger's and Instagram's JSON: message_1.json, message_2.json ... in a folder for each chat.

There are two variants. The download of the account has `sender_name` and `timestamp_ms`, and every
byte of its UTF-8 texts as a character of its own ("Ã¤" for "ä"), which is repaired. The download of
end-to-end encrypted chats has `senderName`, `timestamp` and intact texts. Both list the newest
message first, and have neither ids nor replies.

Events of a group are messages that start with the name of their sender ("Ann named the group Us.");
notices in other words are recognized in English only.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from pytok.chat.formats.parsed import parsed_chat
from pytok.chat.formats.times import read_time
from pytok.chat.formats.values import fields, items, words
from pytok.chat.record import Kind, Message
from pytok.chat.source import Source

_MEDIA = (
    ("photos", "photo"),
    ("videos", "video"),
    ("audio_files", "audio"),
    ("gifs", "gif"),
    ("files", "file"),
    ("media", "file"),
)
"""Fields with a list of files, and the type of a file that has no name."""

_EVENTS = frozenset({"Subscribe", "Unsubscribe"})
"""Types of messages that say who joined or left."""

_NOTICE = re.compile(
    r"(?:You|\S+ [^\n]{0,80}?) (?:named the group|changed the (?:group photo|theme|chat theme)|"
    r"set (?:the|your|his|her|their) (?:nickname|emoji)|created (?:the group|a poll)|"
    r"left the group|"
    r"started a (?:call|video chat)|joined the (?:call|video chat)|missed (?:a|your) (?:video )?"
    r"(?:call|chat)|pinned a message)"
    r"|You are now connected on Messenger|Say hi to your new Facebook friend"
    r"|Liked a message\Z|Reacted \S{1,20} to your message"
)

_WRONG = re.compile("[\x80-\xff]+")


def _repaired(value: Any) -> str:
    """Return the string *value* with UTF-8 that was decoded as Latin-1 decoded again.

    What is not UTF-8 is kept, so intact text is not changed.
    """
    return _WRONG.sub(_decoded, words(value))


def _decoded(match: re.Match[str]) -> str:
    try:
        return match[0].encode("latin-1").decode()
    except UnicodeDecodeError:
        return match[0]


class _Variant(NamedTuple):
    """Names of fields, and the reading of their texts."""

    sender: str
    time: str
    text: str
    required: frozenset[str]
    read: Callable[[Any], str]


_VARIANTS = (
    _Variant(
        "sender_name",
        "timestamp_ms",
        "content",
        frozenset({"sender_name", "timestamp_ms"}),
        _repaired,
    ),
    _Variant(
        "senderName",
        "timestamp",
        "text",
        frozenset({"senderName", "timestamp", "isUnsent"}),
        words,
    ),
)


def is_messenger(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are one document of a chat, parsed with `from_messenger`."""
    value = fields(entries[0][1]) if len(entries) == 1 else {}
    messages = value.get("messages")
    if not isinstance(messages, list):
        return False
    return any(isinstance(each, Message) for each in messages) or (
        "participants" in value and not messages
    )


def from_messenger(plain: dict[str, Any]) -> Any:
    """Convert *plain* to a Message if it is a message of one of the variants, else return it."""
    for variant in _VARIANTS:
        if variant.required <= plain.keys():
            try:
                return _message(plain, variant)
            except ValueError:
                return plain
    return plain


def read_messenger(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages of the document in *entries*, from the file *name*, oldest first."""
    value = entries[0][1]
    people = (fields(each).get("name", each) for each in items(value.get("participants")))
    title = _repaired(value.get("title") or value.get("threadName"))
    title = title or ", ".join(map(_repaired, people))
    path = words(value.get("thread_path")).rpartition("/")[2]
    listed = reversed(list(enumerate(value["messages"], start=1)))
    source = parsed_chat(listed, name, "Messenger or Instagram JSON", title, path or None)
    source.messages = _without_app_captions(source.messages)
    return source


def _message(plain: Mapping[str, Any], variant: _Variant) -> Message:
    sender, text = (variant.read(plain.get(field)) for field in (variant.sender, variant.text))
    kind, media = _kind(plain, sender, text)
    reactions = (fields(each).get("reaction") for each in items(plain.get("reactions")))
    return Message(
        time=read_time(plain[variant.time], milliseconds=True),
        sender=None if kind == "system" else sender or "unknown",
        kind=kind,
        text="" if kind == "deleted" else text,
        media=media,
        reactions=tuple(map(variant.read, reactions)),
    )


def _kind(plain: Mapping[str, Any], sender: str, text: str) -> tuple[Kind, str | None]:
    """Return the kind of a message, and the name or type of its file."""
    if (
        True in (plain.get("is_unsent"), plain.get("isUnsent"))
        or plain.get("type") == "placeholder"
    ):
        return "deleted", None
    if "call_duration" in plain:
        return "call", None
    for field, media_type in _MEDIA:
        if files := items(plain.get(field)):
            uri = words(fields(files[0]).get("uri"))
            return "media", PurePosixPath(uri).name or media_type
    if "sticker" in plain:
        return "media", "sticker"
    link = words(fields(plain.get("share")).get("link"))
    if "share" in plain and not (link and link in text):
        return "media", "share"
    if words(plain.get("type")) in _EVENTS or _is_notice(text, sender):
        return "system", None
    if not text:  # the type of the attachment is unknown, or it was taken down
        return "media", "attachment"
    return "text", None


def _is_notice(text: str, sender: str) -> bool:
    first = sender.partition(" ")[0]
    names_sender = text.endswith(".") and text.startswith((f"{sender} ", f"{first} "))
    return (bool(sender) and names_sender) or _NOTICE.match(text) is not None


def _without_app_captions(messages: list[Message]) -> list[Message]:
    """Remove the texts of shares that occur repeatedly: "Ann sent an attachment."."""
    captions = Counter(each.text for each in messages if each.media == "share")
    return [
        replace(each, text="") if each.media == "share" and captions[each.text] > 1 else each
        for each in messages
    ]
