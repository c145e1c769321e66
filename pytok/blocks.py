"""Bytes that are read once, in blocks: of a file, of a pipe, of what one of them decompresses to.

Blocks are read, not memory-mapped: a mapped file that shrinks kills the process, and one that
changes is no longer what was checked to be UTF-8. The copy takes a hundredth of the time that
encoding takes.
"""

import importlib
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, Protocol

from pytok.distribution import install
from pytok.errors import CorpusError
from pytok.text import cut

BLOCK_BYTES = 1 << 20
"""Bytes read from a file at a time: large enough that Python's cost per block is negligible."""

STDIN = Path("/dev/stdin")
"""Standard input, on every platform."""

_PACKED_BYTES = 1 << 13
"""Bytes passed to a decompressor at a time. The output of zstd is not bounded otherwise: 4 bytes
can decompress to 128 KiB. Fewer are passed where much came out, so only a file that is harmless at
first can reach 256 MiB, once."""

_FIRST_BYTES = 1 << 6
"""Bytes passed to zstd at first."""

_MAX_WINDOW = 1 << 31
"""Bytes of memory that a compressed file may ask for; `zstd --long=31` and `xz` with a large
dictionary, with which public dumps are compressed, do."""


MAX_HELD = 1 << 26
"""Bytes of text without a position to cut that are accepted however well they compress."""

MAX_RATIO = 100
"""Compression ratio at most of longer text without a position to cut."""

MOST_SHOWN = 200
"""Characters at most that an error shows of what a library says, or of a name."""


class Stream:
    """Bytes that are read once, from the iterator *blocks*, with the name that errors use.

    `position` returns the number of bytes read so far from the file on disk, or from the pipe;
    *on_disk* is the size of that file, 0 if it is unknown.
    """

    def __init__(
        self, name: str, blocks: Iterator[bytes], position: Callable[[], int], on_disk: int = 0
    ) -> None:
        self.name = name
        self.position = position
        self.on_disk = on_disk
        self._blocks = blocks
        self._block, self._start = b"", 0

    def read(self, size: int) -> bytes:
        """Return the next *size* bytes, or fewer at the end."""
        found = []
        while size > 0 and self._has_more():
            part = self._block[self._start : self._start + size]
            self._start += len(part)
            size -= len(part)
            found.append(part)
        return b"".join(found)

    def peek(self, size: int) -> bytes:
        """Return the next *size* bytes, or fewer at the end, and keep them."""
        head = self.read(size)
        self._block, self._start = head + self._block[self._start :], 0
        return head

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """Yield the rest, each block with the position after it. The last, and no other, is empty.

        The length of the blocks is whatever the source offers.
        """
        while self._has_more():
            block, self._start = self._block[self._start :], len(self._block)
            yield block, self.position()
        yield b"", self.position()

    def _has_more(self) -> bool:
        while self._start == len(self._block):
            block = next(self._blocks, None)
            if block is None:
                return False
            self._block, self._start = block, 0
        return True


@contextmanager
def open_stream(path: Path) -> Iterator[Stream]:
    """Open the file or the pipe *path*, or standard input. Raises OSError."""
    done = 0

    def blocks(file: IO[bytes]) -> Iterator[bytes]:
        nonlocal done
        while block := file.read1(BLOCK_BYTES):  # type: ignore[attr-defined]
            done += len(block)
            yield block

    with _open(path) as file:
        yield Stream(str(path), blocks(file), lambda: done, size_on_disk(path))


def size_on_disk(path: Path) -> int:
    """Return the bytes of a regular file, and 0 for a pipe and the like."""
    try:
        found = path.stat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def check_expansion(name: str | Path, held: int, on_disk: int) -> None:
    """Raise CorpusError if *held*, bytes of text that cannot be cut, are those of a bomb.

    Text that cannot be cut is held in memory, some ten times its size while it is encoded. A file
    of a few kilobytes could decompress to any amount of it.
    """
    if on_disk and held > max(MAX_HELD, MAX_RATIO * on_disk):
        raise CorpusError(
            f"{name}: {held:,} bytes on one line, or without a space, decompress from a file of "
            f"{on_disk:,} bytes; no text compresses so well, so the file is rejected"
        )


