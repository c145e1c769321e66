"""Token file formats of other software: each is detected by its content and read as a `Stream`.

Only headers and indexes are read here. Floats, which some of these formats can store, are rejected.
"""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytok.errors import ShardError
from pytok.shardfile import TokenFile, is_shard, map_array, read_header

SUFFIXES = (".bin", ".npy", ".ds")
"""Suffixes of token files; `open_stream` detects the format."""

INTEGERS = {1: "uint8", 2: "uint8", 3: "uint16", 4: "uint32", 5: "uint64", 8: "uint16"}
"""Type codes of Megatron, NeoX and lit-gpt; 2 to 5 are signed there. 6 and 7 are the float types,
in an order that differs between them."""

OTHER_FILES = {20240326: "a model of llm.c", 20240522: "an evaluation set of llm.c"}
"""Magic numbers of .bin files that hold no tokens."""


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A file of ids, and the documents that its format records."""

    file: TokenFile
    ends: NDArray[np.int64] | None = None
    """Positions of the ends of documents; if None, end-of-text tokens mark them."""
    starts_with_eot: bool = False
    """Whether the end-of-text token starts a document; otherwise it ends one."""


def open_stream(path: Path, vocab_size: int) -> Stream:
    """Find the ids in *path*, which was written with a tokenizer of *vocab_size* ids.

    Raises ShardError for an unknown format and for a file that contradicts itself.
    """
    try:
        with path.open("rb") as file:
            head = file.read(32)
        return _layout(path, head)(path, vocab_size)
    except (OSError, struct.error) as error:
        raise ShardError(f"{path}: cannot be read: {error}") from error


def _layout(path: Path, head: bytes) -> Callable[[Path, int], Stream]:
    if is_shard(head):
        return _llm_c
    if head.startswith(b"LITPKDS"):
        return _lit_gpt
    if path.suffix == ".npy":
        return _npy
    if path.suffix == ".ds":
        return _datatrove
    if path.with_suffix(".idx").exists():
        return _megatron
    return _nanogpt


def _llm_c(path: Path, vocab_size: int) -> Stream:
    """``.bin`` with a header, of llm.c, modded-nanogpt and ours."""
    return Stream(read_header(path), starts_with_eot=True)


def _npy(path: Path, vocab_size: int) -> Stream:
    """An array of integers saved by numpy, as in build-nanogpt."""
    array = map_array(path)
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.dtype.byteorder == ">":
        raise ShardError(
            f"{path}: an array {array.shape} of {array.dtype.str}; ids are a 1-D array of "
            "little-endian integers"
        )
    dtype = f"uint{8 * array.dtype.itemsize}"
    return Stream(TokenFile(path, dtype, array.offset, len(array)), starts_with_eot=True)


def _nanogpt(path: Path, vocab_size: int) -> Stream:
    """Ids without a header: uint16, or uint32 for a larger vocabulary."""
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = int.from_bytes(file.read(4), "little")
    if magic in OTHER_FILES:
        raise ShardError(f"{path}: {OTHER_FILES[magic]}, not token ids")
    width = 2 if vocab_size <= 1 << 16 else 4
    if size % width:
        raise ShardError(
            f"{path}: {size:,} bytes are not a multiple of {width}, the size of an id in a file "
            f"without a header for {vocab_size:,} ids; it is truncated or not a token file"
        )
    return Stream(TokenFile(path, f"uint{8 * width}", 0, size // width))


def _lit_gpt(path: Path, vocab_size: int) -> Stream:
    """A chunk of lit-gpt's PackedDataset, as in TinyLlama."""
    header = struct.Struct("<7sQBQ")
    with path.open("rb") as file:
        _, version, code, tokens = header.unpack(file.read(header.size))
    if version != 1:
        raise ShardError(f"{path}: version {version} of LITPKDS; only version 1 is read")
    return Stream(TokenFile(path, _integers(path, code), header.size, tokens))


def _datatrove(path: Path, vocab_size: int) -> Stream:
    """Ids without a header, and an index of the ends of documents: datatrove and nanotron."""
    index = path.with_name(f"{path.name}.index")
    if not index.exists():
        raise ShardError(f"{index}: not found; it holds the ends of the documents of {path.name}")
    data = index.read_bytes()
    if not data or len(data) % 8:
        raise ShardError(f"{index}: {len(data):,} bytes are not a sequence of uint64")
    ends = np.frombuffer(data, "<i8")
    size, tokens = path.stat().st_size, int(ends[-1])
    _check_ascending(index, ends)
    width = size // max(1, tokens)
    if width not in (2, 4) or size != width * tokens:
        raise ShardError(
            f"{path}: {size:,} bytes, but its index states {tokens:,} tokens of 2 or 4 bytes; one "
            "of the two files is damaged"
        )
    return Stream(TokenFile(path, f"uint{8 * width}", 0, tokens), ends)


def _megatron(path: Path, vocab_size: int) -> Stream:
    """``.bin`` and ``.idx`` of Megatron-LM and GPT-NeoX."""
    index = path.with_suffix(".idx")
    data = index.read_bytes()
    magic, version, code, sequences, bounds = struct.unpack_from("<9sQBQQ", data)
    if magic != b"MMIDIDX\0\0" or version != 1:
        raise ShardError(f"{index}: not the index of Megatron, version 1")
    start = struct.calcsize("<9sQBQQ")
    # Lengths (int32), byte offsets (int64), bounds of documents (int64), optionally modes (int8).
    expected = start + 12 * sequences + 8 * bounds
    if len(data) not in (expected, expected + sequences):
        raise ShardError(
            f"{index}: {len(data):,} bytes, but {sequences:,} sequences and {bounds:,} bounds of "
            f"documents take {expected:,}; the file is damaged"
        )
    dtype = _integers(index, code)
    lengths = np.frombuffer(data, "<i4", sequences, start).astype(np.int64)
    pointers = np.frombuffer(data, "<i8", sequences, start + 4 * sequences)
    documents = np.frombuffer(data, "<i8", bounds, start + 12 * sequences)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    if (lengths < 0).any() or (pointers != ends[:-1] * np.dtype(dtype).itemsize).any():
        raise ShardError(f"{index}: the sequences are not contiguous; write the file again")
    if documents[:1].tolist() != [0] or documents[-1:].tolist() != [sequences]:
        raise ShardError(f"{index}: the documents do not span sequences 0 to {sequences:,}")
    _check_ascending(index, documents)
    return Stream(TokenFile(path, dtype, 0, int(ends[-1])), ends[documents[1:]])


def _integers(path: os.PathLike[str], code: int) -> str:
    if code not in INTEGERS:
        raise ShardError(f"{path}: dtype code {code} is not an integer type, as ids require")
    return INTEGERS[code]


def _check_ascending(path: Path, ends: NDArray[Any]) -> None:
    if (np.diff(ends) < 0).any() or (ends[:1] < 0).any():
        entry = int(np.argmax(np.diff(ends, prepend=0) < 0))
        raise ShardError(f"{path}: entry {entry} of the documents is less than the one before it")
