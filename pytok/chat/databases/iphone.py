"""Messages from the iPhone's ChatStorage.sqlite.

The names follow Core Data: the table is `ZWAMESSAGE`, its row number `Z_PK`, and times are seconds
since 2001. The reference of a reply is in the metadata of its media item, a protobuf message, even
if the reply has no media. Reactions are in receipts, whose format has no sufficient description.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from pytok.chat.databases import codes
from pytok.chat.databases.opening import Tables
from pytok.chat.databases.people import UNKNOWN, People, account
from pytok.chat.databases.protobuf import parse_fields
from pytok.chat.databases.values import apple_time, column, integer, label, text
from pytok.chat.record import Kind, Message

_STANZA = 5
"""Field in the metadata of a media item: `ZSTANZAID` of the answered message."""

_COLUMNS = (
    "Z_PK",
    "ZCHATSESSION",
    "ZISFROMME",
    "ZSTANZAID",
    "ZGROUPMEMBER",
    "ZFROMJID",
    "ZPUSHNAME",
    "ZMESSAGETYPE",
    "ZTEXT",
    "ZMESSAGEDATE",
    "ZSORT",
)
_INFORMATION = {
    "ZWAMEDIAITEM": "file names and reply references",
    "ZWAGROUPMEMBER": "group members",
}
"""Name of a table to the information in it."""


class IPhone:
    """A ChatStorage.sqlite."""

    format = "WhatsApp database"

    def __init__(self, tables: Tables, contacts: Mapping[str, str]) -> None:
        self._tables = tables
        self.unreadable: list[str] = []
        """Invalid rows found so far: table, row and reason."""
        self.missing = [
            "reactions",
            "edit marks",
            *(what for table, what in _INFORMATION.items() if not tables.has(table)),
        ]
        """Information that the file does not have."""
        names = {
            label(jid): label(name)
            for jid, name in tables.rows("ZWAPROFILEPUSHNAME", ("ZJID", "ZPUSHNAME"))
            if jid and name
        }
        subjects = self._read_sessions(names)
        self._read_members(names)
        self._people = People({**names, **contacts})
        self.chats = self._people.chat_names(map(self._chat, self._used_sessions()), subjects)
        """Identity of each chat to its name."""
        self._media = self._read_media()

    @staticmethod
    def matches(tables: Tables) -> bool:
        """Return whether *tables* are those of a ChatStorage.sqlite."""
        return tables.has("ZWAMESSAGE", "ZCHATSESSION", "ZMESSAGEDATE")

    def _read_sessions(self, names: dict[str, str]) -> dict[str, str]:
        """Add the names of one-to-one chats to *names*; return the names of groups."""
        self._sessions: dict[Any, str] = {}
        subjects: dict[str, str] = {}
        columns = ("Z_PK", "ZCONTACTJID", "ZPARTNERNAME")
        for row, jid, name in self._tables.rows("ZWACHATSESSION", columns):
            if jid:
                self._sessions[row] = label(jid)
                target = subjects if label(jid).endswith("@g.us") else names
                if name:
                    target[label(jid)] = label(name)
        return subjects

    def _read_members(self, names: dict[str, str]) -> None:
        self._members: dict[Any, str] = {}
        columns = ("Z_PK", "ZMEMBERJID", "ZCONTACTNAME", "ZFIRSTNAME")
        for row, jid, name, first in self._tables.rows("ZWAGROUPMEMBER", columns):
            if jid:
                self._members[row] = label(jid)
                if name or first:
                    names.setdefault(label(jid), label(name or first))

    def _used_sessions(self) -> Iterator[Any]:
        return (session for (session,) in self._tables.rows("ZWAMESSAGE", ("ZCHATSESSION",)))

    def _chat(self, session: Any) -> str:
        return self._sessions.get(session) or f"deleted chat {session!r:.20}"

    def _read_media(self) -> dict[Any, tuple[str, str, str, str]]:
        """Map the row of a message to (file name, caption, location, key of answered message)."""
        found = {}
        columns = ("ZMESSAGE", "ZMEDIALOCALPATH", "ZTITLE", "ZLATITUDE", "ZLONGITUDE", "ZMETADATA")
        for row, path, title, latitude, longitude, metadata in self._tables.rows(
            "ZWAMEDIAITEM", columns
        ):
            try:
                found[row] = (
                    text(path).rpartition("/")[2],
                    text(title),
                    codes.location(text(title), "", "", latitude, longitude),
                    _answered_key(metadata),
                )
            except ValueError as error:
                self.unreadable.append(f"ZWAMEDIAITEM of message {row!r:.40}: {error}")
        return found

    def messages(self, wanted: Container[str]) -> Iterator[tuple[str, int, Message | None]]:
        """Yield (identity of the chat, sort key among equal times, message).

        The message is None if its chat is not in *wanted*.
        """
        for row, session, *values in self._tables.rows("ZWAMESSAGE", _COLUMNS):
            chat = self._chat(session)
            try:
                number = integer(row)
                yield chat, number, self._message(number, chat, *values) if chat in wanted else None
            except ValueError as error:
                self.unreadable.append(f"ZWAMESSAGE, row {row!r:.40}: {error}")

    def _message(
        self,
        row: int,
        chat: str,
        mine: Any,
        key: Any,
        member: Any,
        address: Any,
        push_name: Any,
        code: Any,
        data: Any,
        time: Any,
        _order: Any,
    ) -> Message:
        file, caption, location, answered = self._media.get(row, ("", "", "", ""))
        number = column("ZMESSAGETYPE", integer, code)
        fallback: Kind = "media" if file else "text" if data else "system"
        kind = codes.IPHONE_KINDS.get(number, fallback)
        content = column("ZTEXT", text, data)
        media = None
        if kind == "media":
            media = file or codes.IPHONE_MEDIA.get(number, "media")
            content = content or caption
        elif kind == "location":
            content = "\n".join(filter(None, (content, location)))
        elif not content and kind in ("system", "call"):
            content = f"message of type {number}"
        sender, name = None, None
        if kind != "system":
            sender, name = self._author(chat, mine, self._members.get(member), address)
            # The name that the sender chose: the only one for a group member without a contact.
            if (
                name is None
                and not integer(mine)
                and isinstance(push_name, str)
                and push_name.isprintable()
            ):
                name = push_name or None
        return Message(
            time=column("ZMESSAGEDATE", apple_time, time),
            sender=sender,
            name=name,
            kind=kind,
            text=content,
            media=media,
            id=column("ZSTANZAID", text, key) or None,
            reply_to=answered or None,
            chat=self.chats[chat],
            source=self._tables.path.name,
            line=row,
        )

    def _author(
        self, chat: str, mine: Any, member: str | None, address: Any
    ) -> tuple[str, str | None]:
        if integer(mine):
            return self._people.own, None
        identity = member or (chat if not chat.endswith("@g.us") else text(address))
        if "@" not in identity or identity.endswith("@g.us"):
            return UNKNOWN, None
        return account(self._people.identity(identity)), self._people.name(identity)


def _answered_key(metadata: Any) -> str:
    if not isinstance(metadata, bytes):
        return ""
    try:
        return text(parse_fields(metadata).get(_STANZA))
    except ValueError:  # third-party software stores other formats there
        return ""
