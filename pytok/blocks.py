"""A file to blocks of bytes, decompressed if it is ``.gz`` or ``.zst``.

Blocks are read, not memory-mapped: a mapped file that shrinks kills the process, and one that
changes is no longer what was checked to be UTF-8. The copy takes a hundredth of the time that
encoding takes.
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
"""Bytes read from a file at a time: large enough that Python's cost per block is negligible."""

_ZSTD_BLOCK_BYTES = 1 << 13
"""Bytes passed to zstd at a time: 4 bytes can decompress to 128 KiB, so a hostile file reaches
256 MiB."""


def is_compressed(path: Path) -> bool:
    """Return whether `read_blocks` decompresses *path*, by its suffix."""
    return path.suffix.lower() in _DECOMPRESSORS


def read_blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the blocks of *path*, each with the position in the file on disk after it.

    The last block, and no other, is empty. Raises CorpusError for a file that cannot be read.
    """
    with corpus_errors(path, OSError, EOFError, zlib.error), path.open("rb") as file:
        for block in _DECOMPRESSORS.get(path.suffix.lower(), _plain)(file):
            yield block, file.tell()
        yield b"", file.tell()


def _plain(file: BufferedIOBase) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _gunzip(file: BufferedIOBase) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file, mode="rb") as decompressed:
        yield from _plain(decompressed)


def _unzstd(file: BufferedIOBase) -> Iterator[bytes]:
    """Decompress frame by frame: zstandard's own reader does not report a truncated file."""
    zstandard = library("zstandard")
    # `zstd --long=31` asks for a window of 2 GiB, and public dumps are compressed with it.
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
    frame = None
    try:
        while block := file.read(_ZSTD_BLOCK_BYTES):
            while block:
                frame = frame or decompressor.decompressobj()
                if decompressed := frame.decompress(block):
                    yield decompressed
                block = frame.unused_data
                frame = None if frame.eof else frame
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from error
    if frame:
        raise EOFError("the file ends inside a zstd frame; it is truncated")


_DECOMPRESSORS = {".gz": _gunzip, ".zst": _unzstd}


@contextmanager
def corpus_errors(where: str | Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn *errors* into CorpusError, with *where* in the message."""
    try:
        yield
    except errors as error:
        raise CorpusError(f"{where}: cannot be read: {error}") from error


def library(name: str) -> Any:
    """Import *name*, which only some corpora need. Raises CorpusError if it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CorpusError(f"this corpus needs {name}; pip install 'pytok[data]'") from error
