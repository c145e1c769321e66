"""QQChatExporter's JSON: a document, or a part of one as JSON lines beside `manifest.json`.

The fields are those of its versions 4 and 5. Most of such a file are raw messages and elements,
which are not needed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytok.chat.formats.parsed import parsed_chat
from pytok.chat.formats.times import read_time
from pytok.chat.formats.values import fields, items, words
from pytok.chat.record import Kind, Message
from pytok.chat.source import Source
from pytok.errors import ChatError

_MEDIA = {"image": "image", "video": "video", "audio": "audio", "voice": "audio", "file": "file"}
_NO_WORDS = frozenset(("[无文本内容]", "[表情消息]"))


def is_qq_json(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are a document of one chat, or messages that were converted."""
    value = entries[0][1] if entries else None
    if isinstance(value, dict):
        return isinstance(value.get("chatInfo"), dict) and isinstance(value.get("messages"), list)
    return any(isinstance(each, Message) for _, each in entries)


def from_qq(plain: dict[str, Any]) -> Any:
    """Convert *plain* to a Message if it is a message of QQ, else return it."""
    if "timestamp" not in plain or not isinstance(plain.get("content"), dict):
        return plain
    if not isinstance(plain.get("sender"), dict):
        return plain
    try:
        return _message(plain)
    except ValueError:
        return plain


def read_qq_json(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages in *entries*, from the file *name*. Raises ChatError."""
    document = fields(entries[0][1])
    title = words(fields(document.get("chatInfo")).get("name"))
    if "messages" in document:
        entries = list(enumerate(document["messages"], start=1))
    source = parsed_chat(entries, name, "QQ JSON (QQChatExporter)", title)
    if not source.messages:
        raise ChatError(f"{name}: an export of QQChatExporter without a message that can be read")
    return source


def _message(plain: Mapping[str, Any]) -> Message:
    """Return the message of *plain*. Raises ValueError for an invalid time."""
    sender, content = plain["sender"], plain["content"]
    identity = _string(sender.get("uin")) or _string(sender.get("uid"))
    shown = words(sender.get("name")) or words(sender.get("nickname"))
    kind, text, media = _contents(plain, content)
    has_sender = kind != "system"
    return Message(
        time=read_time(plain["timestamp"]),
        sender=(identity or shown or "unknown") if has_sender else None,
        name=shown if has_sender and identity and shown != identity else None,
        kind=kind,
        text=text,
        media=media,
        id=_string(plain.get("id")) or _string(plain.get("messageId")) or None,
        reply_to=_answered(content) or None,
    )


def _contents(plain: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[Kind, str, str | None]:
    """Return the kind of a message, its text, and the name or type of its file."""
    text = words(content.get("text"))
    if plain.get("system") or plain.get("isSystemMessage") or plain.get("type") == "system":
        return "system", text, None
    if plain.get("recalled") or plain.get("isRecalled"):
        return "deleted", "", None
    media = next(_files(content.get("resources")), None)
    if media is not None or text in _NO_WORDS:
        text = _without_placeholders(text)
    if media is None and not text:
        return "media", "", "sticker"
    return "text" if media is None else "media", text, media


def _answered(content: Mapping[str, Any]) -> str:
    """Return the id of the message that a message answers, or ""."""
    answers = [content.get("reply")]  # in version 4; later ones have an element
    answers += [
        fields(each).get("data")
        for each in items(content.get("elements"))
        if fields(each).get("type") == "reply"
    ]
    found = (_string(fields(answer).get("referencedMessageId")) for answer in answers)
    return next(filter(None, found), "")


def _files(resources: Any) -> Iterator[str]:
    """Yield the file name, or the type, of each of the *resources* of a message."""
    for each in items(resources):
        kind = words(fields(each).get("type"))
        yield words(fields(each).get("filename")) or _MEDIA.get(kind, kind or "file")


def _without_placeholders(text: str) -> str:
    """Return *text* without the placeholders in brackets that stand for media before it."""
    start = 0
    while text.startswith("[", start) and (end := text.find("]", start)) >= 0:
        start = end + 1
        while text.startswith((" ", "\n"), start):
            start += 1
    return text[start:].strip()


def _string(value: Any) -> str:
    """Return an id, which can be a string or a number; "" for other values."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return words(value)
