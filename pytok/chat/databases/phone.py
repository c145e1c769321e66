"""The files of one phone side by side: messages, contacts and keys, each found by its content.

As the WhatsApp-Key-Database-Extractor leaves them in a folder (`msgstore.db`, `wa.db`, `key`), as
they are in an Android backup, or as the backup of an iPhone has them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytok.chat.databases import KINDS
from pytok.chat.databases.android_backup import is_android_backup
from pytok.chat.databases.backup import is_backup_name, read_key
from pytok.chat.databases.opening import MAGIC, open_tables
from pytok.chat.databases.people import has_contacts
from pytok.errors import ChatError

_OTHER_BACKUPS = ("axolotl", "chatsettings", "commerce", "status", "stickers", "payments")
"""First letters of encrypted databases without messages, which WhatsApp puts beside those with."""

_MAX_KEY_SIZE = 200  # bytes: the longest is a Java array of 158


@dataclass
class Phone:
    """The files of a phone, by what they are."""

    messages: list[Path] = field(default_factory=list)
    """Databases of messages that are not encrypted."""
    backups: list[Path] = field(default_factory=list)
    """Encrypted databases of messages, the newest first."""
    contact_backups: list[Path] = field(default_factory=list)
    """Encrypted databases with names of people."""
    contacts: list[Path] = field(default_factory=list)
    """Databases with names of people."""
    keys: list[Path] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    """Android backups and tars."""
    damaged: list[ChatError] = field(default_factory=list)
    """Why a database could not be opened."""


def is_phone_file(path: Path, head: bytes) -> bool:
    """Return whether *path*, with the first bytes *head*, can be one of the files of a phone."""
    return is_packed_phone_file(path.name, head) or (len(head) <= _MAX_KEY_SIZE and is_key(path))


def is_packed_phone_file(name: str, head: bytes) -> bool:
    """Return whether a file with that *name* and first bytes is a database or a backup."""
    return head.startswith(MAGIC) or is_android_backup(head) or is_backup_name(name)


def is_key(path: Path) -> bool:
    """Return whether *path* is a key file of WhatsApp, or a text of 64 hexadecimal digits."""
    try:
        read_key(str(path))
    except ChatError:
        return False
    return True


def sort_files(paths: Iterable[Path]) -> Phone:
    """Sort *paths* by what they are; logs of databases, which SQLite reads, are none of these."""
    phone = Phone()
    for path in paths:
        with path.open("rb") as file:
            head = file.read(512)
        if head.startswith(MAGIC):
            _sort_database(path, phone)
        elif is_android_backup(head):
            phone.archives.append(path)
        elif is_backup_name(path.name):
            if path.name.startswith("wa."):
                phone.contact_backups.append(path)
            elif not path.name.startswith(_OTHER_BACKUPS):
                phone.backups.append(path)
        elif is_key(path):
            phone.keys.append(path)
    # Dated backups ("msgstore-2024-01-05.1.db.crypt14") are older than the one without a date.
    phone.backups.sort(key=lambda path: path.name, reverse=True)
    phone.backups.sort(key=lambda path: "-20" in path.name)
    return phone


def _sort_database(path: Path, phone: Phone) -> None:
    """Add the database *path* to the messages or contacts of *phone*; others are not needed."""
    try:
        with open_tables(path) as tables:
            if any(kind.matches(tables) for kind in KINDS):
                phone.messages.append(path)
            elif has_contacts(tables):
                phone.contacts.append(path)
    except ChatError as error:
        phone.damaged.append(error)


def fitting_key(backup: Path, keys: Sequence[Path]) -> str | None:
    """Return the path of the first of *keys* of the kind that *backup* needs, or of any kind."""
    needs_root = backup.name.lower().endswith(".crypt15")
    fitting = [key for key in keys if (read_key(str(key)).salt is None) == needs_root]
    return next((str(key) for key in [*fitting, *keys]), None)
