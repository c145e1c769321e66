"""Databases with the schemas of phones, and backups encrypted like those of phones.

The schemas are reduced to what a reader can use. The layouts of backups are described in
pytok/chat/databases/backup.py.
"""

import hashlib
import hmac
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

MESSAGE = (
    "CREATE TABLE message (_id INTEGER PRIMARY KEY AUTOINCREMENT, chat_row_id INTEGER NOT NULL,"
    " from_me INTEGER NOT NULL, key_id TEXT NOT NULL, sender_jid_row_id INTEGER, status INTEGER,"
    " broadcast INTEGER, origination_flags INTEGER, timestamp INTEGER, received_timestamp INTEGER,"
    " message_type INTEGER, text_data TEXT, starred INTEGER, lookup_tables INTEGER,"
    " sort_id INTEGER NOT NULL DEFAULT 0)"
)
MESSAGES = (
    "CREATE TABLE messages (_id INTEGER PRIMARY KEY AUTOINCREMENT, key_remote_jid TEXT NOT NULL,"
    " key_from_me INTEGER, key_id TEXT NOT NULL, status INTEGER, needs_push INTEGER, data TEXT,"
    " timestamp INTEGER, media_url TEXT, media_mime_type TEXT, media_wa_type TEXT,"
    " media_size INTEGER, media_name TEXT, media_caption TEXT, latitude REAL, longitude REAL,"
    " remote_resource TEXT, received_timestamp INTEGER, quoted_row_id INTEGER,"
    " edit_version INTEGER, starred INTEGER)"
)
DETAILS = (
    "CREATE TABLE chat (_id INTEGER PRIMARY KEY AUTOINCREMENT, jid_row_id INTEGER UNIQUE,"
    " hidden INTEGER, subject TEXT, sort_timestamp INTEGER)",
    "CREATE TABLE jid (_id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL,"
    " server TEXT NOT NULL, agent INTEGER, device INTEGER, type INTEGER, raw_string TEXT)",
    "CREATE TABLE jid_map (lid_row_id INTEGER PRIMARY KEY NOT NULL, jid_row_id INTEGER NOT NULL,"
    " sort_id INTEGER)",
    "CREATE TABLE lid_display_name (lid_row_id INTEGER PRIMARY KEY NOT NULL, display_name TEXT,"
    " username TEXT)",
    "CREATE TABLE props (_id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE, value TEXT)",
    "CREATE TABLE message_media (message_row_id INTEGER PRIMARY KEY, chat_row_id INTEGER,"
    " file_path TEXT, mime_type TEXT, media_name TEXT, media_caption TEXT)",
    "CREATE TABLE message_quoted (message_row_id INTEGER PRIMARY KEY, key_id TEXT, text_data TEXT)",
    "CREATE TABLE messages_quotes (_id INTEGER PRIMARY KEY, key_id TEXT, data TEXT)",
    "CREATE TABLE message_system (message_row_id INTEGER PRIMARY KEY, action_type INTEGER)",
    "CREATE TABLE message_system_chat_participant (message_row_id INTEGER,"
    " user_jid_row_id INTEGER)",
    "CREATE TABLE message_add_on (_id INTEGER PRIMARY KEY AUTOINCREMENT, chat_row_id INTEGER,"
    " from_me INTEGER, key_id TEXT, sender_jid_row_id INTEGER, parent_message_row_id INTEGER,"
    " timestamp INTEGER, message_add_on_type INTEGER)",
    "CREATE TABLE message_add_on_reaction (message_add_on_row_id INTEGER PRIMARY KEY,"
    " reaction TEXT, sender_timestamp INTEGER)",
    "CREATE TABLE message_revoked (message_row_id INTEGER PRIMARY KEY, revoked_key_id TEXT)",
    "CREATE TABLE message_edit_info (message_row_id INTEGER PRIMARY KEY, original_key_id TEXT)",
    "CREATE TABLE message_location (message_row_id INTEGER PRIMARY KEY, latitude REAL,"
    " longitude REAL, place_name TEXT, place_address TEXT, url TEXT)",
    "CREATE TABLE message_poll_option (_id INTEGER PRIMARY KEY, message_row_id INTEGER,"
    " option_name TEXT, vote_total INTEGER)",
    "CREATE TABLE missed_call_logs (_id INTEGER PRIMARY KEY, message_row_id INTEGER,"
    " video_call INTEGER)",
    "CREATE TABLE message_call_log (message_row_id INTEGER, call_log_row_id INTEGER)",
    "CREATE TABLE call_log (_id INTEGER PRIMARY KEY, jid_row_id INTEGER, from_me INTEGER,"
    " call_id TEXT, timestamp INTEGER, video_call INTEGER, duration INTEGER, call_result INTEGER,"
    " group_jid_row_id INTEGER NOT NULL DEFAULT 0)",
)
IPHONE = (
    "CREATE TABLE ZWAMESSAGE (Z_PK INTEGER PRIMARY KEY, ZISFROMME INTEGER, ZMESSAGETYPE INTEGER,"
    " ZCHATSESSION INTEGER, ZGROUPMEMBER INTEGER, ZMEDIAITEM INTEGER, ZMESSAGEDATE TIMESTAMP,"
    " ZFROMJID VARCHAR, ZPUSHNAME VARCHAR, ZSTANZAID VARCHAR, ZTEXT VARCHAR, ZSORT INTEGER)",
    "CREATE TABLE ZWACHATSESSION (Z_PK INTEGER PRIMARY KEY, ZCONTACTJID VARCHAR,"
    " ZPARTNERNAME VARCHAR, ZGROUPINFO INTEGER, ZSESSIONTYPE INTEGER)",
    "CREATE TABLE ZWAGROUPMEMBER (Z_PK INTEGER PRIMARY KEY, ZCHATSESSION INTEGER,"
    " ZMEMBERJID VARCHAR, ZCONTACTNAME VARCHAR, ZFIRSTNAME VARCHAR)",
    "CREATE TABLE ZWAMEDIAITEM (Z_PK INTEGER PRIMARY KEY, ZMESSAGE INTEGER, ZMEDIALOCALPATH"
    " VARCHAR, ZTITLE VARCHAR, ZLATITUDE FLOAT, ZLONGITUDE FLOAT, ZMETADATA BLOB)",
    "CREATE TABLE ZWAPROFILEPUSHNAME (Z_PK INTEGER PRIMARY KEY, ZJID VARCHAR, ZPUSHNAME VARCHAR)",
)
CURRENT = (MESSAGE, *DETAILS)
LEGACY = (MESSAGES, *DETAILS)
MIXED = (MESSAGE, MESSAGES, *DETAILS)

