"""A room of Matrix as Element exports it: JSON with the events of the room.

The events are those of the client-server specification (version 1.11). An edit and a reaction are
events of their own, and name the message that they change.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytok.chat.formats.parsed import parsed_chat
from pytok.chat.formats.times import read_time
from pytok.chat.formats.values import fields, words
from pytok.chat.record import Kind, Message
from pytok.chat.source import Source

_EVENT = frozenset({"type", "sender", "origin_server_ts", "content", "event_id"})
_MEDIA = {"m.image": "image", "m.video": "video", "m.audio": "audio", "m.file": "file"}
_WORDS = frozenset({"m.text", "m.emote", "m.notice"})


def is_matrix(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are one document with the events of a room."""
    value = fields(entries[0][1]) if len(entries) == 1 else {}
    events = value.get("messages")
    return isinstance(events, list) and any(fields(each).keys() >= _EVENT for each in events[:20])


def read_matrix(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages of the events in the file *name*, with their edits and reactions."""
    value = entries[0][1]
    found: list[tuple[int, Message | None]] = []
    index_of: dict[str, int] = {}
    emoji: dict[str, list[str]] = defaultdict(list)
    for number, plain in enumerate(map(fields, value["messages"]), start=1):
        content = fields(plain.get("content"))
        relation = fields(content.get("m.relates_to"))
        target = words(relation.get("event_id"))
        if plain.get("type") == "m.reaction":
            emoji[target].append(words(relation.get("key")))
            continue
        index = index_of.get(target)
        edited = found[index][1] if index is not None else None
        if relation.get("rel_type") == "m.replace" and index is not None and edited is not None:
            text = words(fields(content.get("m.new_content")).get("body"))
            found[index] = (found[index][0], replace(edited, text=text, edited=True))
            continue
        try:
            message = _message(plain, content, relation)
        except ValueError:
            found.append((number, None))
            continue
        index_of[str(message.id)] = len(found)
        found.append((number, message))
    with_reactions = (
        (number, replace(message, reactions=tuple(emoji[str(message.id)])))
        if message is not None and str(message.id) in emoji
        else (number, message)
        for number, message in found
    )
    return parsed_chat(with_reactions, name, "Matrix JSON", words(value.get("room_name")))


def _message(
    plain: Mapping[str, Any], content: Mapping[str, Any], relation: Mapping[str, Any]
) -> Message:
    sender = words(plain.get("sender"))
    kind, text, media = _contents(plain, content)
    answered = words(fields(relation.get("m.in_reply_to")).get("event_id"))
    return Message(
        time=read_time(plain.get("origin_server_ts"), milliseconds=True),
        sender=None if kind == "system" else sender or "unknown",
        kind=kind,
        text=_without_quotation(text) if answered else text,
        media=media,
        id=words(plain.get("event_id")) or None,
        reply_to=answered or None,
    )


def _contents(plain: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[Kind, str, str | None]:
    """Return the kind of an event, its text, and the name or type of its file."""
    event_type, message_type = words(plain.get("type")), words(content.get("msgtype"))
    body = words(content.get("body"))
    if "redacted_because" in fields(plain.get("unsigned")) and not content:
        return "deleted", "", None
    if event_type == "m.room.message":
        if message_type in _WORDS:
            return "text", body, None
        if message_type == "m.location":
            return "location", body, None
        file = words(content.get("filename")) or body
        return "media", body if file != body else "", file or _MEDIA.get(message_type, "file")
    if event_type == "m.sticker":
        return "media", "", "sticker"
    if event_type == "m.room.encrypted":
        return "media", "", "encrypted"
    if event_type.startswith("m.call.invite"):
        return "call", "", None
    return "system", f"{words(plain.get('sender'))}: {event_type}", None


def _without_quotation(text: str) -> str:
    """Return *text* without the lines that older clients quote at its start."""
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if not line.startswith("> ")), 0)
    return "\n".join(lines[first:]).lstrip("\n") if first else text
