"""What a file is, by its content: suffixes lie, and the same format has many names.

`read_tokenizer` reads a file that can hold a tokenizer, and raises FormatError for all that cannot,
with what it is and what to do. `read` reads any text beside a tokenizer.
"""

import base64
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from pytok.blocks import BLOCK_BYTES
from pytok.errors import FormatError

Decided = TypeVar("Decided")

MAX_BYTES = 1 << 28
"""Most bytes of a tokenizer file, decompressed; the largest published ones have 40 million."""
HEAD_BYTES = 1 << 16
"""Bytes at the beginning of a file that decide what it is."""


class Kind(Enum):
    """The formats of single files that pytok reads; `JSON` can be any, see `json_kind`."""

    RANKS = auto()
    PICKLE = auto()
    TOKENIZER_JSON = auto()
    TEKKEN = auto()
    CLIP = auto()
    JSON = auto()


_ASK = "pass the tokenizer.json of the model"
_MAGIC = {
    b"GGUF": f"a model of llama.cpp (GGUF): {_ASK} that it was made from",
    b"PK\x03\x04": f"a zip archive, as checkpoints of PyTorch are: {_ASK}, or unpack the archive",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: decompress it first (zstd -d)",
    b"\xfd7zXZ\0": "compressed with xz: decompress it first (xz -d)",
    b"BZh": "compressed with bzip2: decompress it first (bzip2 -d)",
    b"PAR1": f"a table of data (parquet): {_ASK}",
    b"\x93NUMPY": f"an array of NumPy: {_ASK}",
    b"SQLite format 3\0": f"a database (SQLite): {_ASK}",
    b"version https://git-lfs.github.com/spec/": "a pointer of Git LFS, not the file itself: get "
    "that with `git lfs pull`",
    b"\xff\xfe": "text in UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)",
    b"\xfe\xff": "text in UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)",
}
"""What a file is that starts with these bytes, and what to do."""

_FAILED_DOWNLOAD = "not a tokenizer but the answer of a server ({0}): download the file again"
_TWO_FILES = "one of two files, vocabulary and merges: pass the folder, {0}, with both of them"


def read(path: Path) -> bytes:
    """Return the content of *path*, decompressed if it is gzip.

    Raises FormatError if it is larger than `MAX_BYTES`, and if its beginning shows that it is no
    text of a tokenizer.
    """
    return _read(path, lambda head: None)[1]


def read_tokenizer(path: Path) -> tuple[Kind, bytes]:
    """Return the format and the content of *path*, decompressed if it is gzip.

    Raises FormatError for what is no tokenizer that pytok reads, of which only the beginning is
    read, with what it is and what to do.
    """
    return _read(path, lambda head: _kind(path, head))


def _read(path: Path, decide: Callable[[bytes], Decided]) -> tuple[Decided, bytes]:
    """Return what *decide* returns for the beginning of *path*, and its content."""
    with path.open("rb") as file:
        if not (isinstance(file, io.BufferedReader) and file.peek(2)[:2] == b"\x1f\x8b"):
            return _rest(path, file, decide)
        with gzip.GzipFile(fileobj=file, mode="rb") as decompressed:
            try:
                return _rest(path, cast(BinaryIO, decompressed), decide)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise FormatError(f"{path}: the gzip file is damaged: {error}") from None


def _rest(path: Path, file: BinaryIO, decide: Callable[[bytes], Decided]) -> tuple[Decided, bytes]:
    head = file.read(HEAD_BYTES)
    for described in _DESCRIPTIONS:
        if what := described(path, head):
            raise FormatError(f"{path}: this is {what}")
    decided = decide(head)
    # In blocks: a file object reserves all that it is asked for.
    blocks, size = [head], len(head)
    while size <= MAX_BYTES and (block := file.read(BLOCK_BYTES)):
        blocks.append(block)
        size += len(block)
    if size > MAX_BYTES:
        raise FormatError(f"{path}: the file is larger than any tokenizer ({MAX_BYTES:,} bytes)")
    return decided, b"".join(blocks)


def _kind(path: Path, head: bytes) -> Kind:
    """Return the format of *path*, which starts with *head*."""
    if head.startswith(b'"bpe_simple_vocab_16e6.txt#version'):
        return Kind.CLIP
    if _PICKLE.match(head):
        return Kind.PICKLE
    if _JSON.match(head) or path.suffix == ".json":
        if _is_json_lines(head):
            raise FormatError(
                f"{path}: this is JSON lines, a corpus rather than a tokenizer: {_ASK}"
            )
        return Kind.TOKENIZER_JSON if _SECTION.match(head) else Kind.JSON
    first = next((line for line in head.splitlines() if line.strip()), b"")
    # The suffix decides only where the first line is damaged.
    if _is_rank(first) or (path.suffix == ".tiktoken" and not _MERGES_VERSION.match(head)):
        return Kind.RANKS
    for is_it, what in _TEXTS:
        if is_it(head):
            raise FormatError(f"{path}: this is {what.format(path.parent)}")
    quoted = repr(head[:40])[1:]
    raise FormatError(
        f"{path}: not a tokenizer that pytok knows; it starts with {quoted}: pass a "
        "tokenizer.json, a list of ranks (.tiktoken), a tekken.json, or a folder with one of them"
    )