NOON = 1_700_000_000_000
"""2023-11-14 22:13:20 UTC, in milliseconds."""

Record = Mapping[str, Any]


def database(
    path: Path, schema: Iterable[str], rows: Mapping[str, Sequence[Record]], *more: str
) -> Path:
    """Write a database with *rows* by table, then execute the statements *more*."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        for statement in schema:
            connection.execute(statement)
        for table, records in rows.items():
            for record in records:
                columns = ", ".join(record)
                marks = ", ".join("?" for _ in record)
                connection.execute(
                    f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(record.values())
                )
        for statement in more:
            connection.execute(statement)
    return path


PEOPLE: dict[str, list[Record]] = {
    "jid": [
        {"_id": 1, "user": "431", "server": "s.whatsapp.net", "raw_string": "431@s.whatsapp.net"},
        {"_id": 2, "user": "432", "server": "s.whatsapp.net", "raw_string": "432@s.whatsapp.net"},
        {"_id": 3, "user": "99-1", "server": "g.us", "raw_string": "99-1@g.us"},
        {"_id": 4, "user": "777", "server": "lid", "raw_string": "777@lid"},
        {"_id": 5, "user": "888", "server": "lid", "raw_string": "888@lid"},
    ],
    "chat": [
        {"_id": 10, "jid_row_id": 1},
        {"_id": 11, "jid_row_id": 3, "subject": "Friends"},
        {"_id": 12, "jid_row_id": 4},
    ],
    "jid_map": [{"lid_row_id": 4, "jid_row_id": 1}],
}
"""+431 with the hidden identity 777; +432; the group Friends; 888, whose number is unknown."""


def message(row: int, text: str | None = None, **columns: Any) -> dict[str, Any]:
    """A row of `message`: from +431 in their chat, a minute after the previous row."""
    return {
        "_id": row,
        "chat_row_id": 10,
        "from_me": 0,
        "key_id": f"KEY{row}",
        "sender_jid_row_id": 0,
        "status": 0,
        "timestamp": NOON + 60_000 * row,
        "message_type": 0,
        "text_data": text,
        "sort_id": row,
        **columns,
    }


def old_message(row: int, text: str | None = None, **columns: Any) -> dict[str, Any]:
    """The same as a row of `messages`."""
    return {
        "_id": row,
        "key_remote_jid": "431@s.whatsapp.net",
        "key_from_me": 0,
        "key_id": f"KEY{row}",
        "status": 0,
        "timestamp": NOON + 60_000 * row,
        "media_wa_type": "0",
        "data": text,
        **columns,
    }


SALT = bytes(range(32))
IV = bytes(range(100, 116))
_JAVA_ARRAY = bytes.fromhex("aced0005757200025b42acf317f8060854e0020000787000000000")


def key_file(path: Path, secret: bytes, salt: bytes = SALT) -> Path:
    """The phone's `key`, for crypt12 and crypt14."""
    owner = bytes(16)
    array = b"\0\1\2" + salt + owner + hashlib.sha256(owner).digest() + bytes(16) + secret
    path.write_bytes(_JAVA_ARRAY[:-1] + bytes([len(array)]) + array)
    return path


def root_key_file(path: Path, root: bytes) -> Path:
    """`encrypted_backup.key`, for crypt15."""
    path.write_bytes(_JAVA_ARRAY[:-1] + bytes([len(root)]) + root)
    return path


def payload_key(root: bytes) -> bytes:
    """The AES key of a crypt15 backup, derived as in the app by two rounds of HMAC."""
    inner = hmac.digest(bytes(32), root, "sha256")
    return hmac.digest(inner, b"backup encryption\x01", "sha256")


def field(number: int, value: bytes) -> bytes:
    """Encode a protobuf field of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(value)]) + value


def encrypt(
    database: bytes,
    crypt: int,
    secret: bytes,
    *,
    digest: bool = True,
    features: bool = True,
    packed: bytes | None = None,
) -> bytes:
    """Encrypt *database*, or *packed* data, as a backup; *secret* is the AES or the root key."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if crypt == 12:
        head = b"\0\1\2" + SALT + bytes(16) + IV
    else:
        if crypt == 14:
            cipher = field(1, b"\0\1") + field(2, b"2") + field(3, SALT)
            header = b"\x08\0" + field(2, cipher + field(4, bytes(16)) + field(5, IV))
        else:
            header = b"\x08\1" + field(3, field(1, IV))
        header += field(4, field(1, b"2.24.1.1") + field(2, b"34"))
        head = bytes([len(header)]) + (b"\1" if features else b"") + header
    aes = AESGCM(payload_key(secret) if crypt == 15 else secret)
    backup = head + aes.encrypt(IV, packed or zlib.compress(database), None)
    if digest:
        backup += hashlib.md5(backup).digest()
    return backup + (b"--34" if crypt == 12 else b"")