def _open(path: Path) -> AbstractContextManager[IO[bytes]]:
    if path != STDIN:
        return path.open("rb")
    if sys.stdin is None:
        raise OSError("standard input is closed")
    file = sys.stdin.buffer
    if not _is_blocking(file):  # what is not there yet would look like the end
        raise OSError("standard input does not block; pass it through a pipe: cat | pytok ...")
    return nullcontext(file)


def _is_blocking(file: IO[bytes]) -> bool:
    try:
        return os.get_blocking(file.fileno())
    except (AttributeError, OSError, ValueError):  # an object in memory; a platform without it
        return True


def unpack(stream: Stream, compression: str) -> Stream:
    """Return what *stream*, compressed as `COMPRESSIONS` names it, decompresses to.

    Several compressed files in a row are one file. Reading it raises OSError for data that is
    damaged or followed by something else, EOFError for data that is truncated.
    """
    return Stream(stream.name, COMPRESSIONS[compression](stream), stream.position, stream.on_disk)


class _Decompressor(Protocol):
    """The interface of `lzma.LZMADecompressor` and `bz2.BZ2Decompressor`."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _gunzip(stream: Stream) -> Iterator[bytes]:
    import gzip

    try:
        with gzip.GzipFile(fileobj=stream, mode="rb") as file:  # type: ignore[call-overload]
            while block := file.read(BLOCK_BYTES):
                yield block
    except zlib.error as error:
        raise OSError(str(error)) from error


def _unxz(stream: Stream) -> Iterator[bytes]:
    import lzma

    def start() -> _Decompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_WINDOW)

    try:
        yield from _unpack_bounded(stream, start)
    except lzma.LZMAError as error:
        raise OSError(str(error)) from error


def _bunzip2(stream: Stream) -> Iterator[bytes]:
    import bz2

    return _unpack_bounded(stream, bz2.BZ2Decompressor)


def _unpack_bounded(stream: Stream, start: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """Decompress in blocks of `BLOCK_BYTES` at most.

    The file objects of the standard library ignore what follows the compressed data.
    """
    decompressor, data, is_first = None, b"", True
    while data := data or stream.read(_PACKED_BYTES):
        if decompressor is None:
            if not is_first:
                data = data.lstrip(b"\0")  # padding, as on tapes
                if not data:
                    continue
            decompressor, is_first = start(), False
        yield decompressor.decompress(data, BLOCK_BYTES)
        while not decompressor.eof and not decompressor.needs_input:
            yield decompressor.decompress(b"", BLOCK_BYTES)
        data = decompressor.unused_data
        decompressor = None if decompressor.eof else decompressor
    if decompressor or is_first:
        raise EOFError("the file ends inside compressed data; it is truncated")


def _unzstd(stream: Stream) -> Iterator[bytes]:
    """Decompress frame by frame: zstandard's own reader does not report a truncated file."""
    zstandard = library("zstandard")
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    frame, size = None, _FIRST_BYTES
    try:
        while block := stream.read(size):
            produced = 0
            while block:
                frame = frame or decompressor.decompressobj()
                if decompressed := frame.decompress(block):
                    produced += len(decompressed)
                    yield decompressed
                block = frame.unused_data
                frame = None if frame.eof else frame
            size = min(2 * size, _PACKED_BYTES) if produced < BLOCK_BYTES else _FIRST_BYTES
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from error
    if frame:
        raise EOFError("the file ends inside a zstd frame; it is truncated")


COMPRESSIONS: dict[str, Callable[[Stream], Iterator[bytes]]] = {
    "gzip": _gunzip,
    "zstd": _unzstd,
    "xz": _unxz,
    "bzip2": _bunzip2,
}
"""What decompresses a stream, by the name of its compression."""


@contextmanager
def corpus_errors(where: str | Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn *errors* into CorpusError, with *where* in the message."""
    try:
        yield
    except errors as error:
        why = getattr(error, "strerror", None) or error  # without the name that an OSError adds
        raise CorpusError(f"{where}: cannot be read: {cut(str(why), MOST_SHOWN)}") from error


def library(name: str) -> Any:
    """Import *name*, which only some corpora need. Raises CorpusError if it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CorpusError(f"this corpus needs {name}: {install('data')}") from error
