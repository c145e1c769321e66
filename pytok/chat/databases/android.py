"""Android's msgstore.db: its rows, and what is beside them, to messages."""

from collections.abc import Container, Iterator, Mapping

from pytok.chat.databases import codes
from pytok.chat.databases.android_rows import Row, Rows
from pytok.chat.databases.details import Details
from pytok.chat.databases.opening import Tables
from pytok.chat.databases.people import UNKNOWN, account
from pytok.chat.databases.values import moment
from pytok.chat.record import Kind, Message


class Android:
    """One msgstore.db."""

    def __init__(self, tables: Tables, contacts: Mapping[str, str]) -> None:
        self._source = tables.path.name
        self._rows = Rows(tables, contacts)
        self._people = self._rows.people
        self.chats = self._people.chat_names(self._rows.chats(), self._rows.subjects)
        """Identity of each chat to its name."""
        self._details = Details(tables, self._rows.jids)
        self._words_of_calls = {call.row: call.words for call in self._rows.calls}
        self._current: dict[int, str] = {}
        self._originals: dict[str, str] = {}

    @staticmethod
    def made(tables: Tables) -> bool:
        """Whether *tables* are such a file's."""
        return tables.has("message", "chat_row_id") or tables.has("messages", "key_remote_jid")

    @property
    def missing(self) -> list[str]:
        """What a file of this version does not tell."""
        return self._details.missing

    @property
    def unreadable(self) -> list[str]:
        """What could not be read, as far as it was read: table, row and why."""
        return [*self._rows.unreadable, *self._details.unreadable]

    def messages(self, wanted: Container[str]) -> Iterator[tuple[str, int, Message | None]]:
        """(identity of the chat, place among equals in time, message) of each.

        What is in both tables, by chat, side and `key_id`, comes from the newer one. The message
        is None where its chat is not *wanted*.
        """
        seen = set()
        calls: set[tuple[str, int]] = set()
        for row in self._rows.messages():
            mark = (row.chat, row.mine, row.key)
            if row.key and mark in seen:
                continue
            seen.add(mark)
            if row.table == "message":
                self._current[row.row] = row.key
            if row.chat not in wanted:
                yield row.chat, row.order, None
                continue
            try:
                message = self._message(row)
            except ValueError as error:
                self._rows.unreadable.append(f"{row.table}, row {row.row}: {error}")
                continue
            if message.kind == "call":
                calls.add((row.chat, int(message.time.timestamp()) // 60))
            yield row.chat, row.order, message
        yield from self._calls(wanted, calls)

    def _message(self, row: Row) -> Message:
        # The tables beside `message` are of `messages`, too, but only while rows keep their number.
        about = row.row if self._current.get(row.row, row.key) == row.key else -1
        details = self._details
        kind = self._kind(row, about)
        file, caption = details.media.get(about, (row.media, ""))
        words = row.text or caption
        media = None
        if kind == "media":
            media = codes.ANDROID_MEDIA.get(row.code, "media")
            # A contact card's "file name" is the contact's name.
            if file and not media.startswith("contact"):
                media = file
        elif kind == "system":
            words = self._system(row, about)
        elif kind == "call":
            words = self._call(about)
        elif kind == "poll":
            words = codes.poll(words, details.options.get(about, []))
        elif kind == "location":
            words = "\n".join(filter(None, (words, details.places.get(about, row.place))))
        if original := details.edited.get(about):
            self._originals[original] = row.key
        reply = details.quoted.get(about) or row.reply
        sender, name = (None, None) if kind == "system" else self._author(row.mine, row)
        return Message(
            time=moment(row.time),
            sender=sender,
            name=name,
            kind=kind,
            text=words,
            edited=about in details.edited or row.version == codes.EDITED,
            media=media,
            id=row.key or None,
            # An edited message has a new key, while answers name the one that it had.
            reply_to=self._originals.get(reply, reply) or None,
            reactions=tuple(details.reactions.get(about, ())),
            chat=self.chats[row.chat],
            source=self._source,
            line=row.row,
        )

    def _kind(self, row: Row, about: int) -> Kind:
        if about in self._details.revoked or row.version in codes.REVOKED:
            return "deleted"
        kind = codes.ANDROID_KINDS.get(row.code)
        if row.status == codes.SYSTEM and kind != "call":
            return "system"
        if kind is not None:
            return kind
        if about in self._details.media:
            return "media"
        return "text" if row.text else "system"

    def _author(self, mine: bool, row: Row) -> tuple[str, str | None]:
        """(sender, name) of a message that somebody sent."""
        return (self._people.own, None) if mine else self._person(row.sender or row.chat)

    def _person(self, identity: str) -> tuple[str, str | None]:
        if identity.endswith("@g.us") or "@" not in identity:
            return UNKNOWN, None
        return account(identity), self._people.name(identity)

    def _system(self, row: Row, about: int) -> str:
        action = self._details.actions.get(about, row.action)
        said = codes.ACTIONS.get(action)
        if said is None:
            return row.text or (
                f"system event {action}" if action else f"message of type {row.code}"
            )
        sender, name = self._author(row.mine, row)
        people = self._details.participants.get(about, [])
        whom = ", ".join(self._people.name(each) or account(each) for each in people)
        told = f"{name or sender} {said} {whom}".strip()
        return f"{told}: {row.text}" if row.text else told

    def _call(self, about: int) -> str:
        logged = self._words_of_calls.get(self._details.calls.get(about, -1))
        return logged or codes.call(video=bool(self._details.missed.get(about)), seconds=None)

    def _calls(
        self, wanted: Container[str], told: Container[tuple[str, int]]
    ) -> Iterator[tuple[str, int, Message | None]]:
        """Calls that no message tells of: none in their chat is within a minute."""
        linked = set(self._details.calls.values())
        for call in self._rows.calls:
            try:
                time = moment(call.time)
            except ValueError as error:
                self._rows.unreadable.append(f"call_log, row {call.row}: {error}")
                continue
            minute = int(time.timestamp()) // 60
            if call.row in linked or any(
                (call.chat, near) in told for near in (minute - 1, minute, minute + 1)
            ):
                continue
            if call.chat not in wanted:
                yield call.chat, call.row, None
                continue
            sender, name = (
                (self._people.own, None) if call.mine else self._person(call.sender or call.chat)
            )
            yield (
                call.chat,
                call.row,
                Message(
                    time=time,
                    sender=sender,
                    name=name,
                    kind="call",
                    text=call.words,
                    id=call.key or None,
                    chat=self.chats[call.chat],
                    source=self._source,
                    line=call.row,
                ),
            )
