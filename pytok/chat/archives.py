"""Reading of the files in a zip archive that is not trusted: nothing is unpacked to disk.

Files are read into memory, each after its declared size is checked.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytok.errors import ChatError

MAX_SIZE = 1 << 28
"""Maximum size of a text in bytes: a quarter of a GiB, about five million messages."""

MAX_RATIO = 50
"""Maximum compression ratio of a text; chats have 3 to 10, a zip bomb up to 1,000."""

HARMLESS_SIZE = 1 << 24
"""Size in bytes up to which any compression ratio is accepted."""

MAX_TEXT_SIZE = 1 << 27
"""Maximum size in bytes of a text that is neither JSON nor a page, some three million messages: in
memory a message needs a multiple of its line."""

MAX_FILES = 200_000


@dataclass(frozen=True)
class Member:
    """One file in a zip."""

    name: str
    """Its path in the zip."""
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    zip_name: str

    def head(self, size: int) -> bytes:
        """Return the first *size* bytes; none of an encrypted file. Raises ChatError."""
        if self.info.flag_bits & 1:
            return b""
        with _complete(self.zip_name), self.archive.open(self.info) as file:
            return file.read(size)

    def read(self) -> bytes:
        """Return all bytes. Raises ChatError for an encrypted, damaged or malicious file."""
        _check_encryption(self.info, self.zip_name)
        # The archive is untrusted, so the declared size is checked before anything is decompressed.
        size, ratio = self.info.file_size, self.info.file_size / max(1, self.info.compress_size)
        if size > MAX_SIZE or (size > HARMLESS_SIZE and ratio > MAX_RATIO):
            raise ChatError(
                f"{self.zip_name}: {self.name} would unpack to {size:,} bytes, {ratio:,.0f} times "
                "its size in the zip; no chat does, so the zip is rejected"
            )
        with _complete(self.zip_name):
            return self.archive.read(self.info)


def is_archive(path: Path) -> bool:
    """Return whether *path* is a zip, by its first bytes."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


@contextmanager
def open_archive(path: Path) -> Iterator[list[Member]]:
    """Yield the files in the zip at *path*. Raises ChatError if it is damaged or malicious."""
    with _complete(path.name):
        archive = zipfile.ZipFile(path)
    with archive:
        # A damaged zip can have a file without a name, for which `is_dir` fails.
        named = [each for each in archive.infolist() if each.filename]
        files = [each for each in named if not each.is_dir()]
        _check_names(files, path.name)
        if files and all(each.flag_bits & 1 for each in files):
            _check_encryption(files[0], path.name)
        yield [Member(each.filename, archive, each, path.name) for each in files]


@contextmanager
def _complete(name: str) -> Iterator[None]:
    """Raise ChatError for what `zipfile` raises of the damaged zip *name*."""
    try:
        yield
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError,
        OSError,
    ) as error:  # fmt: skip
        if isinstance(error, OSError) and error.filename is not None:  # the zip cannot be opened
            raise
        raise ChatError(f"{name}: a damaged zip ({error}); copy it from the phone again") from None


def _check_encryption(file: zipfile.ZipInfo, name: str) -> None:
    if file.flag_bits & 1:
        raise ChatError(f"{name}: {file.filename} is encrypted; unpack it with its password first")


def _check_names(files: Sequence[zipfile.ZipInfo], name: str) -> None:
    if len(files) > MAX_FILES:
        raise ChatError(f"{name}: {len(files):,} files; an export has at most {MAX_FILES:,}")
    for file in files:
        inside = PurePosixPath(file.orig_filename.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts or re.match("[A-Za-z]:", str(inside)):
            raise ChatError(
                f"{name}: {file.orig_filename!r} points out of the zip; no app exports such a "
                "path, so the zip is rejected"
            )
