"""Write and read the ``.bin`` files of one split of a corpus.

The format is that of llm.c (https://github.com/karpathy/llm.c, dev/data/data_common.py) and
modded-nanogpt: 256 little-endian int32 (magic, version, count, zeros), then the ids, as uint16
for an id space of up to 65,536, else as uint32.

`pytok.shards` describes the folder that holds these files.
"""

import os
import struct
import warnings
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from pytok.errors import ShardError
from pytok.fileids import FileIds
from pytok.text import quoted

Ids: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""Token ids, one-dimensional: uint16 or uint32 in pytok's files, 8 to 64 bits in other formats."""

_CHECKED = 1 << 22
"""Ids that are checked at a time."""
DTYPES = ("uint8", "uint16", "uint32", "uint64")
"""Types that ids are read as. A negative id, in a damaged file, becomes too large an id."""

_HEADER = struct.Struct("<3i1012x")
_MAGIC = {"uint16": (20240520, 1), "uint32": (20240801, 7)}


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A file that holds consecutive ids from a byte offset to its end."""

    path: Path
    dtype: str
    """One of `DTYPES`, little-endian."""
    offset: int
    """Byte offset of the first id."""
    tokens: int

    def open(self) -> FileIds:
        """Open the ids. Raises ShardError if the size of the file is another."""
        expected = self.offset + self.tokens * np.dtype(self.dtype).itemsize
        ids = FileIds(self.path, self.dtype, self.offset, self.tokens)
        if self.tokens < 0 or ids.file_size != expected:
            raise ShardError(
                f"{self.path}: {self.tokens:,} tokens of {self.dtype} take {expected:,} bytes, but "
                f"the file has {ids.file_size:,}; it is damaged or was changed: write it again"
            )
        return ids


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The tokens of one split, in its files, indexed as one array."""

    name: str
    shards: tuple[FileIds, ...]
    starts: tuple[int, ...]
    """Position of the first token of each shard."""
    tokens: int
    bytes: int
    """UTF-8 bytes of the text, without end-of-text tokens: the base of bits per byte."""
    ends: FileIds
    """What `document_ends` is read from."""

    @property
    def documents(self) -> int:
        """Number of documents in the split."""
        return len(self.ends)

    @property
    def document_ends(self) -> NDArray[np.int64]:
        """(documents,): position of the end of each document, in tokens."""
        return self.ends.all

    def __len__(self) -> int:
        return self.tokens

    def read(self, start: int, stop: int) -> Ids:
        """Read tokens *start* to *stop*.

        Raises ShardError unless 0 <= start <= stop <= tokens, and for a file that has changed.
        """
        if not 0 <= start <= stop <= self.tokens:
            raise ShardError(
                f"{self.name}: tokens {start:,} to {stop:,} are not within its {self.tokens:,}"
            )
        first = bisect_right(self.starts, start) - 1
        last = max(bisect_left(self.starts, stop), first + 1)
        slices = [
            self.shards[index][max(0, start - self.starts[index]) : stop - self.starts[index]]
            for index in range(first, last)
        ]
        return slices[0] if len(slices) == 1 else np.concatenate(slices)

    def check_ids(self, vocab_size: int) -> None:
        """Read all ids once; raise ShardError, with the file, for one of *vocab_size* or more.

        Nothing else reveals damage to them.
        """
        for ids in self.shards:
            if vocab_size > np.iinfo(ids.dtype).max:
                continue
            for first in range(0, len(ids), _CHECKED):
                part = ids[first : first + _CHECKED]
                if part.max() >= vocab_size:
                    index = int(np.argmax(part >= vocab_size))
                    raise ShardError(
                        f"{ids.path}: token {first + index:,} (from 0) is id {part[index]}, and "
                        f"the tokenizer of the shards has ids 0 to {vocab_size - 1:,}; the file is "
                        "damaged: write the shards again"
                    )


