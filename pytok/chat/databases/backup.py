"""WhatsApp's encrypted backups, .crypt12, .crypt14 and .crypt15, with the user's own key.

All are AES-256-GCM with an IV of 16 bytes over zlib over SQLite; they differ in what is around::

    crypt12   version 2 | key version 1 | salt 32 | id 16 | IV 16 | text | tag 16 | MD5 16 | 4
    crypt14   length 1 | [1] | header: .2 = (.3 salt, .4 id, .5 IV) | text | tag 16 | [MD5 16]
    crypt15   length 1 | [1] | header: .3 = (.1 IV)                 | text | tag 16 | [MD5 16]

.n are fields of a protobuf message. The byte 1 is there if the backup lists features; the MD5, of
all before it, is missing in backups of several files. `key` (crypt12, crypt14) is a Java array of
131 bytes: version 2, key version 1, salt 32, id 16, SHA-256 of the id 32, zeros 16, AES key 32.
`encrypted_backup.key`, or the 64 digits that WhatsApp shows (crypt15), is a root key of 32 bytes
from which HKDF-SHA256 with the purpose "backup encryption" makes the AES key.

Source: ElDavoo's wa-crypt-tools describes the formats. Ciphers are those of `cryptography`.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytok.chat.databases.opening import MAGIC
from pytok.chat.databases.protobuf import fields
from pytok.errors import ChatError

_JAVA_ARRAY = bytes.fromhex("aced0005757200025b42acf317f8060854e0020000787000")
"""How a serialised `byte[]` begins; three bytes of its length follow."""

_TAG = _DIGEST = 16
_SHORTEST = 100  # bytes: the smallest header, tag and digest

_OFFSETS = ((67, 191), (67, 190), (66, 99), (67, 193), (67, 194), (67, 158), (67, 196))
"""(IV, text) of crypt14 backups seen, for headers that are no protobuf message."""

_LARGEST_RATIO = 100
"""Of a database to its backup; real ones are below 10, nearly empty ones below 30."""


@dataclass(frozen=True)
class Key:
    """What `read_key` found."""

    secret: bytes
    """The AES key of crypt12 and crypt14, or the root key of crypt15: 32 bytes."""
    salt: bytes | None
    """The server's salt, which crypt12 and crypt14 backups repeat; None for a root key."""
    shown: str
    """What errors call it: the file, or that it was given as digits."""


def read_key(given: str) -> Key:
    """The key in the file *given*, or, if that is 64 hexadecimal digits, those.

    A file may be WhatsApp's own (`key`, `encrypted_backup.key`) or hold the digits as text.
    """
    digits = _hexadecimal(given)
    if digits is not None:
        return Key(digits, None, "the key of 64 digits")
    path = Path(given)
    try:
        with path.open("rb") as file:
            data = file.read(1024)
    except OSError as error:
        raise ChatError(
            f"the key {given!r:.80} is neither 64 hexadecimal digits nor a file that can be read:"
            f" {error.strerror or error}"
        ) from None
    if data.startswith(_JAVA_ARRAY):
        data = data[len(_JAVA_ARRAY) + 3 :]
    if len(data) == 131:
        return Key(data[99:], data[3:35], given)
    if len(data) == 32:
        return Key(data, None, given)
    digits = _hexadecimal(data.decode("ascii", "replace"))
    if digits is not None:
        return Key(digits, None, given)
    raise ChatError(
        f"{given} is no key of WhatsApp's: those are of 158 bytes (crypt12, crypt14), of 59, or 64"
        " hexadecimal digits (crypt15)"
    )


def _hexadecimal(written: str) -> bytes | None:
    """The bytes of 64 digits, however they are grouped."""
    digits = "".join(written.split()).replace("-", "").replace(":", "")
    if len(digits) != 64:
        return None
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None


@dataclass(frozen=True)
class _Layout:
    """Where things are in a backup."""

    crypt: int
    iv: bytes
    begin: int
    salt: bytes | None = None
    footer: int = _DIGEST
    """Bytes after the tag."""


def is_backup(head: bytes, name: str) -> bool:
    """Whether a file that begins with *head* (its first kilobyte) is an encrypted backup."""
    return not head.startswith(MAGIC) and (
        name.lower().endswith((".crypt12", ".crypt14", ".crypt15"))
        or next(_layouts(head), None) is not None
    )


