"""Messages from iMessage's chat.db, of macOS or, as sms.db, from the backup of an iPhone.

The text is in the column `text` or, since about 2022, only in `attributedBody`. A reaction
("tapback") is a message that refers to another. One person can have several chats, one for each
service (iMessage, SMS, RCS): they are read as one chat.

Source of the schema: the documentation of imessage-exporter.
"""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pytok.chat.databases.address_book import AddressNames
from pytok.chat.databases.opening import Tables
from pytok.chat.databases.people import UNKNOWN, UNNAMED_OWNER, unique_names
from pytok.chat.databases.typedstream import read_string
from pytok.chat.databases.values import apple_time, column, integer, label, text
from pytok.chat.record import Kind, Message

_COLUMNS = (
    "ROWID",
    "guid",
    "text",
    "attributedBody",
    "handle_id",
    "is_from_me",
    "date",
    "date_edited",
    "item_type",
    "group_title",
    "group_action_type",
    "other_handle",
    "balloon_bundle_id",
    "associated_message_guid",
    "associated_message_type",
    "associated_message_emoji",
    "thread_originator_guid",
    "is_audio_message",
)

_INFORMATION = {
    "attachment": "names of attachments",
    "chat_message_join": "chats",
    "handle": "senders",
}
"""Name of a table to the information in it."""

_PLACEHOLDERS = str.maketrans("", "", "\ufffc\ufffd")
"""Characters that stand for attachments and applications."""

_TAPBACKS = {2000: "❤️", 2001: "👍", 2002: "👎", 2003: "😂", 2004: "‼️", 2005: "❓"}
"""`associated_message_type` of reactions. From 2006 on they have emoji of their own."""
_REMOVAL = 3000
"""First `associated_message_type` that removes a reaction: 1,000 more than that which adds it."""
_STICKERS = (1000, 2007)
_STICKER_REMOVED = 3007
_GUID = 36  # characters
_GROUP_STYLE = 43
_LINK = "com.apple.messages.URLBalloonProvider"
_NANOSECONDS = 1 << 38
"""Since macOS 10.13 times are in nanoseconds since 2001, before in seconds."""

_MIME_TYPES = {"image": "image", "video": "video", "audio": "audio"}
_EVENTS = {1: "changed the members", 2: "changed the name", 3: "left or changed the picture"}
_EVENTS |= {4: "shared the location", 5: "kept an audio message", 6: "used SharePlay"}
"""`item_type` of messages that nobody wrote."""


class _Row(NamedTuple):
    """The columns of a message."""

    row: Any
    guid: Any
    text: Any
    body: Any
    handle: Any
    mine: Any
    time: Any
    edited: Any
    item: Any
    title: Any
    action: Any
    other: Any
    balloon: Any
    target: Any
    association: Any
    emoji: Any
    answered: Any
    audio: Any


