"""Signal messages as signal-cli receives them: JSON lines, or the notifications of its JSON-RPC.

The fields are those of the records in org.asamk.signal.json (signal-cli 0.14). A line is an event:
a message, or a reaction to, an edit of, or the deletion of an earlier message, which it names by
author and time. Receipts and signs of typing are not messages.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pytok.chat.formats.times import read_time
from pytok.chat.formats.values import fields, items, words
from pytok.chat.record import Kind, Message
from pytok.chat.source import Chat, Source, join


class _Event(NamedTuple):
    """What a line says."""

    chat: str = ""
    title: str = ""
    """Name of the chat, if the line has it."""
    author: str = ""
    message: Message | None = None
    """A new message, or the text of an edited one."""
    change: str = ""
    """What is done to an earlier message: "edit", "reaction" or "delete"."""
    target: str = ""
    """Time of the earlier message, as written."""
    authors: tuple[Any, ...] = ()
    """Identifiers of its author, if the line has them."""
    emoji: str | None = None
    """The reaction; None if it was removed."""


def is_signal_cli(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are events, parsed with `from_signal_cli`."""
    return any(isinstance(_event_in(entry), _Event) for _, entry in entries[:20])


def from_signal_cli(plain: dict[str, Any]) -> Any:
    """Convert *plain* to an event if it has an envelope, else return it."""
    if not isinstance(plain.get("envelope"), dict):
        return plain
    try:
        return _event(plain["envelope"])
    except ValueError:
        return plain