def decrypt(path: Path, key: Key) -> bytes:
    """The database in the backup *path*.

    Raises ChatError saying whether the key is another one or the file is damaged, as far as the
    format tells: a salt that differs is another key, a digest that differs is damage. A crypt15
    backup has no salt, and one of several files no digest.
    """
    data = path.read_bytes()
    if len(data) < _SHORTEST:
        raise ChatError(f"{path} is cut off: {len(data)} bytes are less than any backup has")
    layouts = list(_layouts(data)) or list(_fallbacks(data, path.name))
    if not layouts:
        raise ChatError(f"{path} is no backup of WhatsApp's, or its beginning is damaged")
    crypt, salt = layouts[0].crypt, layouts[0].salt
    if (crypt == 15) != (key.salt is None):
        needed = "64 digits, or encrypted_backup.key" if crypt == 15 else "the phone's file `key`"
        raise ChatError(f"{path} is a crypt{crypt} backup, and {key.shown} is of another kind; "
                        f"it needs {needed}")  # fmt: skip
    if salt is not None and salt != key.salt:
        raise ChatError(f"{path} was encrypted with another key than {key.shown}")
    secret = _payload_key(key.secret) if crypt == 15 else key.secret
    for layout in layouts:
        for footer in dict.fromkeys((layout.footer, 0)):
            packed = _open(secret, layout.iv, data[layout.begin : len(data) - footer])
            if packed is not None:
                return _unpacked(packed, path)
    raise ChatError(f"{path}: {_why(data, layouts[0], key)}")


def _why(data: bytes, layout: _Layout, key: Key) -> str:
    covered = len(data) - layout.footer
    intact = hashlib.md5(data[:covered], usedforsecurity=False).digest()
    if intact == data[covered : covered + _DIGEST]:
        return f"it is whole, and was encrypted with another key than {key.shown}"
    if layout.salt is not None:
        return "it is damaged or cut off (the key is the right one); copy it from the phone again"
    return (
        "it is damaged or cut off, and perhaps of another key, too: its digest does not fit, and"
        f" {key.shown} does not open it; copy it from the phone again"
    )


def _layouts(data: bytes) -> Iterator[_Layout]:
    """How *data* is laid out, by what its beginning says; nothing if it says nothing."""
    if len(data) < _SHORTEST:
        return
    if data[:2] == b"\0\1" and 1 <= data[2] <= 9:
        yield _Layout(12, data[51:67], 67, data[3:35], footer=20)
        return
    for begin in (2, 1) if data[1:2] == b"\1" else (1,):
        end = begin + data[0]
        if len(data) < end:
            continue
        try:
            header = fields(data[begin:end])
            old, new = (header.get(number) for number in (2, 3))
            if isinstance(new, bytes) and isinstance(iv := fields(new).get(1), bytes):
                layout = _Layout(15, iv, end)
            elif isinstance(old, bytes):
                inner = fields(old)
                iv, salt = inner.get(5), inner.get(3)
                if not isinstance(iv, bytes) or not isinstance(salt, bytes):
                    continue
                layout = _Layout(14, iv, end, salt)
            else:
                continue
        except ValueError:
            continue
        if len(layout.iv) == 16:
            yield layout


def _fallbacks(data: bytes, name: str) -> Iterator[_Layout]:
    """Where things were in other backups with such a *name*."""
    if name.lower().endswith(".crypt14"):
        for iv, begin in _OFFSETS:
            yield _Layout(14, data[iv : iv + 16], begin)
    elif name.lower().endswith(".crypt15"):
        for begin in dict.fromkeys((131, data[0] + 2)):
            yield _Layout(15, data[8:24], begin)


def _payload_key(root: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length=32, salt=None, info=b"backup encryption").derive(root)


def _open(secret: bytes, iv: bytes, sealed: bytes) -> bytes | None:
    """What is in *sealed*, text and tag, or None if the tag says that it is not that."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(secret).decrypt(iv, sealed, None)
    except InvalidTag:
        return None


def _unpacked(packed: bytes, path: Path) -> bytes:
    most = _LARGEST_RATIO * len(packed) + (1 << 20)
    if not packed.startswith(MAGIC):  # few backups are not compressed
        unpacker = zlib.decompressobj()
        try:
            packed = unpacker.decompress(packed, most)
        except zlib.error as error:
            raise ChatError(f"{path}: what was decrypted is no zlib stream: {error}") from None
        if not unpacker.eof:
            raise ChatError(
                f"{path}: what was decrypted is cut off, or unpacks to more than {most:,} bytes"
            )
    if not packed.startswith(MAGIC):
        raise ChatError(f"{path}: what was decrypted is not a SQLite database")
    return packed
