"""Unpacking of the files of WhatsApp from an Android backup, `.ab`, or from a tar of the same.

`adb backup` writes four lines (a magic, the version, whether it is compressed, "none" or "AES-256")
and a tar, compressed with zlib. With a password five lines follow: two salts, the rounds of PBKDF2,
an IV, and the encrypted master key, all in hexadecimal; the tar is then encrypted with AES in CBC
mode. The WhatsApp-Key-Database-Extractor makes such a backup, and a tar of it.

Source of the format: Android's BackupManagerService and Nikolay Elenkov's android-backup-extractor.
"""

import hashlib
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from pytok.errors import ChatError

MAGIC = b"ANDROID BACKUP\n"
_TAR_MAGIC = slice(257, 262)

_WANTED = re.compile(
    r"(?:apps/)?(?P<app>com\.whatsapp(?:\.w4b)?)/(?:db|databases|f|files)/"
    r"(?P<name>(?:msgstore|wa)\.db(?:-wal|-journal)?|key|encrypted_backup\.key)"
)
"""The files that are unpacked: messages, contacts and keys."""

_BLOCK = 1 << 18
_MAX_RATIO = 200
"""Maximum size of the tar relative to the backup; chats and pictures have 1 to 10."""
_HARMLESS_SIZE = 64 << 20  # bytes, which any backup may unpack to
_MAX_HEADER_LINE = 512
_MAX_ROUNDS = 1_000_000
"""Maximum rounds of PBKDF2; Android uses 10,000."""


def is_android_backup(head: bytes) -> bool:
    """Return whether a file with the first bytes *head* is an Android backup or a tar."""
    return head.startswith(MAGIC) or head[_TAR_MAGIC] == b"ustar"


def unpack(path: Path, folder: Path, password: str | None) -> list[Path]:
    """Unpack the databases and keys of WhatsApp in the backup or tar *path* to *folder*.

    Returns their paths. Raises ChatError if there are none, if the backup is damaged or malicious,
    and if it is encrypted and *password* is None or wrong.
    """
    with path.open("rb") as file:
        is_tar = file.read(512)[_TAR_MAGIC] == b"ustar"
        file.seek(0)
        blocks = _plain_blocks(file) if is_tar else _blocks(file, path.name, password)
        limit = max(_HARMLESS_SIZE, _MAX_RATIO * path.stat().st_size)
        try:
            found = list(_extract(_Stream(blocks, limit, path.name), folder))
        except (tarfile.TarError, zlib.error, EOFError) as error:
            raise ChatError(
                f"{path.name} is damaged or cut off ({error}); copy it again, or make it again"
            ) from None
    if not found:
        raise ChatError(
            f"{path.name} has no database of WhatsApp: newer versions of the app are left out of "
            "such backups"
        )
    return found


def _extract(stream: "_Stream", folder: Path) -> Iterator[Path]:
    """Write the files in the tar *stream* that are `_WANTED`, and yield their paths."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
        for member in archive:
            archive.members = []  # tarfile would keep all of them
            match = _WANTED.fullmatch(member.name.removeprefix("./"))
            content = archive.extractfile(member) if match and member.isfile() else None
            if match is None or content is None:
                continue
            target = folder / match["app"] / match["name"]
            target.parent.mkdir(mode=0o700, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
            yield target


class _Stream:
    """The bytes of *blocks*, of which at most *limit* are read."""

    def __init__(self, blocks: Iterator[bytes], limit: int, name: str) -> None:
        self._blocks = blocks
        self._left = limit
        self._limit = limit
        self._name = name
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return *size* bytes, or fewer at the end."""
        parts = [self._rest]
        length = len(self._rest)
        while length < size and (block := next(self._blocks, b"")):
            parts.append(block)
            length += len(block)
        data = b"".join(parts)
        data, self._rest = data[:size], data[size:]
        self._left -= len(data)
        if self._left < 0:
            raise ChatError(
                f"{self._name} would unpack to more than {self._limit:,} bytes; no backup does, so "
                "it is rejected"
            )
        return data


def _plain_blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _blocks(file: IO[bytes], name: str, password: str | None) -> Iterator[bytes]:
    """Yield the tar in the backup *file*."""
    if _line(file) != MAGIC.strip():
        raise ChatError(f"{name} is not an Android backup")
    version, compressed, encryption = _line(file), _line(file), _line(file)
    if version not in (b"1", b"2", b"3", b"4", b"5"):
        raise ChatError(f"{name}: an Android backup of version {version[:20]!r}, which is unknown")
    blocks = _plain_blocks(file)
    if encryption != b"none":
        if encryption != b"AES-256":
            raise ChatError(f"{name}: the encryption {encryption[:20]!r} is unknown")
        if password is None:
            raise ChatError(
                f"{name} is encrypted with the password that was given on the phone: write the "
                "password to a file, and give that file with --key"
            )
        blocks = _decrypted(file, name, password)
    return _decompressed(blocks) if compressed == b"1" else blocks


def _line(file: IO[bytes]) -> bytes:
    return file.readline(_MAX_HEADER_LINE).rstrip(b"\n")


def _decompressed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the data in a zlib stream, in parts of bounded size. Raises zlib.error."""
    decompressor = zlib.decompressobj()
    for block in blocks:
        rest = block
        while rest and not decompressor.eof:
            yield decompressor.decompress(rest, _BLOCK)
            rest = decompressor.unconsumed_tail
    if not decompressor.eof:
        raise zlib.error("the end of the compressed data is missing")


class _Header(NamedTuple):
    """How the master key is encrypted."""

    salt: bytes
    rounds: int
    iv: bytes
    master: bytes


def _read_header(file: IO[bytes], name: str) -> _Header:
    """Read the five lines of an encrypted backup."""
    salt, _, rounds, iv, master = (_line(file) for _ in range(5))
    try:
        count = int(rounds)
        header = _Header(
            bytes.fromhex(salt.decode()), count, bytes.fromhex(iv.decode()),
            bytes.fromhex(master.decode()),
        )  # fmt: skip
        if 1 <= count <= _MAX_ROUNDS and len(header.iv) == 16 and len(header.master) % 16 == 0:
            return header
    except ValueError:  # UnicodeDecodeError is one
        pass
    raise ChatError(f"{name}: the header of the encryption is damaged; copy the backup again")


def _decrypted(file: IO[bytes], name: str, password: str) -> Iterator[bytes]:
    """Yield the decrypted rest of *file*, with the padding at its end."""
    header = _read_header(file, name)
    # Version 1 uses the lower 8 bits of each character, later ones UTF-8; in ASCII both are equal.
    for secret in (password.encode(), password.encode("latin-1", "replace")):
        user_key = hashlib.pbkdf2_hmac("sha1", secret, header.salt, header.rounds, 32)
        opened = _open_master(_decryptor(user_key, header.iv).update(header.master))
        if opened is not None:
            iv, key = opened
            decryptor = _decryptor(key, iv)
            return (decryptor.update(block) for block in _plain_blocks(file))
    raise ChatError(f"{name} was encrypted with another password")


def _open_master(blob: bytes) -> tuple[bytes, bytes] | None:
    """Return IV and key in the decrypted master key, or None: each part follows its length."""
    parts = []
    start = 0
    for length in (16, 32, 32):  # the last is a checksum
        if blob[start : start + 1] != bytes([length]):
            return None
        parts.append(blob[start + 1 : start + 1 + length])
        start += 1 + length
    return (parts[0], parts[1]) if len(parts[2]) == 32 else None


def _decryptor(key: bytes, iv: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    return Cipher(AES(key), CBC(iv)).decryptor()
