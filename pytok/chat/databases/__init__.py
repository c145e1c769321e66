"""Messages from databases of WhatsApp and iMessage, as found on a phone or in a backup.

::

    read_database("msgstore.db.crypt15", key="backup.key", names="wa.db", chat="Family").messages

Supported are Android's msgstore.db (both generations of its tables, or a mixture), the iPhone's
ChatStorage.sqlite, the backups `.crypt12`, `.crypt14` and `.crypt15` with the user's own key, and
iMessage's chat.db.
Files are opened read-only (`opening`). The schema differs between versions of the app, so a file is
read by the tables and columns that it has: missing information is listed in
`DatabaseContents.missing`, invalid rows in `DatabaseContents.unreadable`.

::

    opening       safe, read-only access to a SQLite file
    backup        decryption of backups; protobuf parses their headers
    people        addresses, people and names of chats; codes and values decode columns
    address_book  names in Apple's contacts
    android       msgstore.db: android_rows reads its messages, details the tables for details
    iphone        ChatStorage.sqlite
    imessage      chat.db; typedstream reads its texts
    phone         the files of a phone side by side; android_backup unpacks them

Times are in UTC. A sender is a number with a plus sign, or an address if the number is unknown. The
owner of the phone is called by the profile name (Android), or "me".
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytok.chat.databases.android import Android
from pytok.chat.databases.backup import decrypt, is_backup, read_key
from pytok.chat.databases.imessage import IMessage
from pytok.chat.databases.iphone import IPhone
from pytok.chat.databases.opening import MAGIC, Tables, open_tables
from pytok.chat.databases.people import contacts
from pytok.chat.record import Message
from pytok.chat.source import Chat, find_chat
from pytok.errors import ChatError

KINDS = (Android, IPhone, IMessage)
"""All kinds of databases of messages."""


@dataclass(frozen=True)
class DatabaseContents:
    """Contents of a database."""

    messages: list[Message]
    """Messages of the requested chats, sorted by time."""
    chats: list[Chat]
    """All chats, in descending order of messages."""
    missing: list[str]
    """Information that a file of this version does not have: "reactions" ..."""
    unreadable: list[str]
    """Rows with invalid values: the table, the row, and the reason."""
    format: str
    """Name of the kind of database."""


def is_database(path: str | os.PathLike[str]) -> bool:
    """Return whether *path* is a SQLite file or an encrypted backup, by its first bytes or name."""
    with Path(path).open("rb") as file:
        head = file.read(1024)
    return head.startswith(MAGIC) or is_backup(head, Path(path).name)


def read_database(
    path: str | os.PathLike[str],
    *,
    names: str | os.PathLike[str] | None = None,
    key: str | None = None,
    chat: str | None = None,
) -> DatabaseContents:
    """Read all messages of the database *path*, or those of the chat named *chat*.

    *names* is a contacts database (Android's wa.db, the iPhone's ContactsV2.sqlite, Apple's address
    book), and *key* the path of a key file, or its 64 digits. Both databases can be backups
    encrypted with that key. Raises ChatError with the name of the file if it is damaged or not a
    database of messages, if the key is missing or wrong, or if the chat does not exist.
    """
    known: dict[str, str] = {}
    if names is not None:
        with _open(Path(names), key) as tables:
            known = contacts(tables)
    with _open(Path(path), key) as tables:
        for kind in KINDS:
            if kind.matches(tables):
                return _read(kind(tables, known), Path(path), chat)
    raise ChatError(
        f"{path} is a database, but not one of messages (no table message, messages or ZWAMESSAGE);"
        " give WhatsApp's msgstore.db (Android) or ChatStorage.sqlite (iPhone), or iMessage's"
        " chat.db"
    )


def _read(source: Android | IPhone | IMessage, path: Path, chat: str | None) -> DatabaseContents:
    wanted = set(source.chats)
    if chat is not None:
        listed = [Chat(name, 0, identity) for identity, name in source.chats.items()]
        found = find_chat(listed, chat, str(path))
        wanted = {each.id for each in (found,) if each.id is not None}
    counts: Counter[str] = Counter()
    sortable = []
    for identity, order, message in source.messages(wanted):
        counts[identity] += 1
        if message is not None:
            sortable.append((message.time, order, message))
    sortable.sort(key=lambda each: each[:2])
    return DatabaseContents(
        [message for _, _, message in sortable],
        [Chat(source.chats[identity], count) for identity, count in counts.most_common()],
        source.missing,
        source.unreadable,
        source.format,
    )


@contextmanager
def _open(path: Path, key: str | None) -> Iterator[Tables]:
    """Open *path*, decrypted with *key* if it is a backup."""
    with path.open("rb") as file:
        head = file.read(1024)
    if not is_backup(head, path.name):
        with open_tables(path) as tables:
            yield tables
        return
    if key is None:
        raise ChatError(f"{path} is encrypted: give its key file, or the 64 digits, with --key")
    with open_tables(path, decrypt(path, read_key(key))) as tables:
        yield tables
