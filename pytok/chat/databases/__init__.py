"""WhatsApp's own databases, as they come from a phone or out of an encrypted backup, to messages.

    read_database("msgstore.db.crypt15", key="backup.key", names="wa.db", chat="Family").messages

Android's msgstore.db (both generations of its tables, or a mixture) and the iPhone's
ChatStorage.sqlite; `.crypt12`, `.crypt14` and `.crypt15` with the user's own key. Sources are only
read (`opening`), by what their tables and columns are, since every version has others: what a file
lacks is said in `Reading.missing`, and what could not be read in `Reading.unreadable`.

    opening       a SQLite file in which nothing can run, and of which nothing is changed
    backup        an encrypted backup to the database in it; `protobuf` reads its header
    people        addresses to people and names of chats; `codes` and `values`: columns to meanings
    android       msgstore.db: `android_rows` its messages, `details` what is beside them
    iphone        ChatStorage.sqlite

Times are in UTC. A sender is a number with its plus, or an address where there is no number; the
phone's owner is what he calls himself (Android), or "me".
"""

import difflib
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytok.chat.databases.android import Android
from pytok.chat.databases.backup import decrypt, is_backup, read_key
from pytok.chat.databases.iphone import IPhone
from pytok.chat.databases.opening import MAGIC, Tables, opened
from pytok.chat.databases.people import contacts
from pytok.chat.record import Message
from pytok.errors import ChatError


@dataclass(frozen=True)
class Chat:
    """One chat of a database."""

    name: str
    messages: int


@dataclass(frozen=True)
class Reading:
    """What a database holds."""

    messages: list[Message]
    """In the order of their times."""
    chats: list[Chat]
    """All chats, asked for or not, those with most messages first."""
    missing: list[str]
    """What a file of this version does not tell: "reactions" ..."""
    unreadable: list[str]
    """Rows that hold something else than they should: the table, the row, and why."""


def is_database(path: str | os.PathLike[str]) -> bool:
    """Whether *path* is a SQLite file or an encrypted backup, by its beginning (or its name)."""
    with Path(path).open("rb") as file:
        head = file.read(1024)
    return head.startswith(MAGIC) or is_backup(head, Path(path).name)


def read_database(
    path: str | os.PathLike[str],
    *,
    names: str | os.PathLike[str] | None = None,
    key: str | None = None,
    chat: str | None = None,
) -> Reading:
    """All messages in the database *path*, or those of one *chat* by its name.

    *names* is a database of contacts (Android's wa.db, the iPhone's ContactsV2.sqlite), and *key*
    the file of a key, or its 64 digits; both databases may be backups that it opens. Raises
    ChatError that names the file, for what is damaged, no database of WhatsApp's, without or of
    another key, and for a chat that is not there.
    """
    known: dict[str, str] = {}
    if names is not None:
        with _tables(Path(names), key) as tables:
            known = contacts(tables)
    with _tables(Path(path), key) as tables:
        for kind in (Android, IPhone):
            if kind.made(tables):
                return _read(kind(tables, known), Path(path), chat)
    raise ChatError(
        f"{path} is a database, but not WhatsApp's messages (no table message, messages or"
        " ZWAMESSAGE); they are in msgstore.db (Android) or ChatStorage.sqlite (iPhone)"
    )


def _read(source: Android | IPhone, path: Path, chat: str | None) -> Reading:
    wanted = set(source.chats) if chat is None else _named(source.chats, chat, path)
    counts: Counter[str] = Counter()
    placed = []
    for identity, place, message in source.messages(wanted):
        counts[identity] += 1
        if message is not None:
            placed.append((message.time, place, message))
    placed.sort(key=lambda each: each[:2])
    return Reading(
        [message for _, _, message in placed],
        [Chat(source.chats[identity], count) for identity, count in counts.most_common()],
        source.missing,
        source.unreadable,
    )


def _named(chats: dict[str, str], chat: str, path: Path) -> set[str]:
    """The identity of the chat of that name; the case of letters matters only if it has to."""
    same = [each for each, name in chats.items() if name == chat]
    same = same or [each for each, name in chats.items() if name.casefold() == chat.casefold()]
    if len(same) == 1:
        return set(same)
    if same:
        raise ChatError(f"{path} has {len(same)} chats called {chat!r}, in different letters")
    near = difflib.get_close_matches(chat, chats.values(), n=3, cutoff=0.5)
    hint = f"; it has {', '.join(map(repr, near))}" if near else ""
    raise ChatError(f"{path} has no chat {chat!r}{hint} (--list-chats tells all)")


@contextmanager
def _tables(path: Path, key: str | None) -> Iterator[Tables]:
    with path.open("rb") as file:
        head = file.read(1024)
    if not is_backup(head, path.name):
        with opened(path) as tables:
            yield tables
        return
    if key is None:
        raise ChatError(
            f"{path} is encrypted: give the file of its key, or its 64 digits, with --key"
        )
    with opened(path, decrypt(path, read_key(key))) as tables:
        yield tables