def json_kind(path: Path, document: object) -> Kind:
    """Return `TEKKEN`, or else `JSON`, for the parsed content of *path*.

    Raises FormatError for the other JSON files that lie beside a tokenizer, with what to pass.
    """
    if not isinstance(document, dict):
        return Kind.JSON
    if isinstance(document.get("vocab"), list) and isinstance(document.get("config"), dict):
        return Kind.TEKKEN
    if document and all(type(value) is int for value in document.values()):
        few = "a list of added tokens: pass the folder that it is from, {0}"
        what = few if len(document) < 256 else _TWO_FILES
        raise FormatError(f"{path}: this is {what.format(path.parent)}")
    for fields, what in _JSON_FILES:
        if "model" not in document and not fields.isdisjoint(document):
            raise FormatError(f"{path}: this is {what.format(path.parent)}")
    return Kind.JSON


_JSON_FILES = (
    (
        {"tokenizer_class", "added_tokens_decoder", "bos_token", "eos_token", "unk_token"},
        "a file of settings, not the tokenizer itself: pass the folder, {0}",
    ),
    ({"weight_map"}, f"the list of weights of a model: {_ASK}"),
    ({"architectures", "model_type"}, f"the configuration of a model: {_ASK}"),
)
"""Fields of other JSON files, what these are, and what to do."""


def _is_json_lines(head: bytes) -> bool:
    """Return whether the first line of *head* is a JSON object and the second starts another."""
    first, _, rest = head.lstrip().partition(b"\n")
    if not rest.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


_PICKLE = re.compile(rb"\x80[\x02-\x05]|\(?[dl]p?[01]?\n|\}q\x00|c(?:copy_reg|copyreg|tiktoken)")
_SECTION = re.compile(
    rb'\s*\{\s*"(?:version"\s*:\s*"|(?:added_tokens|truncation|padding|normalizer|pre_tokenizer|'
    rb'post_processor|decoder|model)"\s*:\s*[\[{n])'
)
"""The first field of a tokenizer.json."""
_JSON = re.compile(rb"\s*(?:\{|\[(?![A-Z]+\]))")  # [PAD] is the first word of WordPiece
_MERGES_VERSION = re.compile(rb"#version")


def _is_rank(line: bytes) -> bool:
    """Return whether *line* is a token in base64 and a rank; the token can be empty ("=")."""
    match line.split():
        case [token, rank] if rank.isdigit():
            try:
                return token == b"=" or bool(base64.b64decode(token, validate=True))
            except ValueError:
                return False
    return False


# --------------------------------------------------------------------------- what is no tokenizer


def _nothing(path: Path, head: bytes) -> str | None:
    return None if head.strip(b"\0 \r\n\t") else "an empty file: get it again"


def _magic(path: Path, head: bytes) -> str | None:
    return next((what for magic, what in _MAGIC.items() if head.startswith(magic)), None)


def _safetensors(path: Path, head: bytes) -> str | None:
    length = int.from_bytes(head[:8], "little")
    if 2 <= length < 100_000_000 and head[8:9] == b"{" and b"\0" in head[:8]:
        return f"weights of a model (safetensors): {_ASK}"
    return None


def _sentencepiece(path: Path, head: bytes) -> str | None:
    """Recognize the first piece of a model: a message with a string and a number or a type."""
    found = re.match(rb"\n([\x04-\x7f])\n([\x01-\x7f])", head)
    if found and found[2][0] + 2 < found[1][0] and head[4 + found[2][0]] in b"\x15\x18":
        return (
            "a model of SentencePiece, which merges characters: pytok reads byte-level BPE; if the "
            "model also has a tokenizer.json with ByteLevel, pass that"
        )
    return None


def _page(path: Path, head: bytes) -> str | None:
    start = head[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return _FAILED_DOWNLOAD.format("a web page")
    answers = (b"entry not found", b"repository not found", b"invalid username", b"access to model")
    if start.startswith((*answers, b"404", b"not found", b'{"error"')):
        return _FAILED_DOWNLOAD.format(repr(start[:30])[2:-1].strip())
    return None


_DESCRIPTIONS: tuple[Callable[[Path, bytes], str | None], ...] = (
    _nothing,
    _magic,
    _safetensors,
    _sentencepiece,
    _page,
)


def _lines(head: bytes) -> list[bytes]:
    """Return the complete lines of *head*, at most 100."""
    return head.splitlines()[: 100 if len(head) < HEAD_BYTES else -1][:100]


def _all_match(pattern: bytes) -> Callable[[bytes], bool]:
    line_of = re.compile(pattern)
    return lambda head: all(line_of.fullmatch(line) for line in _lines(head))


def _is_binary(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # The last character of a long head can be incomplete.
        return b"\0" in head or len(head) < HEAD_BYTES or error.start < len(head) - 4
    return b"\0" in head


_TEXTS: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (_is_binary, f"binary data of an unknown format: {_ASK}"),
    (lambda head: bool(_MERGES_VERSION.match(head)), _TWO_FILES),
    (
        _all_match(rb"""\d+ b?['"].*['"] \d+"""),
        "a vocabulary of RWKV World, of which the longest token is taken: it is not BPE, and pytok "
        "cannot read it",
    ),
    (
        _all_match(rb"\S+\t-?[\d.e-]+"),
        "a vocabulary list of SentencePiece, which merges characters: pytok reads byte-level BPE",
    ),
    (
        _all_match(rb"\S+ \d+"),
        "a list of words and counts, as of subword-nmt: pytok reads byte-level BPE",
    ),
    (_all_match(rb"\S+ \S+"), _TWO_FILES),
    (
        lambda head: b"\n##" in head or b"[UNK]" in head,
        "a vocabulary of WordPiece (BERT), which is not byte-level BPE: pytok cannot read it",
    ),
    (
        _all_match(rb"\S+"),
        "a list of words, as WordPiece has (vocab.txt): pytok reads byte-level BPE",
    ),
)
"""Tests for what text is, from the most to the least certain, and what to say."""
