"""Databases and encrypted backups of WhatsApp, written in the layouts of phones."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from pytok.chat.record import Message

ME, GROUP = "Mara", "1"
HIDDEN = 100
"""Between the row of a person's number and that of their hidden identity."""
Rows = list[tuple[object, ...]]
JAVA_ARRAY = bytes.fromhex("aced0005757200025b42acf317f8060854e0020000787000000000")
"""A serialized Java `byte[]`, but for the last byte of its length."""
IV, SALT, SECRET = bytes(range(100, 116)), bytes(range(32)), bytes(range(7, 39))
JIDS = "jid (_id INTEGER PRIMARY KEY, user TEXT, server TEXT, raw_string TEXT)"
MAP = "jid_map (lid_row_id INTEGER PRIMARY KEY, jid_row_id INTEGER)"
CHATS = "chat (_id INTEGER PRIMARY KEY, jid_row_id INTEGER, subject TEXT)"
PROPS = "props (_id INTEGER PRIMARY KEY, key TEXT, value TEXT)"
CONTACTS = "wa_contacts (_id INTEGER PRIMARY KEY, jid TEXT, display_name TEXT)"
CURRENT = (
    "message (_id INTEGER PRIMARY KEY, chat_row_id INTEGER, from_me INTEGER, key_id TEXT,"
    " sender_jid_row_id INTEGER, status INTEGER, timestamp INTEGER, message_type INTEGER,"
    " text_data TEXT, sort_id INTEGER)"
)
LEGACY = (
    "messages (_id INTEGER PRIMARY KEY, key_remote_jid TEXT, key_from_me INTEGER, key_id TEXT,"
    " remote_resource TEXT, status INTEGER, timestamp INTEGER, media_wa_type TEXT, data TEXT)"
)


def msgstore(
    folder: Path, current: Sequence[tuple[int, Message]], legacy: Sequence[tuple[int, Message]]
) -> Path:
    """Write a phone's msgstore.db and wa.db of one group.

    Numbered messages are in the new table, in the old one, or, while the app migrates, in both. In
    the new one every other message of a person has their hidden identity.
    """
    people = sorted({str(message.sender) for _, message in (*current, *legacy)} - {ME})
    rows = {name: number for number, name in enumerate(people, 2)}
    jids = {name: f"43{number}@s.whatsapp.net" for name, number in rows.items()}
    group = f"{GROUP}@g.us"
    users: Rows = [(1, GROUP, "g.us", group)]
    users += [(rows[name], *jids[name].split("@"), jids[name]) for name in people]
    users += [(HIDDEN + rows[n], f"9{rows[n]}", "lid", f"9{rows[n]}@lid") for n in people]

    def sender(number: int, message: Message) -> int:
        row = rows.get(str(message.sender), 0)
        return row + HIDDEN * (number % 2) if row else 0

    new: Rows = [
        (n, 1, m.sender == ME, f"K{n}", sender(n, m), 0, milliseconds(m), 0, m.text, n)
        for n, m in current
    ]
    old: Rows = [
        (
            n,
            group,
            m.sender == ME,
            f"K{n}",
            jids.get(str(m.sender)),
            0,
            milliseconds(m),
            "0",
            m.text,
        )
        for n, m in legacy
    ]
    tables: dict[str, Rows] = {JIDS: users, CHATS: [(1, 1, "Friends")]}
    tables |= {MAP: [(HIDDEN + row, row) for row in rows.values()]}
    tables |= {PROPS: [(1, "user_push_name", ME)]}
    tables |= ({CURRENT: new} if new else {}) | ({LEGACY: old} if old else {})
    database(folder / "wa.db", {CONTACTS: [(rows[n], jids[n], n) for n in people]})
    return database(folder / "msgstore.db", tables)


def milliseconds(message: Message) -> int:
    """Return the time of *message*, which has a zone, since 1970."""
    return int(message.time.timestamp() * 1000)


def database(path: Path, tables: Mapping[str, Rows]) -> Path:
    """Write rows by definition of their table."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for definition, rows in tables.items():
            connection.execute(f"CREATE TABLE {definition}")
            marks = ", ".join("?" * (definition.count(",") + 1))
            connection.executemany(f"INSERT INTO {definition.split()[0]} VALUES ({marks})", rows)
    return path


def field(number: int, value: bytes) -> bytes:
    """Encode bytes as a field of a protobuf message; fewer than 128."""
    return bytes([number << 3 | 2, len(value)]) + value


def backup(path: Path, crypt: int) -> Path:
    """Encrypt a database as WhatsApp does, with its key beside it; return the backup.

    As in backups of phones, the header has 188 bytes (crypt14) or 129 (crypt15), and the IV is at
    offset 67 or 8.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    app = field(4, field(1, bytes(103)))
    if crypt == 14:
        cipher = field(1, b"\0\1") + field(2, b"2") + field(3, SALT) + field(4, bytes(16))
        header, secret = b"\x08\0" + field(2, cipher + field(5, IV)) + app, SECRET
        key, array = "key", b"\0\1\2" + SALT + bytes(64) + SECRET
    else:
        header = b"\x08\1" + field(3, field(1, IV)) + app
        root = hmac.digest(bytes(32), SECRET, "sha256")
        secret = hmac.digest(root, b"backup encryption\x01", "sha256")
        key, array = "encrypted_backup.key", SECRET
    data = bytes([len(header), 1]) + header
    data += AESGCM(secret).encrypt(IV, zlib.compress(path.read_bytes()), None)
    data += hashlib.md5(data, usedforsecurity=False).digest()
    path.with_name(key).write_bytes(JAVA_ARRAY[:-1] + bytes([len(array)]) + array)
    encrypted = path.with_name(f"{path.name}.crypt{crypt}")
    encrypted.write_bytes(data)
    path.unlink()
    return encrypted
