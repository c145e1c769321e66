"""The members of tar and zip archives, streaming: nothing is unpacked to disk or held in memory.

Folders have no text. Members whose names, or a folder of them, start with a dot are skipped, as in
folders, and so is what is not a regular file; `Skipped.members` counts both.
"""

import functools
import io
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pytok.blocks import BLOCK_BYTES, Stream
from pytok.corpus.options import Skipped
from pytok.errors import CorpusError

_RECORD = 512
"""Bytes of a header of a tar; one of zeros marks the end."""

_MALFORMED = (struct.error, ValueError, IndexError, OverflowError)
"""Exceptions of tarfile and zipfile for headers that they do not check."""

_MAX_HEADER = 1 << 24
"""Bytes of a header of a tar that is read at once; a hostile one asks for gigabytes."""


def tar_members(stream: Stream, skipped: Skipped) -> Iterator[Stream]:
    """Yield the members of the tar *stream*; each must be read before the next.

    Raises CorpusError, EOFError or OSError for a tar that is damaged or truncated.
    """
    import tarfile

    forward = _Forward(stream)
    try:
        with tarfile.TarFile(fileobj=forward, errors="surrogateescape") as archive:
            while member := archive.next():
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep them all
                irregular = "link" if member.issym() or member.islnk() else "other"
                if member.isdir() or _is_skipped(
                    member.name, "" if member.isfile() else irregular, skipped
                ):
                    continue
                file = archive.extractfile(member)
                assert file is not None
                blocks = _blocks(file, tarfile.TarError, *_MALFORMED)
                name = f"{stream.name}/{member.name}"
                yield Stream(name, blocks, stream.position, stream.on_disk)
    except CorpusError:  # it is a ValueError, too
        raise
    except (tarfile.TarError, RecursionError, *_MALFORMED) as error:
        raise CorpusError(f"{stream.name}: the tar archive cannot be read: {error}") from error
    forward.check_end()


class _Forward(io.RawIOBase):
    """A file that tarfile can read, but in which it can only move forward."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._position = 0
        self._last = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_HEADER:
            raise CorpusError(
                f"{self._stream.name}: a header in the tar archive has {size:,} bytes; no program "
                "writes such a header, so the archive is rejected"
            )
        data = self._stream.read(size)
        self._position += len(data)
        self._last = data
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        ahead = offset if whence == io.SEEK_CUR else offset - self._position
        while ahead:
            if ahead < 0 or not (data := self.read(min(ahead, BLOCK_BYTES))):
                raise EOFError("the archive ends inside a member; it is truncated")
            ahead -= len(data)
        return self._position

    def check_end(self) -> None:
        """Check that tarfile stopped at the mark of the end; read the rest, which must be zeros."""
        if self._last != bytes(_RECORD):
            raise EOFError("the archive has no mark of its end; it is truncated or damaged")
        for block, _ in self._stream.blocks():
            if block.strip(b"\0"):
                raise CorpusError(
                    f"{self._stream.name}: more data follows the end of the tar archive; if it is "
                    "another archive, pass each as a file of its own"
                )


def zip_members(path: Path, skipped: Skipped) -> Iterator[Stream]:
    """Yield the members of the zip at *path*.

    Raises CorpusError, EOFError or OSError for a zip that is damaged or encrypted.
    """
    import lzma
    import zipfile

    where = str(path)
    damage = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, *_MALFORMED)
    try:
        with zipfile.ZipFile(path) as archive:
            size, done = path.stat().st_size, 0
            for member in archive.infolist():
                kind = stat.S_IFMT(member.external_attr >> 16)  # of Unix; 0 if unknown
                irregular = "link" if stat.S_ISLNK(kind) else "other"
                if not member.is_dir() and not _is_skipped(
                    member.filename, "" if kind in (0, stat.S_IFREG) else irregular, skipped
                ):
                    where = f"{path}/{member.filename}"
                    if member.flag_bits & 1:
                        raise CorpusError(f"{where}: is encrypted; unpack it with its password")
                    with archive.open(member) as file:
                        blocks = _blocks(file, *damage)
                        yield Stream(where, blocks, functools.partial(int, done), size)
                done = min(size, done + member.compress_size)
    except CorpusError:
        raise
    except damage as error:
        raise CorpusError(f"{where}: the zip archive cannot be read: {error}") from error


def _blocks(file: IO[bytes], *errors: type[Exception]) -> Iterator[bytes]:
    """Yield the blocks of a member; turn *errors*, for damaged data, into OSError."""
    try:
        while block := file.read(BLOCK_BYTES):
            yield block
    except CorpusError:
        raise
    except errors as error:
        raise OSError(str(error)) from error


def _is_skipped(name: str, irregular: str, skipped: Skipped) -> bool:
    """Return whether to skip the member *name*; *irregular* is its kind, "" for a regular file."""
    is_hidden = any(
        part.startswith(".") and part not in (".", "..")
        for part in name.replace("\\", "/").split("/")
    )
    if not (is_hidden or irregular):
        return False
    skipped.members["hidden" if is_hidden else irregular] += 1
    return True
