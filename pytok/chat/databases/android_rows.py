"""Rows of Android's msgstore.db, with row numbers of people and chats resolved to addresses.

Messages are in `message` (since 2021), in `messages` (before), or in both: while WhatsApp migrates
from one to the other, each can have messages that the other lacks.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pytok.chat.databases import codes
from pytok.chat.databases.opening import Tables
from pytok.chat.databases.people import People, without_device
from pytok.chat.databases.values import column, integer, label, text

_PLACEHOLDER = "-1"
"""`key_id` of the first row of both tables, which is not a message."""

_CURRENT = (
    "_id",
    "chat_row_id",
    "from_me",
    "key_id",
    "sender_jid_row_id",
    "status",
    "message_type",
    "text_data",
    "timestamp",
    "received_timestamp",
    "sort_id",
)
_LEGACY = (
    "_id",
    "key_remote_jid",
    "key_from_me",
    "key_id",
    "remote_resource",
    "status",
    "media_wa_type",
    "data",
    "timestamp",
    "received_timestamp",
    "edit_version",
    "quoted_row_id",
    "media_caption",
    "media_name",
    "latitude",
    "longitude",
    "media_size",
)
_CALL = (
    "_id",
    "jid_row_id",
    "group_jid_row_id",
    "from_me",
    "call_id",
    "timestamp",
    "video_call",
    "duration",
)


class Row(NamedTuple):
    """A message from either table."""

    table: str
    row: int
    chat: str
    """Identity of the chat."""
    mine: bool
    key: str
    sender: str
    """Identity of the sender; "" if the file has none."""
    status: int
    code: int
    text: str
    time: Any
    order: int
    version: int = 0
    """`edit_version`; this and all following fields exist in the old table only."""
    reply: str = ""
    media: str = ""
    location: str = ""
    action: int = 0


class Call(NamedTuple):
    """A row of `call_log`."""

    row: int
    chat: str
    mine: bool
    key: str
    sender: str
    time: Any
    text: str


class Rows:
    """All messages and calls of a msgstore.db."""

    def __init__(self, tables: Tables, contacts: Mapping[str, str]) -> None:
        self._tables = tables
        self.unreadable: list[str] = []
        jids = {
            row: without_device(label(raw) or f"{label(user)}@{label(server)}")
            for row, raw, user, server in tables.rows(
                "jid", ("_id", "raw_string", "user", "server")
            )
        }
        phone_of = {
            jids[hidden]: jids[phone]
            for hidden, phone in tables.rows("jid_map", ("lid_row_id", "jid_row_id"))
            if hidden in jids and phone in jids
        }
        chosen_names = {
            jids[hidden]: label(name)
            for hidden, name in tables.rows("lid_display_name", ("lid_row_id", "display_name"))
            if hidden in jids
        }
        own = [value for key, value in tables.rows("props", ("key", "value"))
               if key == "user_push_name"]  # fmt: skip
        # Names from the address book take precedence over names that people chose.
        names = {**chosen_names, **contacts}
        self.people = People(names, phone_of, label(own[0]) if own else "")
        self.jids = {row: self.people.identity(jid) for row, jid in jids.items()}
        """Row of `jid` to identity."""
        self._chats: dict[Any, str] = {}
        self.subjects: dict[str, str] = {}
        """Identity of a group to its name."""
        self._read_chats()
        self.calls = list(self._read_calls())
        """All calls of `call_log`, with or without a message."""

    def _read_chats(self) -> None:
        for row, jid, subject in self._tables.rows("chat", ("_id", "jid_row_id", "subject")):
            if (identity := self.jids.get(jid)) is not None:
                self._chats[row] = identity
                if subject:
                    self.subjects[identity] = label(subject)
        for jid, subject in self._tables.rows("chat_list", ("key_remote_jid", "subject")):
            if jid and subject:
                self.subjects.setdefault(self.people.identity(label(jid)), label(subject))

    def _chat(self, row: Any) -> str:
        # When a chat is deleted, WhatsApp keeps some of its messages.
        return self._chats.get(row) or f"deleted chat {row!r:.20}"

    def chats(self) -> Iterator[str]:
        """Yield the identity of the chat of each message and call."""
        for row, key in self._tables.rows("message", ("chat_row_id", "key_id")):
            if key != _PLACEHOLDER:
                yield self._chat(row)
        for jid, key in self._tables.rows("messages", ("key_remote_jid", "key_id")):
            if key != _PLACEHOLDER:
                yield self.people.identity(label(jid))
        for call in self.calls:
            yield call.chat

    def messages(self) -> Iterator[Row]:
        """Yield the rows of `message`, then those of `messages`; many can be in both."""
        quotes = dict(self._tables.rows("messages_quotes", ("_id", "key_id")))
        for table, columns in (("message", _CURRENT), ("messages", _LEGACY)):
            for number, *values in self._tables.rows(table, columns):
                try:
                    if table == "message":
                        row = self._current(integer(number), *values)
                    else:
                        row = self._legacy(quotes, integer(number), *values)
                except ValueError as error:
                    self.unreadable.append(f"{table}, row {number!r:.40}: {error}")
                    continue
                if row.key != _PLACEHOLDER:
                    yield row

    def _current(
        self,
        row: int,
        chat: Any,
        mine: Any,
        key: Any,
        sender: Any,
        status: Any,
        code: Any,
        data: Any,
        time: Any,
        received: Any,
        order: Any,
    ) -> Row:
        return Row(
            table="message",
            row=row,
            chat=self._chat(chat),
            mine=bool(column("from_me", integer, mine)),
            key=column("key_id", text, key),
            sender=self.jids.get(sender, ""),
            status=column("status", integer, status),
            code=column("message_type", integer, code),
            text=column("text_data", text, data),
            time=time or received,
            order=column("sort_id", integer, order) or row,
        )

    def _legacy(
        self,
        quotes: Mapping[Any, Any],
        row: int,
        chat: Any,
        mine: Any,
        key: Any,
        sender: Any,
        status: Any,
        code: Any,
        data: Any,
        time: Any,
        received: Any,
        version: Any,
        quoted: Any,
        caption: Any,
        media: Any,
        latitude: Any,
        longitude: Any,
        action: Any,
    ) -> Row:
        number = column("media_wa_type", integer, code)
        is_location = codes.ANDROID_KINDS.get(number) == "location"
        return Row(
            table="messages",
            row=row,
            chat=self.people.identity(column("key_remote_jid", text, chat)),
            mine=bool(column("key_from_me", integer, mine)),
            key=column("key_id", text, key),
            sender=self.people.identity(column("remote_resource", text, sender)) if sender else "",
            status=column("status", integer, status),
            code=number,
            # For media and locations, `data` is a thumbnail or other binary content.
            text=(
                column("media_caption", text, caption)
                if number in codes.ANDROID_MEDIA or is_location
                else column("data", text, data)
            ),
            time=time or received,
            order=row,
            version=column("edit_version", integer, version),
            reply=text(quotes.get(quoted)),
            media=text(media),
            location=(
                codes.location(text(media), "", "", latitude, longitude) if is_location else ""
            ),
            action=integer(action),
        )

    def _read_calls(self) -> Iterator[Call]:
        for row, person, group, mine, key, time, video, seconds in self._tables.rows(
            "call_log", _CALL
        ):
            sender = self.jids.get(person, "")
            if chat := self.jids.get(group) or sender:
                try:
                    call_text = codes.call(video=bool(integer(video)), seconds=integer(seconds))
                    yield Call(
                        integer(row), chat, bool(integer(mine)), text(key), sender, time, call_text
                    )
                except ValueError as error:
                    self.unreadable.append(f"call_log, row {row!r:.40}: {error}")