def read_signal_cli(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages of the events in the file *name*, with what later events changed."""
    chats = _Chats(name)
    for number, entry in entries:
        event = _event_in(entry)
        if isinstance(event, _Event):
            chats.add(event, number)
        else:
            chats.unread.append(number)
    return chats.source()


def _event_in(entry: Any) -> Any:
    """Return what the object of a line became; a notification has it in its parameters."""
    return entry.get("params") if isinstance(entry, dict) else entry


def _event(envelope: Mapping[str, Any]) -> _Event:
    """Return what *envelope* says. Raises ValueError for a message without a time."""
    sent = fields(fields(envelope.get("syncMessage")).get("sentMessage"))
    edit = fields(envelope.get("editMessage") or sent.get("editMessage"))
    data = fields(edit.get("dataMessage")) or fields(envelope.get("dataMessage")) or sent
    if not (data or fields(fields(envelope.get("callMessage")).get("offerMessage"))):
        return _Event()  # a receipt, a sign of typing, or news for the other devices
    author = _address(envelope, "source")
    group = fields(data.get("groupInfo"))
    chat = words(group.get("groupId")) or (_address(sent, "destination") if sent else author)
    name = words(envelope.get("sourceName"))
    title = words(group.get("groupName")) or ("" if sent else name)
    event = _Event(chat, title, author)
    if edit:
        message = _message(envelope, data, author)
        return event._replace(
            change="edit", target=str(edit.get("targetSentTimestamp")), message=message
        )
    if reaction := fields(data.get("reaction")):
        emoji = None if reaction.get("isRemove") is True else words(reaction.get("emoji"))
        return event._replace(change="reaction", emoji=emoji, **_target(reaction))
    if deleted := fields(data.get("remoteDelete") or data.get("adminDelete")):
        return event._replace(change="delete", **_target(deleted))
    return event._replace(message=_message(envelope, data, author))


def _target(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the time and the identifiers of the author of the message that *plain* names."""
    authors = (words(plain.get(f"targetAuthor{each}")) for each in ("", "Number", "Uuid"))
    time = plain.get("targetSentTimestamp") or plain.get("timestamp")
    return {"target": str(time), "authors": tuple(filter(None, authors))}


class _Chats:
    """Messages by chat and time, with later events applied to them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.unread: list[int] = []
        self._messages: list[Message] = []
        self._chats: list[str] = []
        """The id of the chat of each message."""
        self._titles: dict[str, str] = {}
        self._by_time: dict[tuple[str, str], list[int]] = defaultdict(list)
        """Indices of the messages with a chat and a time."""
        self._reactions: dict[int, dict[str, str]] = defaultdict(dict)
        """Emoji of each message by the person who reacted."""

    def add(self, event: _Event, number: int) -> None:
        """Add the event of line *number*."""
        if event.title:
            self._titles[event.chat] = event.title
        if not event.change:
            if event.message is not None:
                self._by_time[event.chat, str(event.message.id)].append(len(self._messages))
                self._chats.append(event.chat)
                self._messages.append(replace(event.message, source=self.name, line=number))
            return
        index = self._find(event)
        if index is None:
            return  # the message is not in the file
        if event.change == "reaction":
            self._reactions[index].pop(event.author, None)
            if event.emoji is not None:
                self._reactions[index][event.author] = event.emoji
            return
        message = self._messages[index]
        if event.change == "delete":
            self._messages[index] = replace(message, kind="deleted", text="", media=None)
        elif event.message is not None:
            self._messages[index] = replace(message, text=event.message.text, edited=True)
            # A later event can name the message by the time of the edit.
            self._by_time[event.chat, str(event.message.id)].append(index)

    def _find(self, event: _Event) -> int | None:
        """Return the index of the message that *event* changes, if the file has it."""
        found = self._by_time.get((event.chat, event.target), [])
        own = [index for index in found if self._messages[index].sender in event.authors]
        return next(iter(own or found), None)

    def source(self) -> Source:
        """Return the messages of all chats."""
        by_chat: dict[str, list[Message]] = defaultdict(list)
        for index, (chat, message) in enumerate(zip(self._chats, self._messages, strict=True)):
            reactions = tuple(self._reactions[index].values()) if index in self._reactions else ()
            by_chat[chat].append(replace(message, reactions=reactions))
        sources = [
            Source(
                name=self.name,
                format="signal-cli JSON",
                messages=messages,
                chats=[Chat(self._titles.get(chat, chat), len(messages), chat)],
            )
            for chat, messages in by_chat.items()
        ]
        empty = Source(name=self.name, format="signal-cli JSON", messages=[])
        joined = join(sources, self.name) if sources else empty
        joined.unread = self.unread
        return joined


def _address(plain: Mapping[str, Any], field: str) -> str:
    """Return a number, or, if the person hides it, the id of the account."""
    values = (plain.get(f"{field}{each}") for each in ("Number", "", "Uuid"))
    return next((value for value in map(words, values) if value), "unknown")


def _message(envelope: Mapping[str, Any], data: Mapping[str, Any], sender: str) -> Message:
    time = data.get("timestamp") or envelope.get("timestamp")
    kind, text, media = _contents(data)
    quoted = fields(data.get("quote")).get("id")
    name = words(envelope.get("sourceName"))
    return Message(
        time=read_time(time, milliseconds=True),
        sender=None if kind == "system" else sender,
        name=name if name and kind != "system" and name != sender else None,
        kind=kind,
        text=text,
        media=media,
        id=str(time),
        reply_to=None if quoted is None else str(quoted),
    )


def _contents(data: Mapping[str, Any]) -> tuple[Kind, str, str | None]:
    """Return the kind, the text, and the name or type of the file of a message or call."""
    text = words(data.get("message"))
    if not data:
        return "call", text, None
    if files := items(data.get("attachments")):
        first = fields(files[0])
        media = words(first.get("filename")) or words(first.get("contentType")).partition("/")[0]
        return "media", text, media or "file"
    for field in ("sticker", "contacts", "payment", "storyContext"):
        if data.get(field):
            return "media", text, {"contacts": "contact", "storyContext": "story"}.get(field, field)
    if poll := fields(data.get("pollCreate")):
        options = [words(each) for each in items(poll.get("options"))]
        return "poll", "\n".join([words(poll.get("question")), *options]), None
    if data.get("viewOnce") is True:
        return "media", text, "view once"
    if text:
        return "text", text, None
    if data.get("isExpirationUpdate") is True:
        return "system", f"messages disappear after {data.get('expiresInSeconds')} seconds", None
    return "system", "group update" if data.get("groupInfo") else "event", None
