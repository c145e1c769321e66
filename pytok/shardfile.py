"""One split of a corpus as ``.bin`` files: ids out, ids in.

The format is that of llm.c (https://github.com/karpathy/llm.c, dev/data/data_common.py) and
modded-nanogpt: 256 little-endian int32 (magic, version, count, zeros), then the ids, as uint16
for an id space of up to 65,536, else as uint32.

What a folder of these files says about itself, and where its text comes from: `pytok.shards`.
"""

import os
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from pytok.errors import ShardError

Ids: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""Token ids, one-dimensional: uint16 or uint32 in our files, 8 to 64 bits in those of others."""

DTYPES = ("uint8", "uint16", "uint32", "uint64")
"""What ids are read as. A negative one, which is damage, becomes one that no vocabulary has."""

_HEADER = struct.Struct("<3i1012x")
_MAGIC = {"uint16": (20240520, 1), "uint32": (20240801, 7)}


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A file of ids, one after another, from a byte on to its end."""

    path: Path
    dtype: str
    """One of `DTYPES`, little-endian."""
    offset: int
    """The byte at which the first id lies."""
    tokens: int

    def map(self) -> Ids:
        """Map the ids: (tokens,). Raises ShardError unless the file has just their length."""
        expected = self.offset + self.tokens * np.dtype(self.dtype).itemsize
        with _readable(self.path):
            size = self.path.stat().st_size
        if self.tokens < 0 or size != expected:
            raise ShardError(
                f"{self.path}: {self.tokens:,} tokens of {self.dtype} take {expected:,} bytes, but "
                f"the file has {size:,}; it is damaged, or has changed: write it again"
            )
        if not self.tokens:  # nothing cannot be mapped
            return np.empty(0, self.dtype)
        mapped = np.memmap(self.path, _little_endian(self.dtype), "r", offset=self.offset)
        return mapped.view(np.ndarray)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The tokens of one split, mapped from its files as if they were one array."""

    name: str
    shards: tuple[Ids, ...]
    starts: tuple[int, ...]
    """The position of the first token of each shard."""
    tokens: int
    bytes: int
    """UTF-8 bytes of the text, end-of-text tokens not counted: the base of bits per byte."""
    document_ends: NDArray[np.int64]
    """(documents,): the position in tokens at which each document ends; mapped."""

    @property
    def documents(self) -> int:
        """How many documents the split has."""
        return len(self.document_ends)

    def __len__(self) -> int:
        return self.tokens

    def read(self, start: int, stop: int) -> Ids:
        """Return tokens *start* to *stop*: mapped within one file, copied across files.

        Raises ShardError unless 0 <= start <= stop <= tokens.
        """
        if not 0 <= start <= stop <= self.tokens:
            raise ShardError(
                f"{self.name}: tokens {start:,} to {stop:,} do not lie within its {self.tokens:,}"
            )
        first = bisect_right(self.starts, start) - 1
        last = max(bisect_left(self.starts, stop), first + 1)
        pieces = [
            self.shards[index][max(0, start - self.starts[index]) : stop - self.starts[index]]
            for index in range(first, last)
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


class SplitWriter:
    """One split on its way to disk: documents are appended, and flushed a batch at a time.

    File i holds the tokens from ``i * shard_tokens`` on. Only ``close`` makes the files valid.
    """

    def __init__(self, folder: Path, name: str, dtype: str, shard_tokens: int) -> None:
        """Write ``NAME_000000.bin`` and on into *folder*; *dtype* is uint16 or uint32.

        Raises ShardError if the count of *shard_tokens* tokens does not fit a header.
        """
        if not 0 < shard_tokens < 1 << 31:
            raise ShardError(f"shard_tokens={shard_tokens} does not fit a header; use 1 to 2^31-1")
        self._folder, self._name, self._shard_tokens = folder, name, shard_tokens
        self._magic, self._dtype = _MAGIC[dtype], _little_endian(dtype)
        self._waiting: list[Sequence[int] | NDArray[np.uint32]] = []
        self._flushed = 0
        self._appended = 0
        self._ends = array("q")

    @property
    def tokens(self) -> int:
        """Tokens appended so far."""
        return self._appended

    @property
    def ended(self) -> bool:
        """Whether the next token begins a document."""
        return self.tokens == (self._ends[-1] if self._ends else 0)

    def append(self, ids: Sequence[int] | NDArray[np.uint32]) -> None:
        """Add *ids* to the document that is being written."""
        self._waiting.append(ids)
        self._appended += len(ids)

    def end_document(self) -> None:
        """Note that a document ends here."""
        self._ends.append(self.tokens)

    def flush(self) -> None:
        """Move what was appended to disk."""
        parts = [np.asarray(ids, dtype=self._dtype) for ids in self._waiting]
        ids = np.concatenate([np.zeros(0, self._dtype), *parts])
        self._waiting.clear()
        while len(ids):
            index, filled = divmod(self._flushed, self._shard_tokens)
            fitting = ids[: self._shard_tokens - filled]
            with self._path(index).open("ab") as file:
                if not filled:
                    file.write(bytes(_HEADER.size))  # the count is known at the end
                file.write(fitting.tobytes())
            self._flushed += len(fitting)
            ids = ids[len(fitting) :]

    def close(self) -> dict[str, object]:
        """Finish the files; return their part of the manifest, which `open_split` reads."""
        self.flush()
        files = {}
        for index, begin in enumerate(range(0, self._flushed, self._shard_tokens)):
            path, count = self._path(index), min(self._shard_tokens, self._flushed - begin)
            with path.open("r+b") as file:
                file.write(_HEADER.pack(*self._magic, count))
                _sync(file)
            files[path.name] = count
        return {
            "files": files,
            "tokens": self._flushed,
            "documents": len(self._ends),
            "document_ends": write_ends(self._folder, self._name, self._ends),
        }

    def _path(self, index: int) -> Path:
        return self._folder / f"{self._name}_{index:06d}.bin"


def write_ends(folder: Path, name: str, ends: Sequence[int] | NDArray[np.int64]) -> str:
    """Write where the documents of the split *name* end; return the name of the file."""
    path = folder / f"{name}_documents.npy"
    with path.open("wb") as file:
        np.save(file, np.array(ends, dtype="<i8"))
        _sync(file)
    return path.name


def open_split(manifest: Path, name: str, entry: object, dtype: str) -> Split:
    """Map the split *name*, once its files agree with *entry*, what the *manifest* says of it.

    Raises ShardError that names the file and the field that is wrong.
    """
    folder = manifest.parent
    files = manifest_field(manifest, entry, "files", dict)
    shards = tuple(_map(manifest, file, stated, dtype) for file, stated in files.items())
    *starts, tokens = accumulate((len(ids) for ids in shards), initial=0)
    stated = manifest_field(manifest, entry, "tokens", int)
    if not tokens or stated != tokens:
        raise ShardError(
            f"{manifest}: field 'tokens' of {name} is {stated:,}, but its files hold {tokens:,}; "
            "shard the corpus again"
        )
    documents = manifest_field(manifest, entry, "documents", int)
    path = folder / manifest_field(manifest, entry, "document_ends", str)
    try:
        # Through Any, since some numpy versions have no types for it.
        ends = cast(Any, np.lib.format).open_memmap(path, mode="r").view(np.ndarray)
    except (OSError, ValueError) as error:
        raise ShardError(f"{path}: cannot be read: {error}") from error
    if ends.dtype != np.int64 or ends.shape != (documents,) or ends[-1:].tolist() != [tokens]:
        raise ShardError(
            f"{path}: not the ends of {documents:,} documents with {tokens:,} tokens in all; "
            "shard the corpus again"
        )
    return Split(
        name, shards, tuple(starts), tokens, manifest_field(manifest, entry, "bytes", int), ends
    )


def read_shard(path: str | os.PathLike[str]) -> Ids:
    """Map the ids of one ``.bin`` of llm.c, modded-nanogpt or pytok: (count,), uint16 or uint32.

    Raises ShardError for another magic or version, and for a file of another length than its
    header says.
    """
    return find_ids(Path(path)).map()


def find_ids(path: Path) -> TokenFile:
    """Read the header of the shard *path*; raises ShardError for another magic or version."""
    with _readable(path), path.open("rb") as file:
        header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise ShardError(f"{path}: {len(header):,} bytes are no shard; its header alone has 1,024")
    magic, version, count = _HEADER.unpack(header)
    dtype = next((name for name, pair in _MAGIC.items() if pair == (magic, version)), None)
    if dtype is None:
        known = " or ".join(f"{magic}, {version}" for magic, version in _MAGIC.values())
        raise ShardError(f"{path}: magic and version are {magic}, {version}, not {known}")
    if count < 0:
        raise ShardError(f"{path}: its header counts {count:,} tokens; it is damaged")
    return TokenFile(path, dtype, _HEADER.size, count)


def is_shard(head: bytes) -> bool:
    """Whether a file that begins with *head* is one of llm.c, modded-nanogpt or pytok."""
    return any(head.startswith(struct.pack("<2i", *pair)) for pair in _MAGIC.values())


def _map(manifest: Path, name: str, stated: object, dtype: str) -> Ids:
    """Map the file *name* of a split, once it is what the manifest has *stated* of it.

    Of our own files that is a count, of those of others all of a `TokenFile`.
    """
    path = manifest.parent / name
    if isinstance(stated, dict):
        theirs = manifest_field(manifest, stated, "dtype", str)
        offset, tokens = (manifest_field(manifest, stated, n, int) for n in ("offset", "tokens"))
        if theirs not in DTYPES:
            raise ShardError(f"{manifest}: field 'dtype' is {theirs!r}, not of {DTYPES}; mend it")
        return TokenFile(path, theirs, offset, tokens).map()
    ids = read_shard(path)
    if len(ids) != stated or ids.dtype.name != dtype:
        raise ShardError(
            f"{path}: {len(ids):,} tokens of {ids.dtype}, but {manifest.name} says {stated!r} of "
            f"{dtype}; shard the corpus again"
        )
    return ids


def manifest_field(path: Path, record: object, name: str, *kinds: type) -> Any:
    """Take the field *name* of a JSON object in the manifest *path*: one of *kinds*.

    Raises ShardError if it is missing or of another kind.
    """
    value = record.get(name, ...) if isinstance(record, dict) else ...
    if type(value) not in kinds:
        found = "missing" if value is ... else repr(value)
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ShardError(f"{path}: field {name!r} is {found}, not {wanted}; mend or write it again")
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
