"""The operations that are compared, and how each library performs them.

All libraries are called as their documentation recommends for text without special tokens. Another
library is a row in `libraries`, and a row here for each operation that it supports.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from benches import process, texts
from benches.libraries import (
    BPE_OPENAI,
    GIGATOKEN,
    PYTOK,
    QUICKTOK,
    REFERENCE,
    RIPTOKEN,
    RS_BPE,
    SPLINTR,
    TIKTOKEN,
    TOKENIZERS,
    TOKTOK,
    Library,
)

Ids: TypeAlias = npt.NDArray[np.uint32]
Function: TypeAlias = Callable[[Any], Any]


def _identity(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Contestant:
    """A function of a library, with a result of a *form* such as "list" or "array"."""

    library: Library
    form: str
    function: Function
    """Returns the function to time, given the encoding that the library opened."""
    prepare: Function = _identity
    """Converts an input for the function, outside the clock."""
    read: Function = _identity
    """Converts a result for the comparison, outside the clock."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts, the ids of each, and a folder for files."""

    texts: list[str]
    ids: list[Ids]
    folder: Path


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on a sample: its *inputs*, and the *expected* result for each."""

    name: str
    inputs: Callable[[Sample], list[Any]]
    expected: Callable[[Sample], list[Any]]
    contestants: Sequence[Contestant]
    batch: bool = False
    """Whether one call gets all inputs, on all threads; otherwise each is a call, on one thread."""


def _texts(sample: Sample) -> list[str]:
    return sample.texts


def _ids(sample: Sample) -> list[Ids]:
    return sample.ids


# ------------------------------------------------------------------ one text per call, one thread


def _numpy(tokenizer: Any) -> Function:
    """For tiktoken and libraries with its interface."""
    return partial(tokenizer.encode_to_numpy, disallowed_special=())


def _tokenizers_list(tokenizer: Any) -> Function:
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def _gigatoken_list(tokenizer: Any) -> Function:
    return tokenizer.as_tiktoken().encode_ordinary  # type: ignore[no-any-return]


ORDINARY: Function = attrgetter("encode_ordinary")

ENCODE = Operation(
    "encode",
    _texts,
    _ids,
    (
        Contestant(PYTOK, "list", ORDINARY),
        Contestant(REFERENCE, "list", ORDINARY),
        Contestant(TIKTOKEN, "list", ORDINARY),
        Contestant(TOKENIZERS, "list", _tokenizers_list),
        Contestant(GIGATOKEN, "list", _gigatoken_list),
        Contestant(TOKTOK, "list", ORDINARY),
        Contestant(QUICKTOK, "list", ORDINARY),
        Contestant(SPLINTR, "list", ORDINARY),
        Contestant(RIPTOKEN, "list", ORDINARY),
        Contestant(BPE_OPENAI, "list", ORDINARY),
        Contestant(RS_BPE, "list", attrgetter("encode")),
        Contestant(PYTOK, "array", _numpy),
        Contestant(TIKTOKEN, "array", _numpy),
        Contestant(GIGATOKEN, "array", attrgetter("encode")),
        Contestant(TOKTOK, "array", _numpy),
    ),
)


def _pytok_count(tokenizer: Any) -> Function:
    return partial(tokenizer.count, disallowed_special=())


def _length(encode: Function) -> Function:
    """For a library that does not count: the number of ids of *encode*."""
    return lambda text: len(encode(text))


COUNT = Operation(
    "count",
    _texts,
    lambda sample: [len(ids) for ids in sample.ids],
    (
        Contestant(PYTOK, "count", _pytok_count),
        Contestant(TIKTOKEN, "length", lambda tokenizer: _length(tokenizer.encode_ordinary)),
        Contestant(GIGATOKEN, "length", lambda tokenizer: _length(tokenizer.encode)),
        Contestant(TOKTOK, "count", attrgetter("count")),
        Contestant(QUICKTOK, "count", attrgetter("count")),
        Contestant(SPLINTR, "length", lambda tokenizer: _length(tokenizer.encode_ordinary)),
        Contestant(RS_BPE, "count", attrgetter("count")),
    ),
)


def _list(ids: Ids) -> list[int]:
    listed: list[int] = ids.tolist()
    return listed


def _decoder(library: Library, source: str, result: str, function: Function) -> Contestant:
    prepare: Function = _list if source == "list" else _identity
    read: Function = bytes.decode if result == "bytes" else _identity
    return Contestant(library, f"{source} to {result}", function, prepare, read)


def _tokenizers_text(tokenizer: Any) -> Function:
    return partial(tokenizer.decode, skip_special_tokens=False)


def _gigatoken_text(tokenizer: Any) -> Function:
    return tokenizer.as_tiktoken().decode  # type: ignore[no-any-return]


TEXT: Function = attrgetter("decode")
BYTES: Function = attrgetter("decode_bytes")

DECODE = Operation(
    "decode",
    _ids,
    _texts,
    (
        _decoder(PYTOK, "list", "text", TEXT),
        _decoder(TIKTOKEN, "list", "text", TEXT),
        _decoder(TOKENIZERS, "list", "text", _tokenizers_text),
        _decoder(GIGATOKEN, "list", "text", _gigatoken_text),
        _decoder(TOKTOK, "list", "text", TEXT),
        _decoder(QUICKTOK, "list", "text", TEXT),
        _decoder(SPLINTR, "list", "text", TEXT),
        _decoder(BPE_OPENAI, "list", "text", TEXT),
        _decoder(RS_BPE, "list", "text", TEXT),
        _decoder(PYTOK, "array", "text", TEXT),
        _decoder(TIKTOKEN, "array", "text", TEXT),
        _decoder(GIGATOKEN, "array", "text", _gigatoken_text),
        _decoder(TOKTOK, "array", "text", TEXT),
        _decoder(SPLINTR, "array", "text", TEXT),
        _decoder(PYTOK, "list", "bytes", BYTES),
        _decoder(TIKTOKEN, "list", "bytes", BYTES),
        _decoder(GIGATOKEN, "list", "bytes", TEXT),
        _decoder(TOKTOK, "list", "bytes", BYTES),
        _decoder(QUICKTOK, "list", "bytes", BYTES),
        _decoder(SPLINTR, "list", "bytes", BYTES),
        _decoder(RIPTOKEN, "list", "bytes", BYTES),
        _decoder(PYTOK, "array", "bytes", BYTES),
        _decoder(TIKTOKEN, "array", "bytes", BYTES),
        _decoder(GIGATOKEN, "array", "bytes", TEXT),
        _decoder(TOKTOK, "array", "bytes", BYTES),
        _decoder(SPLINTR, "array", "bytes", BYTES),
    ),
)

# ---------------------------------------------------------------- all texts in a call, all threads


def _threaded_lists(tokenizer: Any) -> Function:
    """For tiktoken and libraries with its interface."""
    return partial(tokenizer.encode_ordinary_batch, num_threads=process.cores())


def _pytok_flat(tokenizer: Any) -> Function:
    return partial(
        tokenizer.encode_batch_to_numpy, num_threads=process.cores(), disallowed_special=()
    )


def _tokenizers_lists(tokenizer: Any) -> Function:
    encode = partial(tokenizer.encode_batch_fast, add_special_tokens=False)
    return lambda texts: [encoding.ids for encoding in encode(texts)]


def _rs_bpe_lists(tokenizer: Any) -> Function:
    return lambda texts: tokenizer.encode_batch_parallel(texts, None)[0]


def _split(flat: tuple[Any, Any]) -> list[Any]:
    """Split the ids of all texts at the offsets of each text."""
    ids, offsets = flat
    return np.split(ids, offsets[1:-1])


def _of_buffers(flat: tuple[bytes, bytes]) -> list[Any]:
    ids, offsets = flat
    return _split((np.frombuffer(ids, np.uint32), np.frombuffer(offsets, np.uint64)))


def _of_awkward(array: Any) -> list[Any]:
    layout = array.layout
    return _split((np.asarray(layout.content.data), np.asarray(layout.offsets.data)))


ORDINARY_BATCH: Function = attrgetter("encode_ordinary_batch")

BATCH = Operation(
    "encode a batch",
    lambda sample: [sample.texts],
    _ids,
    (
        Contestant(PYTOK, "lists", _threaded_lists),
        Contestant(TIKTOKEN, "lists", _threaded_lists),
        Contestant(TOKENIZERS, "lists", _tokenizers_lists),
        Contestant(GIGATOKEN, "lists", attrgetter("encode_batch_list")),
        Contestant(SPLINTR, "lists", attrgetter("encode_batch")),
        Contestant(RIPTOKEN, "lists", ORDINARY_BATCH),
        Contestant(BPE_OPENAI, "lists", ORDINARY_BATCH),
        Contestant(RS_BPE, "lists", _rs_bpe_lists),
        Contestant(PYTOK, "array", _pytok_flat, read=_split),
        Contestant(GIGATOKEN, "array", attrgetter("encode_batch"), read=_of_awkward),
        Contestant(TOKTOK, "array", attrgetter("encode_batch_to_numpy"), read=_split),
        Contestant(QUICKTOK, "array", attrgetter("encode_batch"), read=_split),
        Contestant(SPLINTR, "array", attrgetter("encode_batch_flat"), read=_of_buffers),
    ),
    batch=True,
)


def _files(sample: Sample) -> list[str]:
    """Write a file for each text."""
    paths = [sample.folder / f"{len(text)}.txt" for text in sample.texts]
    for path, text in zip(paths, sample.texts, strict=True):
        path.write_bytes(text.encode())
    return [str(path) for path in paths]


def _cut(encode: Function) -> Function:
    """For a library that reads no files: read, cut into documents, encode them as a batch."""
    return lambda path: encode(list(texts.documents(Path(path).read_bytes().decode())))


def _pytok_file(tokenizer: Any) -> Function:
    return lambda path: tokenizer.encode_files([path], num_threads=process.cores())


def _tiktoken_file(tokenizer: Any) -> Function:
    return _cut(_threaded_lists(tokenizer))


def _tokenizers_file(tokenizer: Any) -> Function:
    return _cut(_tokenizers_lists(tokenizer))


def _toktok_file(tokenizer: Any) -> Function:
    return _cut(tokenizer.encode_batch_to_numpy)


def _quicktok_file(tokenizer: Any) -> Function:
    return _cut(tokenizer.encode_batch)


def _splintr_file(tokenizer: Any) -> Function:
    return _cut(tokenizer.encode_batch_flat)


def _joined(lists: list[list[int]]) -> list[Any]:
    return [np.fromiter(chain.from_iterable(lists), np.uint32)]


def _first(flat: tuple[Ids, Any]) -> list[Any]:
    return [flat[0]]


def _first_buffer(flat: tuple[bytes, bytes]) -> list[Any]:
    return [np.frombuffer(flat[0], np.uint32)]


def _content(array: Any) -> list[Any]:
    return [np.asarray(array.layout.content.data)]


FILE = Operation(
    "encode a file",
    _files,
    _ids,
    (
        Contestant(PYTOK, "array", _pytok_file, read=_first),
        Contestant(TIKTOKEN, "lists", _tiktoken_file, read=_joined),
        Contestant(TOKENIZERS, "lists", _tokenizers_file, read=_joined),
        Contestant(GIGATOKEN, "array", attrgetter("encode_files"), read=_content),
        Contestant(TOKTOK, "array", _toktok_file, read=_first),
        Contestant(QUICKTOK, "array", _quicktok_file, read=_first),
        Contestant(SPLINTR, "array", _splintr_file, read=_first_buffer),
    ),
    batch=True,
)


def _lists(batch: list[Ids]) -> list[list[int]]:
    return [_list(ids) for ids in batch]


def _threaded_texts(tokenizer: Any) -> Function:
    return partial(tokenizer.decode_batch, num_threads=process.cores())


def _tokenizers_texts(tokenizer: Any) -> Function:
    return partial(tokenizer.decode_batch, skip_special_tokens=False)


def _gigatoken_texts(tokenizer: Any) -> Function:
    return tokenizer.as_tiktoken().decode_batch  # type: ignore[no-any-return]


TEXTS: Function = attrgetter("decode_batch")

DECODE_BATCH = Operation(
    "decode a batch",
    lambda sample: [sample.ids],
    _texts,
    tuple(
        Contestant(library, "list to text", function, prepare=_lists)
        for library, function in (
            (PYTOK, _threaded_texts),
            (TIKTOKEN, _threaded_texts),
            (TOKENIZERS, _tokenizers_texts),
            (GIGATOKEN, _gigatoken_texts),
            (TOKTOK, TEXTS),
            (QUICKTOK, TEXTS),
            (SPLINTR, TEXTS),
            (RS_BPE, TEXTS),
        )
    ),
    batch=True,
)

OPERATIONS = {each.name: each for each in (ENCODE, COUNT, DECODE, BATCH, FILE, DECODE_BATCH)}
