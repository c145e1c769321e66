"""Signal messages as signal-cli receives them: JSON lines, or the notifications of its JSON-RPC.

The fields are those of the records in org.asamk.signal.json (signal-cli 0.14). A line is an event:
a message, or a reaction to, an edit of, or the deletion of an earlier message, which it names by
author and time. Receipts and signs of typing are not messages.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytok.chat.formats.times import read_time
from pytok.chat.formats.values import fields, items, words
from pytok.chat.record import Kind, Message
from pytok.chat.source import Chat, Source, join


def is_signal_cli(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries* are events of signal-cli."""
    return any(_envelope(entry) for _, entry in entries[:20])


def read_signal_cli(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Return the messages of the events in the file *name*, with what later events changed."""
    events = _Events(name)
    for number, entry in entries:
        try:
            events.add(_envelope(entry), number)
        except (ValueError, TypeError):
            events.unread.append(number)
    return events.source()


def _envelope(entry: Any) -> Mapping[str, Any]:
    """Return the envelope of a line; {} if it has none."""
    plain = fields(entry)
    return fields(plain.get("envelope") or fields(plain.get("params")).get("envelope"))


class _Events:
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

    def add(self, envelope: Mapping[str, Any], number: int) -> None:
        """Add one event. Raises ValueError for an envelope without a readable message."""
        sent = fields(fields(envelope.get("syncMessage")).get("sentMessage"))
        edit = fields(envelope.get("editMessage") or sent.get("editMessage"))
        data = fields(edit.get("dataMessage")) or fields(envelope.get("dataMessage")) or sent
        call = fields(fields(envelope.get("callMessage")).get("offerMessage"))
        if not (data or call):
            if not envelope:
                raise ValueError("no envelope")
            return  # a receipt, a sign of typing, or news for the other devices
        sender = _address(envelope, "source")
        group = fields(data.get("groupInfo"))
        chat = words(group.get("groupId")) or (_address(sent, "destination") if sent else sender)
        title = words(group.get("groupName")) or words(envelope.get("sourceName"))
        if title and (group or not sent):
            self._titles[chat] = title
        if edit:
            self._edit(chat, str(edit.get("targetSentTimestamp")), data)
        elif reaction := fields(data.get("reaction")):
            for index in self._find(chat, reaction.get("targetSentTimestamp"), reaction):
                self._reactions[index].pop(sender, None)
                if reaction.get("isRemove") is not True:
                    self._reactions[index][sender] = words(reaction.get("emoji"))
        elif deleted := fields(data.get("remoteDelete") or data.get("adminDelete")):
            time = deleted.get("timestamp") or deleted.get("targetSentTimestamp")
            for index in self._find(chat, time, deleted):
                self._messages[index] = replace(
                    self._messages[index], kind="deleted", text="", media=None
                )
        else:
            self._append(_message(envelope, data, sender, self.name, number), chat)

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

    def _append(self, message: Message, chat: str) -> None:
        self._by_time[chat, str(message.id)].append(len(self._messages))
        self._chats.append(chat)
        self._messages.append(message)

    def _edit(self, chat: str, time: str, data: Mapping[str, Any]) -> None:
        for index in self._find(chat, time, {}):
            text = words(data.get("message"))
            self._messages[index] = replace(self._messages[index], text=text, edited=True)
            # A later event can name the message by the time of the edit.
            self._by_time[chat, str(data.get("timestamp"))].append(index)

    def _find(self, chat: str, time: Any, target: Mapping[str, Any]) -> Iterator[int]:
        """Yield the index of the message of *time* by the author in *target*, if there is one."""
        found = self._by_time.get((chat, str(time)), [])
        authors = {target.get(f"targetAuthor{each}") for each in ("", "Number", "Uuid")}
        own = [index for index in found if self._messages[index].sender in authors]
        yield from (own or found)[:1]


def _address(plain: Mapping[str, Any], field: str) -> str:
    """Return a number, or, if the person hides it, the id of the account."""
    values = (plain.get(f"{field}{each}") for each in ("Number", "", "Uuid"))
    return next((value for value in map(words, values) if value), "unknown")


def _message(
    envelope: Mapping[str, Any], data: Mapping[str, Any], sender: str, source: str, number: int
) -> Message:
    time = data.get("timestamp") or envelope.get("timestamp")
    kind, text, media = _contents(data)
    quoted = fields(data.get("quote")).get("id")
    name = words(envelope.get("sourceName"))
    return Message(
        time=read_time(time),
        sender=None if kind == "system" else sender,
        name=name if name and kind != "system" and name != sender else None,
        kind=kind,
        text=text,
        media=media,
        id=str(time),
        reply_to=None if quoted is None else str(quoted),
        source=source,
        line=number,
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
