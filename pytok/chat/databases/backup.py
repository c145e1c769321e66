"""Decryption of WhatsApp's backups, .crypt12, .crypt14 and .crypt15, with the user's own key.

A backup is a SQLite file, compressed with zlib and encrypted with AES-256-GCM with an IV of 16
bytes. The formats differ in their framing (sizes in bytes)::

    crypt12   version 2 | key version 1 | salt 32 | id 16 | IV 16 | text | tag 16 | MD5 16 | 4
    crypt14   length 1 | [1] | header: .2 = (.3 salt, .4 id, .5 IV) | text | tag 16 | [MD5 16]
    crypt15   length 1 | [1] | header: .3 = (.1 IV)                 | text | tag 16 | [MD5 16]

.n is field n of a protobuf message. The byte 1 is present if the backup lists features. The MD5
covers everything before it, and is missing in backups of several files. `key` (crypt12, crypt14) is
a Java array of 131 bytes: version 2, key version 1, salt 32, id 16, SHA-256 of the id 32, zeros 16,
AES key 32. `encrypted_backup.key`, or the 64 digits that WhatsApp displays (crypt15), is a root key
of 32 bytes; HKDF-SHA256 with the info "backup encryption" derives the AES key from it.

Source of the formats: ElDavoo's wa-crypt-tools. The ciphers are those of `cryptography`.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytok.chat.databases.opening import MAGIC
from pytok.chat.databases.protobuf import parse_fields
from pytok.errors import ChatError

_JAVA_ARRAY = bytes.fromhex("aced0005757200025b42acf317f8060854e0020000787000")
"""First bytes of a serialized Java `byte[]`; three bytes of its length follow."""

_DIGEST = 16
_MIN_SIZE = 100  # bytes: the smallest header, tag and digest

_KNOWN_OFFSETS = ((67, 191), (67, 190), (66, 99), (67, 193), (67, 194), (67, 158), (67, 196))
"""Offsets (IV, text) in known crypt14 backups, for headers that are not a protobuf message."""

_MAX_RATIO = 100
"""Maximum size of a database relative to its backup; typically below 10, nearly empty below 30."""


@dataclass(frozen=True)
class Key:
    """A key for backups."""

    secret: bytes
    """AES key of crypt12 and crypt14, or root key of crypt15: 32 bytes."""
    salt: bytes | None
    """Salt of the server, which crypt12 and crypt14 backups repeat; None for a root key."""
    description: str
    """Name of the key in errors: its file, or that it was given as digits."""


def read_key(given: str) -> Key:
    """Return the key in the file *given*, or *given* itself if it is 64 hexadecimal digits.

    The file is one of WhatsApp (`key`, `encrypted_backup.key`), or contains the digits as text.
    """
    digits = _parse_hexadecimal(given)
    if digits is not None:
        return Key(digits, None, "the key of 64 digits")
    path = Path(given)
    try:
        with path.open("rb") as file:
            data = file.read(1024)
    except OSError as error:
        raise ChatError(
            f"the key {given!r:.80} is neither 64 hexadecimal digits nor a readable file:"
            f" {error.strerror or error}"
        ) from None
    if data.startswith(_JAVA_ARRAY):
        data = data[len(_JAVA_ARRAY) + 3 :]
    if len(data) == 131:
        return Key(data[99:], data[3:35], given)
    if len(data) == 32:
        return Key(data, None, given)
    digits = _parse_hexadecimal(data.decode("ascii", "replace"))
    if digits is not None:
        return Key(digits, None, given)
    raise ChatError(
        f"{given} is not a key file of WhatsApp: it must have 158 bytes (crypt12, crypt14), 59"
        " bytes (crypt15), or 64 hexadecimal digits (crypt15)"
    )


def _parse_hexadecimal(text: str) -> bytes | None:
    """Return the bytes of 64 digits in groups of any size, or None."""
    digits = "".join(text.split()).replace("-", "").replace(":", "")
    if len(digits) != 64:
        return None
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None


@dataclass(frozen=True)
class _Layout:
    """Format and offsets of a backup."""

    crypt: int
    """Version of the format: 12, 14 or 15."""
    iv: bytes
    start: int
    """Offset of the encrypted text."""
    salt: bytes | None = None
    footer: int = _DIGEST
    """Bytes after the tag."""


def is_backup(head: bytes, name: str) -> bool:
    """Return whether a file with the first kilobyte *head* is an encrypted backup."""
    return not head.startswith(MAGIC) and (
        is_backup_name(name) or next(_layouts(head), None) is not None
    )


def is_backup_name(name: str) -> bool:
    """Return whether a file of that *name* is an encrypted backup."""
    return name.lower().endswith((".crypt12", ".crypt14", ".crypt15"))


def decrypt(path: Path, key: Key) -> bytes:
    """Return the database in the backup *path*.

    Raises ChatError. The error distinguishes a wrong key from a damaged file where the format
    allows it: a different salt means another key, a different digest means damage. A crypt15 backup
    has no salt, and a backup of several files has no digest.
    """
    data = path.read_bytes()
    if len(data) < _MIN_SIZE:
        raise ChatError(f"{path} is cut off: {len(data)} bytes, too few for a backup")
    layouts = list(_layouts(data)) or list(_fallbacks(data, path.name))
    if not layouts:
        raise ChatError(f"{path} is not a backup of WhatsApp, or its header is damaged")
    crypt, salt = layouts[0].crypt, layouts[0].salt
    if (crypt == 15) != (key.salt is None):
        needed = "64 digits, or encrypted_backup.key" if crypt == 15 else "the phone's file `key`"
        raise ChatError(f"{path} is a crypt{crypt} backup, and {key.description} is of another "
                        f"kind; it needs {needed}")  # fmt: skip
    if salt is not None and salt != key.salt:
        raise ChatError(f"{path} was encrypted with another key than {key.description}")
    secret = _payload_key(key.secret) if crypt == 15 else key.secret
    for layout in layouts:
        # The digest is optional, so the tag may also be at the end of the file.
        for footer in dict.fromkeys((layout.footer, 0)):
            packed = _decrypt(secret, layout.iv, data[layout.start : len(data) - footer])
            if packed is not None:
                return _decompress(packed, path)
    raise ChatError(f"{path}: {_explain_failure(data, layouts[0], key)}")


def _explain_failure(data: bytes, layout: _Layout, key: Key) -> str:
    covered = len(data) - layout.footer
    digest = hashlib.md5(data[:covered], usedforsecurity=False).digest()
    if digest == data[covered : covered + _DIGEST]:
        return f"the file is intact, and was encrypted with another key than {key.description}"
    if layout.salt is not None:
        return "the file is damaged or cut off (the key is correct); copy it from the phone again"
    return (
        "the file is damaged or cut off, and the key may be wrong: the digest does not match, and"
        f" {key.description} does not decrypt it; copy it from the phone again"
    )


def _layouts(data: bytes) -> Iterator[_Layout]:
    """Yield the possible layouts of *data* according to its header."""
    if len(data) < _MIN_SIZE:
        return
    # .crypt12 has fixed offsets: a version, the server salt, the IV, then the data.
    if data[:2] == b"\0\1" and 1 <= data[2] <= 9:
        yield _Layout(12, data[51:67], 67, data[3:35], footer=20)
        return
    # Later ones start with the length of a protobuf header; some have a flag byte after it, which
    # can also be the first byte of the header, so both are tried.
    for start in (2, 1) if data[1:2] == b"\1" else (1,):
        end = start + data[0]
        if len(data) < end:
            continue
        try:
            header = parse_fields(data[start:end])
            old, new = (header.get(number) for number in (2, 3))
            if isinstance(new, bytes) and isinstance(iv := parse_fields(new).get(1), bytes):
                layout = _Layout(15, iv, end)
            elif isinstance(old, bytes):
                inner = parse_fields(old)
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
    """Yield the layouts of known backups with the suffix of *name*."""
    if name.lower().endswith(".crypt14"):
        for iv, start in _KNOWN_OFFSETS:
            yield _Layout(14, data[iv : iv + 16], start)
    elif name.lower().endswith(".crypt15"):
        for start in dict.fromkeys((131, data[0] + 2)):
            yield _Layout(15, data[8:24], start)


def _payload_key(root: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length=32, salt=None, info=b"backup encryption").derive(root)


def _decrypt(secret: bytes, iv: bytes, encrypted: bytes) -> bytes | None:
    """Decrypt *encrypted*, text and tag; return None if the tag does not match."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(secret).decrypt(iv, encrypted, None)
    except InvalidTag:
        return None


def _decompress(packed: bytes, path: Path) -> bytes:
    limit = _MAX_RATIO * len(packed) + (1 << 20)
    if not packed.startswith(MAGIC):  # a few backups are not compressed
        decompressor = zlib.decompressobj()
        try:
            packed = decompressor.decompress(packed, limit)
        except zlib.error as error:
            raise ChatError(f"{path}: the decrypted data is not a zlib stream: {error}") from None
        if not decompressor.eof:
            raise ChatError(
                f"{path}: the decrypted data is cut off, or unpacks to more than {limit:,} bytes"
            )
    if not packed.startswith(MAGIC):
        raise ChatError(f"{path}: the decrypted data is not a SQLite database")
    return packed
