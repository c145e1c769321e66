"""Telegram Desktop's export in JSON: ``result.json`` of one chat, or of a whole account.

Its fields are those of Telegram Desktop 5 (export_output_json.cpp). A message that was forwarded is
of kind "media", since its words are not its sender's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from pytok.chat.record import Kind, Message
from pytok.chat.source import Source
from pytok.errors import ChatError

_MEDIA_FIELDS = ("photo", "file", "contact_information", "game_title", "invoice_information")
_NO_FACT = frozenset(
    (
        *("id", "type", "date", "date_unixtime", "from", "from_id"),
        *("actor", "actor_id", "action", "text", "text_entities"),
    )
)
"""Fields of a service message that say nothing about what happened."""


def is_telegram(plain: Any) -> bool:
    """Whether *plain*, a whole JSON file, is such an export."""
    if not isinstance(plain, dict):
        return False
    if isinstance(plain.get("chats"), dict):
        return True
    messages = plain.get("messages")
    # A Message is what `from_telegram` has already made of an object.
    return isinstance(messages, list) and (
        any(isinstance(each, Message) for each in messages) or ("type" in plain and not messages)
    )


def from_telegram(plain: dict[str, Any]) -> Any:
    """*plain* as a Message if it is one of Telegram's, else as it is: an object hook for JSON.

    So that of a large export no more is in memory than its messages and its text.
    """
    kind = plain.get("type")
    if "date" not in plain or "id" not in plain or kind not in ("message", "service"):
        return plain
    try:
        time = _time(plain)
        return (_service if kind == "service" else _message)(plain, time)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return plain


def read_telegram(plain: Any, name: str) -> Source:
    """The messages of *plain*, a whole JSON file read with the hook `from_telegram`.

    *name* is the file's. Where it has several chats, each message says which it is of. Raises
    ChatError where there are no messages.
    """
    messages: list[Message] = []
    unread: list[int] = []
    chats = list(_chats(plain))
    entry = 0
    for chat in chats:
        title = chat.get("name") or str(chat.get("id", ""))
        entries = chat.get("messages")
        for message in entries if isinstance(entries, list) else ():
            entry += 1
            if not isinstance(message, Message):
                unread.append(entry)
                continue
            of = title if len(chats) > 1 else None
            messages.append(replace(message, source=name, line=entry, chat=of))
    if not messages:
        raise ChatError(f"{name}: an export of Telegram without a message that can be read")
    several = f" of {len(chats)} chats" if len(chats) > 1 else ""
    return Source(name=name, format=f"Telegram's JSON{several}", messages=messages, unread=unread)


def _chats(plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "messages" in plain:
        yield plain
    for part in ("chats", "left_chats"):
        listed = plain.get(part)
        for chat in listed.get("list", ()) if isinstance(listed, dict) else ():
            if isinstance(chat, dict):
                yield chat


def _time(plain: Mapping[str, Any]) -> datetime:
    """When it was sent: in UTC where the export says it, else the local time of its maker."""
    if "date_unixtime" in plain:
        return datetime.fromtimestamp(int(plain["date_unixtime"]), timezone.utc)
    return datetime.fromisoformat(plain["date"])


def _message(plain: Mapping[str, Any], time: datetime) -> Message:
    sender, shown = plain.get("from_id"), plain.get("from")
    kind, media = _kind_of(plain)
    text = _text(plain.get("text", ""))
    if kind == "poll":
        poll = plain["poll"]
        answers = [f"{each['text']} ({each['voters']})" for each in poll.get("answers", ())]
        text = "\n".join([_text(poll["question"]), *answers])
    elif kind == "location":
        place = plain.get("location_information", {})
        spot = f"{place.get('latitude')}, {place.get('longitude')}"
        text = "\n".join(filter(None, (plain.get("place_name"), plain.get("address"), spot)))
    elif not text and media == "sticker":
        text = plain.get("sticker_emoji", "")
    answered = plain.get("reply_to_message_id")
    return Message(
        time=time,
        sender=str(sender or shown or "unknown"),
        name=str(shown) if sender and shown else None,
        kind=kind,
        text=text,
        edited="edited" in plain,
        media=media,
        id=str(plain["id"]),
        reply_to=None if answered is None else str(answered),
        reactions=tuple(_reactions(plain)),
    )


def _kind_of(plain: Mapping[str, Any]) -> tuple[Kind, str | None]:
    if "poll" in plain:
        return "poll", None
    if "location_information" in plain:
        return "location", None
    for field in _MEDIA_FIELDS:
        if field in plain:
            named = plain.get("file_name") or plain.get("media_type")
            what = plain.get("media_type") if field == "file" else field
            if what == "sticker" or named is None:
                return "media", str(what or "file").partition("_")[0]
            return "media", str(named)
    if forwarded := plain.get("forwarded_from") or plain.get("forwarded_from_id"):
        return "media", f"forwarded from {forwarded}"
    return "text", None


def _service(plain: Mapping[str, Any], time: datetime) -> Message:
    """What happened to the chat, as its facts; the export has no sentence for it."""
    action = str(plain.get("action", ""))
    facts = []
    for field, value in plain.items():
        if field not in _NO_FACT and isinstance(value, (str, int, list)):
            told = ", ".join(map(str, value)) if isinstance(value, list) else value
            facts.append(f"{field.replace('_', ' ')} {told}")
    actor = plain.get("actor")
    is_call = action == "phone_call"
    words = "; ".join([action.replace("_", " "), *facts])
    return Message(
        time=time,
        sender=str(plain.get("actor_id") or actor) if is_call and actor else None,
        name=str(actor) if is_call and actor and plain.get("actor_id") else None,
        kind="call" if is_call else "system",
        text=words if is_call or not actor else f"{actor}: {words}",
        id=str(plain["id"]),
    )


def _text(text: Any) -> str:
    """The words of a text that is a string, or a list of strings and of objects with a text."""
    if isinstance(text, str):
        return text
    return "".join(each if isinstance(each, str) else each["text"] for each in text)


def _reactions(plain: Mapping[str, Any]) -> Iterator[str]:
    for reaction in plain.get("reactions", ()):
        shown = reaction.get("emoji") or reaction.get("document_id") or reaction.get("type")
        yield from [str(shown)] * min(int(reaction.get("count", 1)), 10_000)
