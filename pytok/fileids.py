"""Integers in a file, read where they are asked for: the ids of shards, the ends of documents.

They are read, not mapped: a mapped file that shrinks kills the process (SIGBUS), and one that is
written to changes what was checked.
"""

import os
import threading
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytok.errors import ShardError


class FileIds:
    """*count* integers of *dtype*, little-endian, in the file *path* from the byte *offset* on.

    A slice without a step is an array of them. The file stays open; threads can read it together.
    Raises ShardError, with the file, if it cannot be read, or has another size or another time of
    change than at first.
    """

    def __init__(self, path: Path, dtype: str, offset: int, count: int) -> None:
        self.path = path
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self._offset, self._count = offset, count
        try:
            self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            weakref.finalize(self, os.close, self._file)
            self._state = self._read_state()
        except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
            raise ShardError(f"{path}: cannot be read: {error}") from error

    @property
    def file_size(self) -> int:
        """Number of bytes of the file."""
        return self._state[0]

    @property
    def nbytes(self) -> int:
        """Number of bytes of all integers."""
        return self._count * self.dtype.itemsize

    @cached_property
    def all(self) -> NDArray[Any]:
        """All integers, in memory from now on: (count,)."""
        return self[:]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, part: slice) -> NDArray[Any]:
        start, stop, _ = part.indices(self._count)
        found = bytearray()
        try:
            size = max(0, stop - start) * self.dtype.itemsize
            at = self._offset + start * self.dtype.itemsize
            while len(found) < size:  # a read is of 2 GiB at most
                read = _read_at(self._file, size - len(found), at + len(found))
                found += read
                if not read:
                    break
            changed = len(found) < size or self._read_state() != self._state
        except OSError as error:
            raise ShardError(f"{self.path}: cannot be read: {error.strerror}") from error
        if changed:
            raise ShardError(
                f"{self.path}: the file was changed while it was in use; write it again, and "
                "start again"
            )
        return np.frombuffer(found, self.dtype)

    def _read_state(self) -> tuple[int, int]:
        state = os.fstat(self._file)
        return state.st_size, state.st_mtime_ns


_POSITION = threading.Lock()
"""Held while the position of a file is in use, where a read needs one."""


def _read_at(file: int, size: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(file, size, offset)
    with _POSITION:
        os.lseek(file, offset, os.SEEK_SET)
        return os.read(file, size)