class SplitWriter:
    """Writes one split: documents are appended in memory and flushed to disk in batches.

    File i holds the tokens from position ``i * shard_tokens``. The files are valid after ``close``.
    """

    def __init__(self, folder: Path, name: str, dtype: str, shard_tokens: int) -> None:
        """Write ``NAME_000000.bin`` and so on to *folder*; *dtype* is uint16 or uint32.

        Raises ShardError if *shard_tokens* does not fit the header of a file.
        """
        if not 0 < shard_tokens < 1 << 31:
            raise ShardError(f"shard_tokens is {shard_tokens}: pass 1 to 2^31-1")
        self._folder, self._name, self._shard_tokens = folder, name, shard_tokens
        self._magic, self._dtype = _MAGIC[dtype], _little_endian(dtype)
        self._pending: list[Sequence[int] | NDArray[np.uint32]] = []
        self._flushed = 0
        self._appended = 0
        self._ends = array("q")

    @property
    def tokens(self) -> int:
        """Number of tokens appended so far."""
        return self._appended

    @property
    def ended(self) -> bool:
        """Whether the next token starts a document."""
        return self.tokens == (self._ends[-1] if self._ends else 0)

    def append(self, ids: Sequence[int] | NDArray[np.uint32]) -> None:
        """Add *ids* to the current document."""
        self._pending.append(ids)
        self._appended += len(ids)

    def end_document(self) -> None:
        """End the current document."""
        self._ends.append(self.tokens)

    def flush(self) -> None:
        """Write the appended ids to disk."""
        parts = [np.asarray(ids, dtype=self._dtype) for ids in self._pending]
        ids = np.concatenate([np.zeros(0, self._dtype), *parts])
        self._pending.clear()
        # Fill the current file, then start the next one.
        while len(ids):
            index, filled = divmod(self._flushed, self._shard_tokens)
            fitting = ids[: self._shard_tokens - filled]
            with self._path(index).open("ab") as file:
                if not filled:
                    file.write(bytes(_HEADER.size))  # `close` writes the header with the count
                file.write(fitting.tobytes())
            self._flushed += len(fitting)
            ids = ids[len(fitting) :]

    def close(self) -> dict[str, object]:
        """Finish the files; return the split's entry in the manifest, for `open_split`."""
        self.flush()
        files = {}
        for index, start in enumerate(range(0, self._flushed, self._shard_tokens)):
            path, count = self._path(index), min(self._shard_tokens, self._flushed - start)
            with path.open("r+b") as file:
                file.write(_HEADER.pack(*self._magic, count))
                _sync(file)
            files[path.name] = count
        return {
            "files": files,
            "tokens": self._flushed,
            "documents": len(self._ends),
            "document_ends": write_document_ends(self._folder, self._name, self._ends),
        }

    def _path(self, index: int) -> Path:
        return self._folder / f"{self._name}_{index:06d}.bin"


def write_document_ends(folder: Path, name: str, ends: Sequence[int] | NDArray[np.int64]) -> str:
    """Write the ends of the documents of the split *name*; return the name of the file."""
    path = folder / f"{name}_documents.npy"
    with path.open("wb") as file:
        np.save(file, np.array(ends, dtype="<i8"))
        _sync(file)
    return path.name


def open_split(manifest: Path, name: str, entry: object, dtype: str) -> Split:
    """Check the files of the split *name* against its *entry* in the *manifest*, and open them.

    Raises ShardError with the file and the field that is wrong.
    """
    folder = manifest.parent
    files = manifest_field(manifest, entry, "files", dict)
    shards = tuple(_open(manifest, file, stated, dtype) for file, stated in files.items())
    *starts, tokens = accumulate((len(ids) for ids in shards), initial=0)
    stated = manifest_field(manifest, entry, "tokens", int)
    if not tokens or stated != tokens:
        raise ShardError(
            f"{manifest}: field 'tokens' of {name} is {stated:,}, but its files hold {tokens:,}; "
            "shard the corpus again"
        )
    documents = manifest_field(manifest, entry, "documents", int)
    path = folder / manifest_field(manifest, entry, "document_ends", str)
    array = map_array(path)
    ends = FileIds(path, array.dtype.str, array.offset, array.size)
    is_valid = array.dtype == np.int64 and array.shape == (documents,)
    if not is_valid or ends[documents - 1 :].tolist() != [tokens]:
        raise ShardError(
            f"{path}: not the ends of {documents:,} documents with {tokens:,} tokens in total; "
            "shard the corpus again"
        )
    return Split(
        name,
        shards,
        tuple(starts),
        tokens,
        manifest_field(manifest, entry, "bytes", int),
        ends,
    )