class IMessage:
    """A chat.db."""

    format = "iMessage database"

    def __init__(self, tables: Tables, contacts: Mapping[str, str]) -> None:
        self._tables = tables
        self._contacts = AddressNames(contacts)
        self.unreadable: list[str] = []
        """Invalid rows found so far: table, row and reason."""
        self.missing = [what for table, what in _INFORMATION.items() if not tables.has(table)]
        """Information that the file does not have."""
        self._handles = {
            row: label(address)
            for row, address in tables.rows("handle", ("ROWID", "id"))
            if address
        }
        self._chat_of_row = self._read_chats()
        self._chat_of_message = dict(tables.rows("chat_message_join", ("message_id", "chat_id")))
        self._attachments = self._read_attachments()
        self._reactions = self._read_reactions()
        self.chats = self._name_chats()
        """Identity of each chat to its name."""

    @staticmethod
    def matches(tables: Tables) -> bool:
        """Return whether *tables* are those of a chat.db."""
        return tables.has("message", "guid", "is_from_me", "date") and tables.has("handle", "id")

    def _read_chats(self) -> dict[Any, str]:
        """Map the row of a chat to its identity, and collect the names and members of chats."""
        self._titles: dict[str, str] = {}
        members: dict[Any, set[str]] = defaultdict(set)
        for chat, handle in self._tables.rows("chat_handle_join", ("chat_id", "handle_id")):
            if handle in self._handles:
                members[chat].add(self._handles[handle])
        found = {}
        columns = ("ROWID", "chat_identifier", "display_name", "style")
        for row, identifier, name, style in self._tables.rows("chat", columns):
            people = sorted(members[row])
            is_group = style == _GROUP_STYLE or len(people) > 1
            # The identifier of a group changes with the service, its members do not.
            identity = label(identifier) or f"chat {row!r:.20}"
            if is_group and people:
                identity = ", ".join(people)
            if name:
                self._titles[identity] = label(name)
            elif is_group:
                shown = ", ".join(self._name(each) or each for each in people)
                self._titles.setdefault(identity, shown or identity)
            found[row] = identity
        return found

    def _name_chats(self) -> dict[str, str]:
        used = dict.fromkeys(self._chat(row) for (row,) in self._tables.rows("message", ("ROWID",)))
        return unique_names(
            {chat: self._titles.get(chat) or self._name(chat) or chat for chat in used}
        )

    def _chat(self, message: Any) -> str:
        chat = self._chat_of_message.get(message)
        return self._chat_of_row.get(chat) or "messages without a chat"

    def _name(self, address: str) -> str | None:
        return self._contacts.get(address)

    def _read_attachments(self) -> dict[Any, str]:
        """Map the row of a message to the file name, or the type, of its first attachment."""
        names = {}
        columns = ("ROWID", "transfer_name", "filename", "mime_type")
        for row, name, path, mime in self._tables.rows("attachment", columns):
            kind = _MIME_TYPES.get(label(mime).partition("/")[0], "file")
            names[row] = label(name) or label(path).rpartition("/")[2] or kind
        found: dict[Any, str] = {}
        pairs = self._tables.rows("message_attachment_join", ("message_id", "attachment_id"))
        for message, attachment in pairs:
            found.setdefault(message, names.get(attachment, "file"))
        return found

    def _read_reactions(self) -> dict[str, list[str]]:
        """Map the GUID of a message to its reactions: the last one of each person."""
        latest: dict[tuple[str, Any], tuple[int, str]] = {}
        for values in self._tables.rows("message", _COLUMNS):
            row = _Row(*values)
            if not _is_reaction(row) or row.association == _STICKER_REMOVED:
                continue
            try:
                code = integer(row.association)
                time = column("date", integer, row.time)
                emoji = _TAPBACKS.get(code) or text(row.emoji) or "?"
                person = 0 if integer(row.mine) else row.handle
                key = _target(row.target), person
                if key not in latest or latest[key][0] <= time:
                    latest[key] = time, "" if code >= _REMOVAL else emoji
            except ValueError as error:
                self._report(row, error)
        found: dict[str, list[str]] = defaultdict(list)
        for (guid, _), (_, emoji) in latest.items():
            if emoji:
                found[guid].append(emoji)
        return found

    def messages(self, wanted: Container[str]) -> Iterator[tuple[str, int, Message | None]]:
        """Yield (identity of the chat, sort key among equal times, message).

        The message is None if its chat is not in *wanted*. Reactions are in the messages that they
        refer to.
        """
        for values in self._tables.rows("message", _COLUMNS):
            row = _Row(*values)
            if _is_reaction(row):
                continue
            try:
                number = integer(row.row)
                chat = self._chat(row.row)
                yield chat, number, self._message(row, number, chat) if chat in wanted else None
            except ValueError as error:
                self._report(row, error)

    def _report(self, row: _Row, error: ValueError) -> None:
        self.unreadable.append(f"message, row {row.row!r:.40}: {error}")

    def _message(self, row: _Row, number: int, chat: str) -> Message:
        content = column("text", text, row.text)
        if not content and isinstance(row.body, bytes):
            content = column("attributedBody", read_string, row.body)
        content = content.translate(_PLACEHOLDERS).strip()
        kind, media = self._kind(row, content)
        mine = bool(column("is_from_me", integer, row.mine))
        if kind == "system":
            content = self._event(row, content)
        guid = column("guid", text, row.guid)
        sender = UNNAMED_OWNER if mine else self._handles.get(row.handle) or UNKNOWN
        return Message(
            time=column("date", _time, row.time),
            sender=None if kind == "system" else sender,
            name=None if kind == "system" or mine else self._name(sender),
            kind=kind,
            text=content,
            edited=bool(row.edited) and kind != "deleted",
            media=media,
            id=guid or None,
            reply_to=column("thread_originator_guid", text, row.answered) or None,
            reactions=tuple(self._reactions.get(guid, ())),
            chat=self.chats[chat],
            source=self._tables.path.name,
            line=number,
        )

    def _kind(self, row: _Row, content: str) -> tuple[Kind, str | None]:
        if _is_event(row):
            return "system", None
        attachment = self._attachments.get(row.row)
        if row.association in _STICKERS:
            return "media", attachment or "sticker"
        if row.audio:
            return "media", attachment or "audio"
        balloon = column("balloon_bundle_id", text, row.balloon)
        if balloon and balloon != _LINK:
            return "media", balloon.rpartition(":")[2].rpartition(".")[2] or "app"
        if attachment is not None and not (balloon and content):
            return "media", attachment
        if not content and row.edited:
            return "deleted", None
        return ("text", None) if content else ("system", None)

    def _event(self, row: _Row, content: str) -> str:
        """Describe a message that nobody wrote."""
        if not _is_event(row):
            return content or "message without text"
        who = UNNAMED_OWNER if row.mine else self._handles.get(row.handle) or UNKNOWN
        what = _EVENTS.get(row.item, "changed the group")
        about = column("group_title", text, row.title) or self._handles.get(row.other, "")
        event = f"{self._name(who) or who} {what}"
        return f"{event}: {about}" if about else event


def _is_event(row: _Row) -> bool:
    """Return whether *row* is a message that nobody wrote."""
    return bool(row.item or row.title or row.action)


def _is_reaction(row: _Row) -> bool:
    """Return whether *row* adds a reaction to a message or removes one."""
    code = row.association
    return isinstance(code, int) and 2000 <= code < 4000 and code not in _STICKERS


def _time(value: Any) -> datetime:
    if isinstance(value, (int, float)) and abs(value) >= _NANOSECONDS:
        value = value / 1e9
    return apple_time(value)


def _target(reference: Any) -> str:
    """Return the GUID of a message in a reference to its part: `p:0/GUID` or `bp:GUID`."""
    return text(reference)[-_GUID:]
