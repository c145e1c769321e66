"""The iPhone's ChatStorage.sqlite to messages.

Core Data's names: a table is `ZWAMESSAGE`, its rows are numbered by `Z_PK`, times are seconds since
2001. What a message answers is in the metadata of its media item, a protobuf message, whether it
has media or not. Reactions are in receipts that nobody has described well enough to read.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from pytok.chat.databases import codes
from pytok.chat.databases.opening import Tables
from pytok.chat.databases.people import UNKNOWN, People, account
from pytok.chat.databases.protobuf import fields
from pytok.chat.databases.values import apple_moment, integer, label, text
from pytok.chat.record import Kind, Message

_STANZA = 5
"""Field of a media item's metadata: `ZSTANZAID` of the message that is answered."""

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
_TELLS = {"ZWAMEDIAITEM": "files and answers", "ZWAGROUPMEMBER": "who is who in groups"}


class IPhone:
    """One ChatStorage.sqlite."""

    def __init__(self, tables: Tables, contacts: Mapping[str, str]) -> None:
        self._tables = tables
        self.unreadable: list[str] = []
        """What could not be read, as far as it was read: table, row and why."""
        self.missing = [
            "reactions",
            "which messages were edited",
            *(what for table, what in _TELLS.items() if not tables.has(table)),
        ]
        """What this file does not tell."""
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
    def made(tables: Tables) -> bool:
        """Whether *tables* are such a file's."""
        return tables.has("ZWAMESSAGE", "ZCHATSESSION", "ZMESSAGEDATE")

    def _read_sessions(self, names: dict[str, str]) -> dict[str, str]:
        """Fill *names* from one-to-one chats; returns what groups are called."""
        self._sessions: dict[Any, str] = {}
        subjects: dict[str, str] = {}
        columns = ("Z_PK", "ZCONTACTJID", "ZPARTNERNAME")
        for row, jid, name in self._tables.rows("ZWACHATSESSION", columns):
            if jid:
                self._sessions[row] = label(jid)
                named = subjects if label(jid).endswith("@g.us") else names
                if name:
                    named[label(jid)] = label(name)
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
        """Row of a message to (name of its file, caption, place, the message that it answers)."""
        found = {}
        columns = ("ZMESSAGE", "ZMEDIALOCALPATH", "ZTITLE", "ZLATITUDE", "ZLONGITUDE", "ZMETADATA")
        for row, path, title, latitude, longitude, metadata in self._tables.rows(
            "ZWAMEDIAITEM", columns
        ):
            try:
                found[row] = (
                    text(path).rpartition("/")[2],
                    text(title),
                    codes.place(text(title), "", "", latitude, longitude),
                    _answered(metadata),
                )
            except ValueError as error:
                self.unreadable.append(f"ZWAMEDIAITEM of message {row!r:.40}: {error}")
        return found

    def messages(self, wanted: Container[str]) -> Iterator[tuple[str, int, Message | None]]:
        """(identity of the chat, place among equals in time, message) of each.

        The message is None where its chat is not *wanted*.
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
        pushed: Any,
        code: Any,
        data: Any,
        time: Any,
        _order: Any,
    ) -> Message:
        file, caption, place, answered = self._media.get(row, ("", "", "", ""))
        number = integer(code)
        guessed: Kind = "media" if file else "text" if data else "system"
        kind = codes.IPHONE_KINDS.get(number, guessed)
        words = text(data)
        media = None
        if kind == "media":
            media = file or codes.IPHONE_MEDIA.get(number, "media")
            words = words or caption
        elif kind == "location":
            words = "\n".join(filter(None, (words, place)))
        elif not words and kind in ("system", "call"):
            words = f"message of type {number}"
        sender, name = None, None
        if kind != "system":
            sender, name = self._author(chat, mine, self._members.get(member), address)
            # The name that the sender chose; it is the only one for a stranger in a group.
            if (
                name is None
                and not integer(mine)
                and isinstance(pushed, str)
                and pushed.isprintable()
            ):
                name = pushed or None
        return Message(
            time=apple_moment(time),
            sender=sender,
            name=name,
            kind=kind,
            text=words,
            media=media,
            id=text(key) or None,
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


def _answered(metadata: Any) -> str:
    if not isinstance(metadata, bytes):
        return ""
    try:
        return text(fields(metadata).get(_STANZA))
    except ValueError:  # other software writes other things there
        return ""
