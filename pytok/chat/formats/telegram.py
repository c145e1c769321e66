"""Telegram Desktop's JSON export: ``result.json`` of one chat or of an account.

The fields are those of Telegram Desktop 5 (export_output_json.cpp). A forwarded message has the
kind "media", since the sender did not write its text; a list of tasks has the kind "poll".
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pytok.chat.formats.parsed import parsed_chat
from pytok.chat.formats.times import read_time
from pytok.chat.formats.values import items, reactions
from pytok.chat.record import Kind, Message
from pytok.chat.source import Source, join
from pytok.errors import ChatError

_MEDIA_FIELDS = ("photo", "file", "contact_information", "game_title", "invoice_information")
_OTHER_FIELDS = ("giveaway_information", "giveaway_results", "paid_stars_amount")
_FORWARDED = frozenset({"forwarded_from", "forwarded_from_id"})
_IGNORED_FIELDS = frozenset(
    (
        *("id", "type", "date", "date_unixtime", "from", "from_id"),
        *("actor", "actor_id", "action", "text", "text_entities"),
    )
)
"""Fields of a service message that do not describe the event."""


def is_telegram(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are one document, parsed with `from_telegram`, of such an export."""
    value = entries[0][1] if len(entries) == 1 else None
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("chats"), dict):
        return True
    messages = value.get("messages")
    # The hook has already converted objects to Message.
    return isinstance(messages, list) and (
        any(isinstance(each, Message) for each in messages) or ("type" in value and not messages)
    )


def from_telegram(fields: dict[str, Any]) -> Any:
    """Convert *fields* to a Message if they are a message of Telegram, else return them unchanged.

    As an object hook of `json.loads` it bounds the memory for a large export to the messages and
    the text of the file.
    """
    kind = fields.get("type")
    if "date" not in fields or "id" not in fields or kind not in ("message", "service"):
        return fields
    try:
        time = _time(fields)
        return (_service if kind == "service" else _message)(fields, time)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return fields


def read_telegram(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages of the document in *entries*, parsed with the hook `from_telegram`.

    *name* is the name of the file. If it has several chats, `Message.chat` is set. Raises ChatError
    if there are no messages.
    """
    sources: list[Source] = []
    entry = 0
    for chat in _chats(entries[0][1]):
        listed = list(enumerate(items(chat.get("messages")), start=entry + 1))
        entry += len(listed)
        title, identity = chat.get("name"), chat.get("id")
        sources.append(parsed_chat(listed, name, "Telegram JSON", str(title or ""), identity))
    if not any(source.messages for source in sources):
        raise ChatError(f"{name}: an export of Telegram without any readable message")
    return join(sources, name)


def _chats(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "messages" in value:
        yield value
    for part in ("chats", "left_chats"):
        listed = value.get(part)
        for chat in items(listed.get("list")) if isinstance(listed, dict) else ():
            if isinstance(chat, dict):
                yield chat


def _time(fields: Mapping[str, Any]) -> datetime:
    """Return the time of sending: UTC if the export has it, else the exporter's local time."""
    return read_time(fields["date_unixtime" if "date_unixtime" in fields else "date"])


def _message(fields: Mapping[str, Any], time: datetime) -> Message:
    sender, name = fields.get("from_id"), fields.get("from")
    kind, media = _kind(fields)
    text = _text(fields.get("text", ""))
    if "todo_list" in fields:
        todo = fields["todo_list"]
        text = "\n".join([_text(todo["title"]), *(_text(each["text"]) for each in todo["answers"])])
    elif kind == "poll":
        poll = fields["poll"]
        answers = [f"{_text(each['text'])} ({each['voters']})" for each in poll.get("answers", ())]
        text = "\n".join([_text(poll["question"]), *answers])
    elif kind == "location":
        location = fields.get("location_information", {})
        coordinates = f"{location.get('latitude')}, {location.get('longitude')}"
        text = "\n".join(
            filter(None, (fields.get("place_name"), fields.get("address"), coordinates))
        )
    elif not text and media == "sticker":
        text = fields.get("sticker_emoji", "")
    answered = fields.get("reply_to_message_id")
    return Message(
        time=time,
        sender=str(sender or name or "unknown"),
        name=str(name) if sender and name else None,
        kind=kind,
        text=text,
        edited="edited" in fields,
        media=media,
        id=str(fields["id"]),
        reply_to=None if answered is None else str(answered),
        reactions=reactions(_reactions(fields)),
    )


def _kind(fields: Mapping[str, Any]) -> tuple[Kind, str | None]:
    """Return the kind of a message, and the file name or type of its media."""
    if "poll" in fields or "todo_list" in fields:
        return "poll", None
    if "location_information" in fields:
        return "location", None
    for field in _MEDIA_FIELDS:
        if field in fields:
            name = fields.get("file_name") or fields.get("media_type")
            media_type = fields.get("media_type") if field == "file" else field
            if media_type == "sticker" or name is None:
                return "media", str(media_type or "file").partition("_")[0]
            return "media", str(name)
    if not _FORWARDED.isdisjoint(fields):  # null names an account that was deleted
        forwarded = fields.get("forwarded_from") or fields.get("forwarded_from_id")
        return "media", f"forwarded from {forwarded or 'unknown'}"
    for field in _OTHER_FIELDS:
        if field in fields:
            return "media", field.replace("_", " ")
    return "text", None


def _service(fields: Mapping[str, Any], time: datetime) -> Message:
    """Describe an event of the chat by its fields; the export has no sentence for it."""
    action = str(fields.get("action", ""))
    facts = []
    for field, value in fields.items():
        if field not in _IGNORED_FIELDS and isinstance(value, (str, int, list)):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            facts.append(f"{field.replace('_', ' ')} {shown}")
    actor = fields.get("actor")
    is_call = action == "phone_call"
    text = "; ".join([action.replace("_", " "), *facts])
    return Message(
        time=time,
        sender=str(fields.get("actor_id") or actor) if is_call and actor else None,
        name=str(actor) if is_call and actor and fields.get("actor_id") else None,
        kind="call" if is_call else "system",
        text=text if is_call or not actor else f"{actor}: {text}",
        id=str(fields["id"]),
    )


def _text(text: Any) -> str:
    """Join a text that is a string, or a list of strings and objects with a text."""
    if isinstance(text, str):
        return text
    return "".join(each if isinstance(each, str) else each["text"] for each in text)


def _reactions(fields: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    for reaction in items(fields.get("reactions")):
        shown = reaction.get("emoji") or reaction.get("document_id") or reaction.get("type")
        yield shown, reaction.get("count")
