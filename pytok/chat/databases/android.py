"""Messages from the rows of Android's msgstore.db and the details of each row."""

from collections.abc import Container, Iterator, Mapping

from pytok.chat.databases import codes
from pytok.chat.databases.android_rows import Row, Rows
from pytok.chat.databases.details import Details
from pytok.chat.databases.opening import Tables
from pytok.chat.databases.people import UNKNOWN, account
from pytok.chat.databases.values import android_time, column
from pytok.chat.record import Kind, Message


class Android:
    """A msgstore.db."""

    format = "WhatsApp database"

    def __init__(self, tables: Tables, contacts: Mapping[str, str]) -> None:
        self._source = tables.path.name
        self._rows = Rows(tables, contacts)
        self._people = self._rows.people
        self.chats = self._people.chat_names(self._rows.chats(), self._rows.subjects)
        """Identity of each chat to its name."""
        self._details = Details(tables, self._rows.jids)
        self._call_texts = {call.row: call.text for call in self._rows.calls}
        self._key_of_row: dict[int, str] = {}
        self._new_keys: dict[str, str] = {}

    @staticmethod
    def matches(tables: Tables) -> bool:
        """Return whether *tables* are those of a msgstore.db."""
        return tables.has("message", "chat_row_id") or tables.has("messages", "key_remote_jid")

    @property
    def missing(self) -> list[str]:
        """Information that a file of this version does not have."""
        return self._details.missing

    @property
    def unreadable(self) -> list[str]:
        """Invalid rows found so far: table, row and reason."""
        return [*self._rows.unreadable, *self._details.unreadable]

    def messages(self, wanted: Container[str]) -> Iterator[tuple[str, int, Message | None]]:
        """Yield (identity of the chat, sort key among equal times, message).

        A message in both tables, by chat, side and `key_id`, is read from the newer one. The
        message is None if its chat is not in *wanted*.
        """
        seen = set()
        calls: set[tuple[str, int]] = set()
        for row in self._rows.messages():
            identity = (row.chat, row.mine, row.key)
            if row.key and identity in seen:
                continue
            seen.add(identity)
            if row.table == "message":
                self._key_of_row[row.row] = row.key
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
        # Details of a row of `messages` are valid only if `message` has the same message, or none,
        # under that row number; -1 has no details.
        detail_row = row.row if self._key_of_row.get(row.row, row.key) == row.key else -1
        details = self._details
        kind = self._kind(row, detail_row)
        file, caption = details.media.get(detail_row, (row.media, ""))
        text = row.text or caption
        media = None
        if kind == "media":
            media = codes.ANDROID_MEDIA.get(row.code, "media")
            # A contact card's "file name" is the contact's name.
            if file and not media.startswith("contact"):
                media = file
        elif kind == "system":
            text = self._system_text(row, detail_row)
        elif kind == "call":
            text = self._call_text(detail_row)
        elif kind == "poll":
            text = codes.poll(text, details.options.get(detail_row, []))
        elif kind == "location":
            location = details.locations.get(detail_row, row.location)
            text = "\n".join(filter(None, (text, location)))
        if original := details.edited.get(detail_row):
            self._new_keys[original] = row.key
        reply = details.quoted.get(detail_row) or row.reply
        sender, name = (None, None) if kind == "system" else self._author(row.mine, row)
        return Message(
            time=column("timestamp", android_time, row.time),
            sender=sender,
            name=name,
            kind=kind,
            text=text,
            edited=detail_row in details.edited or row.version == codes.EDITED,
            media=media,
            id=row.key or None,
            # Editing gives a message a new key, while answers keep its original key.
            reply_to=self._new_keys.get(reply, reply) or None,
            reactions=tuple(details.reactions.get(detail_row, ())),
            chat=self.chats[row.chat],
            source=self._source,
            line=row.row,
        )

    def _kind(self, row: Row, detail_row: int) -> Kind:
        if detail_row in self._details.revoked or row.version in codes.REVOKED:
            return "deleted"
        kind = codes.ANDROID_KINDS.get(row.code)
        if row.status == codes.SYSTEM and kind != "call":
            return "system"
        if kind is not None:
            return kind
        if detail_row in self._details.media:
            return "media"
        return "text" if row.text else "system"

    def _author(self, mine: bool, row: Row) -> tuple[str, str | None]:
        """Return (sender, name) of a message that is not a system message."""
        return (self._people.own, None) if mine else self._person(row.sender or row.chat)

    def _person(self, identity: str) -> tuple[str, str | None]:
        if identity.endswith("@g.us") or "@" not in identity:
            return UNKNOWN, None
        return account(identity), self._people.name(identity)

    def _system_text(self, row: Row, detail_row: int) -> str:
        action = self._details.actions.get(detail_row, row.action)
        phrase = codes.ACTIONS.get(action)
        if phrase is None:
            return row.text or (
                f"system event {action}" if action else f"message of type {row.code}"
            )
        sender, name = self._author(row.mine, row)
        people = self._details.participants.get(detail_row, [])
        objects = ", ".join(self._people.name(each) or account(each) for each in people)
        event = f"{name or sender} {phrase} {objects}".strip()
        return f"{event}: {row.text}" if row.text else event

    def _call_text(self, detail_row: int) -> str:
        logged = self._call_texts.get(self._details.calls.get(detail_row, -1))
        return logged or codes.call(video=bool(self._details.missed.get(detail_row)), seconds=None)

    def _calls(
        self, wanted: Container[str], covered: Container[tuple[str, int]]
    ) -> Iterator[tuple[str, int, Message | None]]:
        """Yield the logged calls without a message: not linked, and none within a minute.

        *covered* has the chat and minute of each call that has a message.
        """
        linked = set(self._details.calls.values())
        for call in self._rows.calls:
            try:
                time = android_time(call.time)
            except ValueError as error:
                self._rows.unreadable.append(f"call_log, row {call.row}: {error}")
                continue
            minute = int(time.timestamp()) // 60
            if call.row in linked or any(
                (call.chat, near) in covered for near in (minute - 1, minute, minute + 1)
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
                    text=call.text,
                    id=call.key or None,
                    chat=self.chats[call.chat],
                    source=self._source,
                    line=call.row,
                ),
            )
