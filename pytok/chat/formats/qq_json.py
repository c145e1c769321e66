"""QQChatExporter's JSON: a document, or a part of one as JSON lines beside `manifest.json`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytok.chat.formats.times import read_time
from pytok.chat.record import Kind, Message
from pytok.chat.source import Chat, Source
from pytok.errors import ChatError

_KEPT = (
    *("id", "messageId", "timestamp", "sender", "type", "content"),
    *("recalled", "isRecalled", "system", "isSystemMessage"),
)
_KEPT_CONTENT = ("text", "resources", "reply")

_MEDIA = {"image": "image", "video": "video", "audio": "audio", "voice": "audio", "file": "file"}
_NO_WORDS = frozenset(("[无文本内容]", "[表情消息]"))


def from_qq(fields: dict[str, Any]) -> dict[str, Any]:
    """Reduce *fields*, if they are a message, to what `read_qq_json` uses.

    As an object hook of `json.loads` it bounds the memory: most of such a file are raw messages.
    Other objects are returned unchanged.
    """
    sender, content = fields.get("sender"), fields.get("content")
    if "timestamp" not in fields or not isinstance(sender, dict) or not isinstance(content, dict):
        return fields
    reduced = {key: fields[key] for key in _KEPT if key in fields}
    reduced["content"] = {key: content[key] for key in _KEPT_CONTENT if key in content}
    answered = _answered(content.get("elements"))
    if answered:
        reduced["content"]["reply"] = answered
    return reduced


def _answered(elements: Any) -> dict[str, Any] | None:
    """Return the data of the answer among the *elements* of a message."""
    for element in elements if isinstance(elements, list) else ():
        if isinstance(element, dict) and element.get("type") == "reply":
            data = element.get("data")
            return data if isinstance(data, dict) else None
    return None


def is_qq_json(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries*, pairs of line and JSON value, are those of QQChatExporter."""
    document = entries[0][1] if entries else None
    if isinstance(document, dict) and isinstance(document.get("chatInfo"), dict):
        return isinstance(document.get("messages"), list)
    return _is_message(document)


def read_qq_json(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Read the messages in *entries*, the JSON of the file *name*. Raises ChatError."""
    document = entries[0][1]
    title = ""
    if "messages" in document:
        title = _string(document["chatInfo"].get("name"))
        entries = list(enumerate(document["messages"], start=1))
    messages: list[Message] = []
    unread: list[int] = []
    reason = "it has none"
    for number, entry in entries:
        try:
            messages.append(_message(entry, name, number))
        except ValueError as error:
            reason = reason if unread else f"message {number}: {error}"
            unread.append(number)
    if not messages:
        raise ChatError(f"{name}: an export of QQChatExporter without a message ({reason})")
    return Source(
        name=name,
        format="QQ JSON (QQChatExporter)",
        messages=messages,
        unread=unread,
        chats=[Chat(title, len(messages))] if title else [],
    )


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and "timestamp" in value
        and isinstance(value.get("sender"), dict)
        and isinstance(value.get("content"), dict)
    )


def _message(fields: Any, source: str, number: int) -> Message:
    """Return the message of *fields*. Raises ValueError for an invalid field."""
    if not _is_message(fields):
        raise ValueError("no timestamp, sender or content")
    sender, content = fields["sender"], fields["content"]
    identity = _string(sender.get("uin")) or _string(sender.get("uid"))
    shown = _string(sender.get("name")) or _string(sender.get("nickname"))
    media = next(_resources(content.get("resources")), None)
    text = _string(content.get("text"))
    if media is not None or text in _NO_WORDS:
        text = _without_placeholder(text)
    kind: Kind = "media" if media is not None else "text"
    if fields.get("system") or fields.get("isSystemMessage") or fields.get("type") == "system":
        kind = "system"
    elif fields.get("recalled") or fields.get("isRecalled"):
        kind, text, media = "deleted", "", None
    elif kind == "text" and not text:
        kind, media = "media", "sticker"
    reply = content.get("reply")
    reply = reply if isinstance(reply, dict) else {}
    has_sender = kind != "system"
    return Message(
        time=read_time(fields["timestamp"]),
        sender=(identity or shown or "unknown") if has_sender else None,
        name=shown if has_sender and identity and shown != identity else None,
        kind=kind,
        text=text,
        media=media if kind == "media" else None,
        id=_string(fields.get("id")) or _string(fields.get("messageId")) or None,
        reply_to=_string(reply.get("referencedMessageId")) or None,
        source=source,
        line=number,
    )


def _resources(resources: Any) -> Iterator[str]:
    """Yield the file name, or the type, of each of the *resources* of a message."""
    for resource in resources if isinstance(resources, list) else ():
        if isinstance(resource, Mapping):
            kind = _string(resource.get("type"))
            yield _string(resource.get("filename")) or _MEDIA.get(kind, kind or "file")


def _without_placeholder(text: str) -> str:
    """Return *text* without the placeholders in brackets that stand for media."""
    words = text.strip()
    while words.startswith("[") and "]" in words:
        words = words.partition("]")[2].strip()
    return words


def _string(value: Any) -> str:
    """Return *value* if it is a string or a number, else ""."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
