"""Chats in the downloads of Snapchat, Skype, Google Chat and Slack, all of them JSON.

Each app has a function that converts the object of a message, one that recognizes the document, and
one that reads it. The shapes are those of the downloads of 2023 to 2025.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any

from pytok.chat.formats.parsed import parsed_chat
from pytok.chat.formats.times import read_time
from pytok.chat.formats.values import fields, items, reactions, words
from pytok.chat.markup import parts
from pytok.chat.months import with_numbers
from pytok.chat.record import Kind, Message
from pytok.chat.source import Source, join

_QUOTES = frozenset({"quote", "legacyquote"})
_LINK = re.compile(r"<([^<>|\n]{1,2000})(?:\|([^<>\n]{1,500}))?>")
_SLACK_TEXTS = frozenset({"", "bot_message", "file_share", "me_message", "thread_broadcast"})
"""Subtypes of Slack's messages that somebody wrote; all others are notices."""


def from_download(plain: dict[str, Any]) -> Any:
    """Convert *plain* to a Message if it is a message of one of the apps, else return it."""
    for required, convert in _CONVERTERS:
        if required <= plain.keys():
            try:
                return convert(plain)
            except ValueError:
                return plain
    return plain


def is_snapchat(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are one document with a list of messages for each chat."""
    value = _document(entries)
    return bool(value) and any(
        isinstance(message, Message) for listed in value.values() for message in items(listed)[:1]
    ) and "messages" not in value  # fmt: skip


def read_snapchat(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages of chat_history.json, which has the newest one first."""
    return join(
        [
            parsed_chat(reversed(list(enumerate(listed, start=1))), name, "Snapchat JSON", chat)
            for chat, listed in _document(entries).items()
            if isinstance(listed, list)
        ],
        name,
    )


def _from_snapchat(plain: Mapping[str, Any]) -> Message:
    media = words(plain.get("Media Type")).lower()
    return Message(
        time=_utc(words(plain["Created"])),
        sender=words(plain["From"]) or "unknown",
        kind="text" if media == "text" else "media",
        text=words(plain.get("Content")),
        media=None if media == "text" else media,
    )


def is_skype(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are one document with a list of conversations."""
    return any(
        "MessageList" in fields(chat) for chat in items(_document(entries).get("conversations"))
    )


def read_skype(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages of messages.json, which has the newest one first."""
    sources: list[Source] = []
    for chat in map(fields, _document(entries)["conversations"]):
        listed = list(enumerate(items(chat.get("MessageList")), start=1))
        title = words(chat.get("displayName"))
        sources.append(parsed_chat(reversed(listed), name, "Skype JSON", title, chat.get("id")))
    return join([source for source in sources if source.messages] or sources, name)


def _from_skype(plain: Mapping[str, Any]) -> Message:
    written, sender = words(plain["content"]), words(plain["from"])
    name, message_type = words(plain.get("displayName")), words(plain["messagetype"])
    kind, media = _skype_kind(message_type)
    text = _skype_text(written) if message_type.startswith("RichText") else written
    return Message(
        time=read_time(plain["originalarrivaltime"]),
        sender=None if kind == "system" else sender or "unknown",
        name=name if name and name != sender and kind != "system" else None,
        kind=kind,
        text="" if kind == "media" else text,
        edited="<e_m " in written,
        media=media,
        id=words(plain.get("id")) or None,
    )


def _skype_kind(message_type: str) -> tuple[Kind, str | None]:
    if message_type in ("RichText", "Text", "RichText/Html"):
        return "text", None
    if message_type == "RichText/Location":
        return "location", None
    if message_type.startswith("RichText/"):
        return "media", message_type.partition("/")[2].removeprefix("Media_").lower()
    return ("call" if message_type.startswith("Event/Call") else "system"), None


def _skype_text(written: str) -> str:
    """Return the words of a text with markup, without those that it quotes."""
    depth = 0
    texts: list[str] = []
    for opens, closes, text in parts(written):
        depth += (opens in _QUOTES) - (closes in _QUOTES)
        if not opens and depth <= 0:
            texts.append(text)
    return "".join(texts).strip()


def is_google_chat(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are one document with messages and nothing else."""
    value = _document(entries)
    return value.keys() == {"messages"} and any(
        isinstance(message, Message) for message in items(value["messages"])
    )


def read_google_chat(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages of messages.json, in a folder named after its chat."""
    listed = enumerate(_document(entries)["messages"], start=1)
    return parsed_chat(listed, name, "Google Chat JSON", PurePosixPath(name).parent.name)


def _from_google_chat(plain: Mapping[str, Any]) -> Message:
    creator = fields(plain["creator"])
    files = items(plain.get("attached_files"))
    file = words(fields(files[0]).get("original_name")) if files else ""
    name, sender = words(creator.get("name")), words(creator.get("email"))
    text = words(plain.get("text"))
    is_deleted = plain.get("message_state") == "DELETED" or "deletion_metadata" in plain
    kind: Kind = "deleted" if is_deleted else "text" if text and not files else "media"
    return Message(
        time=_utc(with_numbers(words(plain["created_date"])).replace(", ", " ", 1)),
        sender=sender or name or "unknown",
        name=name if sender and name else None,
        kind=kind,
        text="" if is_deleted else text,
        edited="updated_date" in plain and not is_deleted,
        media=(file or ("file" if files else "attachment")) if kind == "media" else None,
        id=words(plain.get("message_id")) or None,
        reactions=reactions(_google_reactions(plain)),
    )


def _google_reactions(plain: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for each in map(fields, items(plain.get("reactions"))):
        if emoji := words(fields(each.get("emoji")).get("unicode")):
            yield emoji, len(items(each.get("reactor_emails")))


def is_slack(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are the messages of a day of a channel."""
    return any(isinstance(entry, Message) for _, entry in entries)


def read_slack(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages of 2024-01-05.json, in a folder named after its channel."""
    return parsed_chat(entries, name, "Slack JSON", PurePosixPath(name).parent.name)


def _from_slack(plain: Mapping[str, Any]) -> Message:
    profile = fields(plain.get("user_profile"))
    name = words(profile.get("display_name")) or words(profile.get("real_name"))
    sender = words(plain.get("user")) or words(plain.get("username")) or "unknown"
    subtype, files = words(plain.get("subtype")), items(plain.get("files"))
    kind: Kind = "text" if subtype in _SLACK_TEXTS else "system"
    answered = words(plain.get("thread_ts"))
    if kind == "text" and files:
        kind = "media"
    text = _LINK.sub(lambda match: match[2] or match[1], words(plain["text"]))
    for reference, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(reference, character)
    return Message(
        time=read_time(float(words(plain["ts"]))),
        sender=None if kind == "system" else sender,
        name=name if name and name != sender and kind != "system" else None,
        kind=kind,
        text=text,
        edited="edited" in plain,
        media=(words(fields(files[0]).get("name")) or "file") if kind == "media" else None,
        id=words(plain["ts"]),
        reply_to=answered if answered and answered != plain["ts"] else None,
        reactions=reactions(_slack_reactions(plain)),
    )


def _slack_reactions(plain: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for each in map(fields, items(plain.get("reactions"))):
        yield f":{words(each.get('name'))}:", each.get("count")


def _document(entries: Sequence[tuple[int, Any]]) -> dict[str, Any]:
    """Return the single document of *entries*; {} if there are several, or it is not an object."""
    return fields(entries[0][1]) if len(entries) == 1 else {}


def _utc(written: str) -> datetime:
    """Return a time that ends in "UTC". Raises ValueError."""
    time = read_time(written.removesuffix("UTC").rstrip())
    return time.replace(tzinfo=timezone.utc) if written.endswith("UTC") else time


_CONVERTERS = (
    (frozenset({"From", "Created", "Media Type"}), _from_snapchat),
    (frozenset({"originalarrivaltime", "messagetype", "content", "from"}), _from_skype),
    (frozenset({"creator", "created_date"}), _from_google_chat),
    (frozenset({"type", "ts", "text"}), _from_slack),
)
"""The fields that a message of each app has, and its conversion."""
