"""A file to bytes, a block at a time, decompressed where it is ``.gz`` or ``.zst``.

Blocks are read, not mapped: a mapped file that shrinks kills the process, and one that changes is
no longer what was checked to be UTF-8. The copy takes a hundredth of the time that encoding takes.
"""

import gzip
import importlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from pytok.errors import CorpusError

BLOCK_BYTES = 1 << 20
"""Read from a file at a time: Python's cost per block does not show."""

_ZSTD_BLOCK_BYTES = 1 << 13
"""Fed to zstd at a time: 4 bytes can unpack to 128 KiB, so a hostile file reaches 256 MiB."""


def is_packed(path: Path) -> bool:
    """Whether *path* is decompressed, as its name says."""
    return path.suffix.lower() in _WRAPPINGS


def read_blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the blocks of *path*, each with how far into the file on disk it reaches.

    The last block, and no other, is empty. Raises CorpusError for what cannot be read.
    """
    with refusing(path, OSError, EOFError, zlib.error), path.open("rb") as file:
        for block in _WRAPPINGS.get(path.suffix.lower(), _plain)(file):
            yield block, file.tell()
        yield b"", file.tell()


def _plain(file: BufferedIOBase) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _gunzip(file: BufferedIOBase) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
        yield from _plain(unpacked)


def _unzstd(file: BufferedIOBase) -> Iterator[bytes]:
    """Frame by frame: zstandard's own reader takes a truncated file for a short one."""
    zstandard = library("zstandard")
    # `zstd --long=31` asks for a window of 2 GiB, and public dumps are packed with it.
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
    frame = None
    try:
        while block := file.read(_ZSTD_BLOCK_BYTES):
            while block:
                frame = frame or decompressor.decompressobj()
                if unpacked := frame.decompress(block):
                    yield unpacked
                block = frame.unused_data
                frame = None if frame.eof else frame
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from error
    if frame:
        raise EOFError("the file ends inside a zstd frame; it is truncated")


_WRAPPINGS = {".gz": _gunzip, ".zst": _unzstd}


@contextmanager
def refusing(where: str | Path, *errors: type[Exception]) -> Iterator[None]:
    """Raise CorpusError in place of *errors*, of what cannot be read."""
    try:
        yield
    except errors as error:
        raise CorpusError(f"{where}: cannot be read: {error}") from error


def library(name: str) -> Any:
    """Import *name*, which only some corpora need. Raises CorpusError where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CorpusError(f"this corpus needs {name}; pip install 'pytok[data]'") from error
