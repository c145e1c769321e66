"""What the libraries are asked, each question a `Verb`, each way to answer it a `Contestant`.

All are called as their own documentation calls them for text that is to be ordinary text. A new
peer is a row in `libraries` and one here for each thing that it can do.
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


def _itself(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Contestant:
    """One library's way to answer, of a *form* such as "list" or "array".

    *function* is what is timed, out of what the library opened. *take* makes its argument, *read*
    makes its result comparable; neither is timed.
    """

    library: Library
    form: str
    function: Function
    take: Function = _itself
    read: Function = _itself


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts, the ids of each, and a folder to write files in."""

    texts: list[str]
    ids: list[Ids]
    folder: Path


@dataclass(frozen=True, slots=True)
class Verb:
    """One question: *given* is what is handed over, *right* what must come back for each of it.

    Where *whole*, all is handed over in one call, which may use all threads; else the items go one
    by one on one thread.
    """

    name: str
    given: Callable[[Sample], list[Any]]
    right: Callable[[Sample], list[Any]]
    contestants: Sequence[Contestant]
    whole: bool = False


def _texts(sample: Sample) -> list[str]:
    return sample.texts


def _ids(sample: Sample) -> list[Ids]:
    return sample.ids


# --------------------------------------------------------------------- one by one, on one thread


def _numpy(tokenizer: Any) -> Function:
    """Of tiktoken and those that have its interface."""
    return partial(tokenizer.encode_to_numpy, disallowed_special=())


def _tokenizers_list(tokenizer: Any) -> Function:
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def _gigatoken_list(tokenizer: Any) -> Function:
    return tokenizer.as_tiktoken().encode_ordinary  # type: ignore[no-any-return]


ORDINARY: Function = attrgetter("encode_ordinary")

ENCODE = Verb(
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
    """Of a library that does not count: how many ids *encode* gives."""
    return lambda text: len(encode(text))


COUNT = Verb(
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
    found: list[int] = ids.tolist()
    return found


def _decoder(library: Library, source: str, result: str, function: Function) -> Contestant:
    take: Function = _list if source == "list" else _itself
    read: Function = bytes.decode if result == "bytes" else _itself
    return Contestant(library, f"{source} to {result}", function, take, read)


def _tokenizers_text(tokenizer: Any) -> Function:
    return partial(tokenizer.decode, skip_special_tokens=False)


def _gigatoken_text(tokenizer: Any) -> Function:
    return tokenizer.as_tiktoken().decode  # type: ignore[no-any-return]


TEXT: Function = attrgetter("decode")
BYTES: Function = attrgetter("decode_bytes")

DECODE = Verb(
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

# ------------------------------------------------------------------ all in one call, all threads


def _threaded_lists(tokenizer: Any) -> Function:
    """Of tiktoken and those that have its interface."""
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
    """The ids of each text, out of all ids and the offsets where each text's begin."""
    ids, offsets = flat
    return np.split(ids, offsets[1:-1])


def _of_buffers(flat: tuple[bytes, bytes]) -> list[Any]:
    ids, offsets = flat
    return _split((np.frombuffer(ids, np.uint32), np.frombuffer(offsets, np.uint64)))


def _of_awkward(array: Any) -> list[Any]:
    layout = array.layout
    return _split((np.asarray(layout.content.data), np.asarray(layout.offsets.data)))


ORDINARY_BATCH: Function = attrgetter("encode_ordinary_batch")

BATCH = Verb(
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
    whole=True,
)


def _files(sample: Sample) -> list[str]:
    """A file for each text."""
    paths = [sample.folder / f"{len(text)}.txt" for text in sample.texts]
    for path, text in zip(paths, sample.texts, strict=True):
        path.write_bytes(text.encode())
    return [str(path) for path in paths]


def _cut(encode: Function) -> Function:
    """Of a library that reads no files: read it, cut it into documents, encode them in a batch."""
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


FILE = Verb(
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
    whole=True,
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

DECODE_BATCH = Verb(
    "decode a batch",
    lambda sample: [sample.ids],
    _texts,
    tuple(
        Contestant(library, "list to text", function, take=_lists)
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
    whole=True,
)

VERBS = {verb.name: verb for verb in (ENCODE, COUNT, DECODE, BATCH, FILE, DECODE_BATCH)}
