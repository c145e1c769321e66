"""How others lay token ids out in files: each format to a `Stream`, told apart by content.

Nothing is read but headers and indexes. Floats, which some of these formats can hold, are no ids.
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
from pytok.shardfile import TokenFile, find_ids, is_shard

SUFFIXES = (".bin", ".npy", ".ds")
"""Of files that hold ids; `stream` says of which format."""

INTEGERS = {1: "uint8", 2: "uint8", 3: "uint16", 4: "uint32", 5: "uint64", 8: "uint16"}
"""Codes of Megatron, NeoX and lit-gpt; 2 to 5 are signed there. 6 and 7 are floats, in one order or
the other."""

NO_TOKENS = {20240326: "a model of llm.c", 20240522: "an evaluation set of llm.c"}
"""First integers of files that end in .bin, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A file of ids, and what its format says of documents."""

    file: TokenFile
    ends: NDArray[np.int64] | None = None
    """The positions at which documents end; None: only end-of-text tokens tell."""
    begins_with_eot: bool = False
    """End-of-text begins a document; else it ends one."""


def stream(path: Path, vocab_size: int) -> Stream:
    """Find the ids of *path*, which a tokenizer of *vocab_size* ids wrote.

    Raises ShardError for a file of no known format, and for one that contradicts itself.
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
    return Stream(find_ids(path), begins_with_eot=True)


def _npy(path: Path, vocab_size: int) -> Stream:
    """An array of integers as numpy saves it, as build-nanogpt has it."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ShardError(f"{path}: no array that numpy can map: {error}") from error
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.dtype.byteorder == ">":
        raise ShardError(
            f"{path}: an array {array.shape} of {array.dtype.str}; ids are a row of little-endian "
            "integers"
        )
    dtype = f"uint{8 * array.dtype.itemsize}"
    return Stream(TokenFile(path, dtype, array.offset, len(array)), begins_with_eot=True)


def _nanogpt(path: Path, vocab_size: int) -> Stream:
    """Ids and nothing else: uint16, or uint32 where that cannot hold the vocabulary."""
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = int.from_bytes(file.read(4), "little")
    if magic in NO_TOKENS:
        raise ShardError(f"{path}: {NO_TOKENS[magic]}, which is no stream of tokens")
    width = 2 if vocab_size <= 1 << 16 else 4
    if size % width:
        raise ShardError(
            f"{path}: {size:,} bytes are no whole number of uint{8 * width}, which is what a file "
            f"without a header holds for {vocab_size:,} ids; it is cut off, or no token file"
        )
    return Stream(TokenFile(path, f"uint{8 * width}", 0, size // width))


def _lit_gpt(path: Path, vocab_size: int) -> Stream:
    """A chunk of lit-gpt's PackedDataset, as TinyLlama has it."""
    header = struct.Struct("<7sQBQ")
    with path.open("rb") as file:
        _, version, code, tokens = header.unpack(file.read(header.size))
    if version != 1:
        raise ShardError(f"{path}: version {version} of LITPKDS is not known; 1 is")
    return Stream(TokenFile(path, _integers(path, code), header.size, tokens))


def _datatrove(path: Path, vocab_size: int) -> Stream:
    """Ids without a header, and an index of where documents end: datatrove and nanotron."""
    index = path.with_name(f"{path.name}.index")
    if not index.exists():
        raise ShardError(f"{index}: not found; it says where the documents of {path.name} end")
    data = index.read_bytes()
    if not data or len(data) % 8:
        raise ShardError(f"{index}: {len(data):,} bytes are no whole number of uint64")
    ends = np.frombuffer(data, "<i8")
    size, tokens = path.stat().st_size, int(ends[-1])
    _check_rising(index, ends)
    width = size // max(1, tokens)
    if width not in (2, 4) or size != width * tokens:
        raise ShardError(
            f"{path}: {size:,} bytes, but its index counts {tokens:,} tokens, of 2 bytes or 4; one "
            "of the two is damaged"
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
    expected = start + 12 * sequences + 8 * bounds
    if len(data) not in (expected, expected + sequences):  # a byte each where they have modes
        raise ShardError(
            f"{index}: {len(data):,} bytes, but {sequences:,} sequences and {bounds:,} bounds of "
            f"documents take {expected:,}; it is damaged"
        )
    dtype = _integers(index, code)
    lengths = np.frombuffer(data, "<i4", sequences, start).astype(np.int64)
    pointers = np.frombuffer(data, "<i8", sequences, start + 4 * sequences)
    documents = np.frombuffer(data, "<i8", bounds, start + 12 * sequences)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    if (lengths < 0).any() or (pointers != ends[:-1] * np.dtype(dtype).itemsize).any():
        raise ShardError(f"{index}: its sequences do not lie one after another; write it again")
    if documents[:1].tolist() != [0] or documents[-1:].tolist() != [sequences]:
        raise ShardError(f"{index}: its documents are not of sequences 0 to {sequences:,}")
    _check_rising(index, documents)
    return Stream(TokenFile(path, dtype, 0, int(ends[-1])), ends[documents[1:]])


def _integers(path: os.PathLike[str], code: int) -> str:
    if code not in INTEGERS:
        raise ShardError(f"{path}: dtype code {code} is no integer, and ids are integers")
    return INTEGERS[code]


def _check_rising(path: Path, places: NDArray[Any]) -> None:
    if (np.diff(places) < 0).any() or (places[:1] < 0).any():
        place = int(np.argmax(np.diff(places, prepend=0) < 0))
        raise ShardError(f"{path}: entry {place} of the documents is below the one before it")
