"""DiscordChatExporter's JSON: one file, or several parts, for each channel.

The fields are those of JsonMessageWriter.cs in version 2.46. A forwarded message has the kind
"media", since the sender did not write its text.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytok.chat.formats.parsed import parsed_chat
from pytok.chat.formats.times import read_time
from pytok.chat.formats.values import fields, items, reactions, words
from pytok.chat.record import Kind, Message
from pytok.chat.source import Source

_WRITTEN = frozenset({"Default", "Reply", "0", "19", "20", "23"})
"""Types of messages that somebody wrote; numbers, of Discord's API, are those without a name: 20
and 23 are the answers of a bot to a command. All other types are notices."""


def is_discord(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are one document of a channel."""
    value = fields(entries[0][1]) if len(entries) == 1 else {}
    return isinstance(value.get("channel"), dict) and isinstance(value.get("messages"), list)


def from_discord(plain: dict[str, Any]) -> Any:
    """Convert *plain* to a Message if it is a message of a channel, else return it."""
    if not {"id", "type", "timestamp", "content", "author"} <= plain.keys():
        return plain
    try:
        return _message(plain)
    except (ValueError, TypeError, KeyError, AttributeError):
        return plain


def read_discord(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages of the document in *entries*, from the file *name*."""
    value = entries[0][1]
    channel, guild = value["channel"], fields(value.get("guild"))
    title = words(channel.get("name")) or words(guild.get("name")) or name
    listed = enumerate(value["messages"], start=1)
    return parsed_chat(listed, name, "DiscordChatExporter JSON", title, channel.get("id"))


def _message(plain: Mapping[str, Any]) -> Message:
    author, reference = plain["author"], fields(plain.get("reference"))
    sender = str(author.get("id") or author["name"])
    name = words(author.get("nickname")) or words(author.get("name"))
    kind, text, media = _contents(plain)
    time = read_time(plain["timestamp"])
    identity = str(plain["id"])
    if kind == "system":
        return Message(time=time, sender=None, kind=kind, text=f"{name}: {text}", id=identity)
    is_reply = plain["type"] in ("Reply", "19")
    answered = reference.get("messageId") if is_reply else None
    return Message(
        time=time,
        sender=sender,
        name=name if name and name != sender else None,
        kind=kind,
        text=text,
        edited=plain.get("timestampEdited") is not None,
        media=media,
        id=identity,
        reply_to=None if answered is None else str(answered),
        reactions=reactions(_reactions(plain)),
    )


def _contents(plain: Mapping[str, Any]) -> tuple[Kind, str, str | None]:
    """Return the kind of a message, its text, and the name or type of its file."""
    text = words(plain["content"])
    if plain["type"] in ("Call", "3"):
        return "call", text, None
    if plain["type"] not in _WRITTEN:
        return "system", text, None
    if "forwardedMessage" in plain or fields(plain.get("reference")).get("type") == "Forward":
        forwarded = words(fields(plain.get("forwardedMessage")).get("content"))
        return "media", text or forwarded, "forwarded"
    if files := items(plain.get("attachments")):
        return "media", text, words(fields(files[0]).get("fileName")) or "file"
    if plain.get("stickers"):
        return "media", text, "sticker"
    if not text:
        return "media", text, "embed" if plain.get("embeds") else "empty"
    return "text", text, None


def _reactions(plain: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield emoji and counts; an emoji that the server made is its name between colons."""
    for each in items(plain.get("reactions")):
        emoji = fields(fields(each).get("emoji"))
        name = words(emoji.get("name"))
        yield (f":{name}:" if emoji.get("id") else name), fields(each).get("count")