def map_array(path: Path) -> "np.memmap[Any, Any]":
    """Map the array in the ``.npy`` file *path*. Raises ShardError for anything else.

    numpy parses the header as an expression of Python, which fails in all the ways of a parser.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a header that is no plain expression
            # Through Any, since some numpy versions have no type stubs for it.
            array: np.memmap[Any, Any] = cast(Any, np.lib.format).open_memmap(path, mode="r")
            return array
    except (
        *(OSError, EOFError, ValueError, TypeError, OverflowError, RecursionError, MemoryError),
        *(SyntaxError, TokenError, UserWarning),
    ) as error:
        raise ShardError(
            f"{path}: cannot be read: not an array that numpy can map: {error}"
        ) from error


def read_shard(path: str | os.PathLike[str]) -> Ids:
    """Read the ids of one ``.bin`` of llm.c, modded-nanogpt or pytok: (count,), uint16 or uint32.

    Raises ShardError for another magic or version, and for a size that contradicts the header.
    """
    return read_header(Path(path)).open().all


def read_header(path: Path) -> TokenFile:
    """Read the header of the shard *path*. Raises ShardError for another magic or version."""
    with _readable(path), path.open("rb") as file:
        header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise ShardError(
            f"{path}: {len(header):,} bytes are not a shard, which has a header of 1,024 bytes"
        )
    magic, version, count = _HEADER.unpack(header)
    dtype = next((name for name, pair in _MAGIC.items() if pair == (magic, version)), None)
    if dtype is None:
        known = " or ".join(f"{magic}, {version}" for magic, version in _MAGIC.values())
        raise ShardError(f"{path}: magic and version are {magic}, {version}, not {known}")
    if count < 0:
        raise ShardError(f"{path}: the header states {count:,} tokens; the file is damaged")
    return TokenFile(path, dtype, _HEADER.size, count)


def is_shard(head: bytes) -> bool:
    """Return whether *head* is the start of a ``.bin`` of llm.c, modded-nanogpt or pytok."""
    return any(head.startswith(struct.pack("<2i", *pair)) for pair in _MAGIC.values())


def _open(manifest: Path, name: str, stated: object, dtype: str) -> FileIds:
    """Open the file *name* of a split, and check it against the *stated* value in the manifest.

    The value is the number of tokens for pytok's own files, the fields of a `TokenFile` for others.
    """
    path = manifest.parent / name
    if isinstance(stated, dict):
        stated_dtype = manifest_field(manifest, stated, "dtype", str)
        offset, tokens = (manifest_field(manifest, stated, n, int) for n in ("offset", "tokens"))
        if stated_dtype not in DTYPES:
            raise ShardError(
                f"{manifest}: field 'dtype' is {stated_dtype!r}; use one of {', '.join(DTYPES)}"
            )
        return TokenFile(path, stated_dtype, offset, tokens).open()
    ids = read_header(path).open()
    if len(ids) != stated or ids.dtype.name != dtype:
        raise ShardError(
            f"{path}: {len(ids):,} tokens of {ids.dtype}, but {manifest.name} says {stated!r} of "
            f"{dtype}; shard the corpus again"
        )
    return ids


def manifest_field(path: Path, record: object, name: str, *kinds: type) -> Any:
    """Return the field *name* of *record*, a JSON object in the manifest *path*.

    Raises ShardError if the field is missing or its type is not one of *kinds*.
    """
    value = record.get(name, ...) if isinstance(record, dict) else ...
    if type(value) not in kinds:
        found = "missing" if value is ... else quoted(value)
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ShardError(
            f"{path}: field {name!r} is {found}, not {wanted}; fix it or write the shards again"
        )
    return value


def _little_endian(dtype: str) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder("<")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        raise ShardError(f"{path}: cannot be read: {error}") from error


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
