"""A file to spans of text, by its format: text, JSON lines or parquet.

A reader ends the last document that it starts.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeAlias, TypeVar

from pytok.blocks import corpus_errors, is_compressed, library, read_blocks
from pytok.corpus.files import size
from pytok.errors import CorpusError

Text = TypeVar("Text", str, bytes)

Span: TypeAlias = tuple[Text, bool, int]
"""Text, whether a document ends with it, and the position in the file on disk after it."""

REPLACE = "pass errors='replace' (--errors replace)"  # the advice for text that is not UTF-8

_PARQUET_ROWS = 256
"""Rows decoded at a time: a row of a web corpus is some kilobytes, a book is a megabyte."""


class Options(NamedTuple):
    """Arguments of `pytok.corpus.read_parts` that readers use."""

    field: str
    errors: str
    separator: str | None

    def check(self) -> "Options":
        """Return the same options. Raises CorpusError for invalid ones."""
        if self.errors not in ("strict", "replace"):
            raise CorpusError(f"errors={self.errors!r} is unknown; pass 'strict' or 'replace'")
        if self.separator == "":
            raise CorpusError("the separator is empty; pass None for no separator")
        return self


Reader = Callable[[Path, Options], Iterator[Span[str]]]


def reader_of(path: Path) -> Reader:
    """Return the reader for the format of *path*, by its suffix."""
    suffix = path.suffix.lower()
    if is_compressed(path):
        suffix = path.with_suffix("").suffix.lower()
        if suffix == ".parquet":
            raise CorpusError(f"{path}: parquet is compressed inside; decompress the file first")
    return _READERS.get(suffix, read_text)


def read_text(path: Path, options: Options) -> Iterator[Span[str]]:
    """Read the file as one document, or as the documents between the separators."""
    separator = options.separator
    rest, position = "", 0
    for text, position in _characters(path, options.errors):
        if separator is None:
            yield text, False, position
            continue
        *documents, rest = (rest + text).split(separator)
        for document in documents:
            yield document, True, position
        # The end of the rest can be the start of a separator: it waits for the next block.
        safe = max(0, len(rest) - len(separator) + 1)
        yield rest[:safe], False, position
        rest = rest[safe:]
    yield rest, True, position


def read_json_lines(path: Path, options: Options) -> Iterator[Span[str]]:
    """Read the string in one field of the object on each line (https://jsonlines.org)."""
    offset = 0
    for number, (line, position) in enumerate(_lines(path), start=1):
        where = f"{path}, line {number:,}"
        try:
            text = line.decode("utf-8", options.errors)
        except UnicodeDecodeError as error:
            _reject_bytes(where, offset, error)
        if number == 1:
            text = text.removeprefix("\ufeff")  # a mark of the file, not of a document
        if text and not text.isspace():
            yield _json_field(text, where, options), True, position
        offset += len(line) + 1


def _json_field(line: str, where: str, options: Options) -> str:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(f"{where}, column {error.colno:,}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # beyond Python's limit of digits or nesting
        raise CorpusError(f"{where}: cannot be read: {error}") from None
    if not isinstance(record, dict):
        raise CorpusError(f"{where}: not a JSON object with a field {options.field!r}")
    if options.field not in record:
        _reject_field(where, options.field, record)
    text = record[options.field]
    if not isinstance(text, str):
        found = "null" if text is None else type(text).__name__
        raise CorpusError(f"{where}: field {options.field!r} is {found}, not a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        if options.errors == "strict":
            raise CorpusError(
                f"{where}: field {options.field!r} contains a lone surrogate "
                f"(\\u{ord(text[error.start]):04x}); fix the file, or {REPLACE}"
            ) from None
        text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text


def read_parquet(path: Path, options: Options) -> Iterator[Span[str]]:
    """Read the strings of one column, a batch of rows at a time."""
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    field, on_disk, row = options.field, size([path]), 0
    # Without pre_buffer the pages of a row group are read as they are needed, not all at once.
    with (
        corpus_errors(path, arrow.ArrowException, OSError),
        parquet.ParquetFile(path, pre_buffer=False) as file,
    ):
        schema, rows = file.schema_arrow, file.metadata.num_rows
        if schema.names.count(field) != 1:
            _reject_field(str(path), field, schema.names)
        kind = schema.field(field).type
        values = kind.value_type if arrow.types.is_dictionary(kind) else kind
        if str(values) not in ("string", "large_string", "string_view"):
            raise CorpusError(f"{path}: column {field!r} is {kind}, not string")
        for batch in file.iter_batches(_PARQUET_ROWS, columns=[field]):
            # As bytes, because arrow does not check that its strings are UTF-8.
            for value in batch.column(0).cast(arrow.large_binary()).to_pylist():
                row += 1
                where = f"{path}, row {row:,}"
                if value is None:
                    raise CorpusError(f"{where}: column {field!r} is null, not a string")
                try:
                    text = value.decode("utf-8", options.errors)
                except UnicodeDecodeError as error:
                    _reject_bytes(where, 0, error)
                yield text, True, on_disk * row // rows


_READERS: dict[str, Reader] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
}


# Bytes: a file to characters or lines, each with the position in the file on disk after it.


def _characters(path: Path, errors: str) -> Iterator[tuple[str, int]]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    offset = 0
    for block, position in read_blocks(path):
        # A character across blocks waits in the decoder: an error can lie before this block.
        waiting = len(decoder.getstate()[0])
        try:
            yield decoder.decode(block, final=not block), position
        except UnicodeDecodeError as error:
            _reject_bytes(str(path), offset - waiting, error)
        offset += len(block)


def _lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Split at newlines: the last line is empty if the file ends with one."""
    pending: list[bytes] = []
    position = 0
    for block, position in read_blocks(path):
        first, *others = block.split(b"\n")
        pending.append(first)
        for line in others:
            yield b"".join(pending), position
            pending = [line]
    yield b"".join(pending), position


# Errors that several formats share.


def _reject_bytes(where: str, offset: int, error: UnicodeDecodeError) -> NoReturn:
    if offset == 0 and error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise CorpusError(f"{where}: is UTF-16; convert it: iconv -f UTF-16 -t UTF-8") from None
    raise CorpusError(
        f"{where}: byte {offset + error.start:,} is not UTF-8 (0x{error.object[error.start]:02x}); "
        f"convert the file, or {REPLACE}"
    ) from None


def _reject_field(where: str, field: str, fields: Iterable[str]) -> NoReturn:
    known = ", ".join(map(repr, fields)) or "none"
    raise CorpusError(f"{where}: no field {field!r}; the fields are {known}")
