"""Files and folders to documents, streaming.

Text, ``.jsonl`` and ``.parquet``, plain or ``.gz`` / ``.zst``, come out as one stream of `Part`.
Memory stays bounded however large the corpus is: a text file of 20 GB is one document, and is
handed out in parts of about a megabyte, cut where no piece of a known pattern can cross. Nothing
is cleaned here: no newline translated, no byte order mark dropped, no text normalised.
"""

import codecs
import glob
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, NamedTuple, NoReturn, TypeAlias, TypeVar

from pytok.blocks import is_packed, library, read_blocks, refusing
from pytok.errors import CorpusError
from pytok.patterns import last_cut, last_cut_of_utf8

T = TypeVar("T")
Text = TypeVar("Text", str, bytes)

Source: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A file, a folder, a pattern such as ``data/**/*.jsonl``, or several of them."""

PART_CHARACTERS = 1 << 20
"""About a part's length, or bytes of UTF-8: a call of the encoder has enough to do."""

BATCH_CHARACTERS = 1 << 24
"""Text encoded at a time: all threads stay busy, and its ids take less than 100 MB."""

BATCH_PARTS = 1 << 16
"""Parts encoded at a time, which bounds the memory that very short documents take."""

REPLACE = "pass errors='replace' (--errors replace)"  # advised where text is not UTF-8

_PARQUET_ROWS = 256
"""Decoded at a time: the rows of web corpora are some kilobytes, and a book is a megabyte."""


@dataclass(frozen=True, slots=True)
class Part(Generic[Text]):
    """A stretch of a document; a document's parts concatenate to exactly its text."""

    text: Text
    ends_document: bool
    read: int
    """Bytes on disk, compressed as they lie there, consumed since the part before this one."""


_Span: TypeAlias = tuple[Text, bool, int]
"""Text as a format yields it, whether a document ends, and how far into the file that was."""


class _Options(NamedTuple):
    field: str
    errors: str
    separator: str | None


def resolve(source: Source) -> list[Path]:
    """List the files that *source* names, in the order they will be read.

    A folder stands for the regular files below it, sorted by path; hidden files and folders
    (their names begin with a dot) are skipped there, and by the wildcards of a pattern. A pattern
    stands for its matches, sorted, each once. Several sources follow one another as given, and
    a file named twice is read twice.

    Raises CorpusError for a source that does not exist, or that holds no file.
    """
    sources = [source] if isinstance(source, str | os.PathLike) else source
    files = [file for each in sources for file in _files(os.fspath(each))]
    if not files:
        raise CorpusError("the corpus names no file; name at least one file or folder")
    return files


def size(paths: Iterable[Path]) -> int:
    """Sum the bytes on disk of *paths*: what the `Part.read` of their parts sum to."""
    total = 0
    for path in paths:
        with refusing(path, OSError):
            total += path.stat().st_size
    return total


def read_documents(
    source: Source, *, field: str = "text", errors: str = "strict", separator: str | None = None
) -> Iterator[str]:
    """Yield the documents of *source*, each whole; arguments and errors are `read_parts`'s."""
    parts = read_parts(source, field=field, errors=errors, separator=separator, cut=False)
    return (part.text for part in parts)


def read_parts(
    source: Source,
    *,
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    cut: bool = True,
) -> Iterator[Part[str]]:
    """Yield the documents of *source*, in order, in parts of about `PART_CHARACTERS`.

    ``.jsonl`` and ``.ndjson``: a line is a document, the string in its *field*; blank lines may
    occur. ``.parquet``: a row is a document, the string in the column *field*. Any other file is
    one document, or, with *separator*, the documents between its occurrences. All but parquet,
    which is compressed within, may be wrapped in ``.gz`` or ``.zst``. A document without text is
    left out. If there is any part, their `read` sum to `size` of the files.

    Invalid UTF-8, and half a surrogate pair in a JSON string, raise CorpusError with
    ``errors="strict"`` and become U+FFFD with ``errors="replace"``, as ``bytes.decode`` has it.

    Parts end where `last_cut` allows, so a document that allows no cut is one part whatever its
    length; ``cut=False`` makes one part of every document, for patterns that cannot be cut.

    Raises CorpusError, at once, for a source that `resolve` refuses or a bad argument; while
    reading, for a document that cannot be read, with its file and line, row or byte.
    """
    options = _options(field, errors, separator)
    paths = resolve(source)
    return _read(paths, lambda path: _format(path)(path, options), last_cut if cut else None)


def read_utf8(
    source: Source,
    *,
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    cut: bool = True,
) -> Iterator[Part[bytes]]:
    """Yield the documents of `read_parts` in UTF-8, which need not end their parts at its places.

    Of a text file no strings are made, unless there is a *separator* or errors are replaced. So
    nobody has looked whether it is UTF-8, which is left to whoever takes the parts; `read_parts`
    says where it is not.
    """
    options = _options(field, errors, separator)

    def spans(path: Path) -> Iterator[_Span[bytes]]:
        spans_of_text = _format(path)
        if spans_of_text is _text and errors == "strict" and separator is None:
            return ((block, not block, position) for block, position in read_blocks(path))
        found = spans_of_text(path, options)
        return ((text.encode(), ends_document, position) for text, ends_document, position in found)

    return _read(resolve(source), spans, last_cut_of_utf8 if cut else None)


def batches(found: Iterable[T], length: Callable[[T], int]) -> Iterator[list[T]]:
    """Gather what was *found*, each of some *length*, so that threads have enough to share.

    A batch has about `BATCH_CHARACTERS`, bytes of UTF-8, and `BATCH_PARTS` at most.
    """
    batch: list[T] = []
    characters = 0
    for each in found:
        batch.append(each)
        characters += length(each)
        if characters >= BATCH_CHARACTERS or len(batch) == BATCH_PARTS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def is_one_text(path: Path) -> bool:
    """Whether `read_parts` takes *path* as one document, as it lies on disk."""
    return not is_packed(path) and _format(path) is _text


def _options(field: str, errors: str, separator: str | None) -> _Options:
    if errors not in ("strict", "replace"):
        raise CorpusError(f"errors={errors!r} is not known; pass 'strict' or 'replace'")
    if separator == "":
        raise CorpusError("an empty separator separates nothing; pass None to split nowhere")
    return _Options(field, errors, separator)


def _read(
    paths: Iterable[Path],
    spans: Callable[[Path], Iterator[_Span[Text]]],
    cut: Callable[[Text], int] | None,
) -> Iterator[Part[Text]]:
    # One part is held back, so that bytes read after the last text still find a part to count in.
    held: Part[Text] | None = None
    unclaimed = 0
    for path in paths:
        position = 0
        for text, ends_document, reached in _regroup(spans(path), cut):
            if held:
                yield held
            held = Part(text, ends_document, reached - position + unclaimed)
            unclaimed, position = 0, reached
        unclaimed += size([path]) - position
    if held:
        yield replace(held, read=held.read + unclaimed)


def _regroup(
    spans: Iterable[_Span[Text]], cut: Callable[[Text], int] | None
) -> Iterator[_Span[Text]]:
    """Turn *spans* into parts: short ones joined, long ones cut, empty documents dropped."""
    pending: list[Text] = []
    length, reach = 0, PART_CHARACTERS
    for text, ends_document, position in spans:
        for start in range(0, len(text), PART_CHARACTERS):
            pending.append(text[start : start + PART_CHARACTERS])
            length += len(pending[-1])
            if not cut or length < reach:
                continue
            joined = text[:0].join(pending)
            at = cut(joined)
            if at:
                yield joined[:at], False, position
            pending, length = [joined[at:]], len(joined) - at
            # Without a cut the next try waits for twice the text: the search stays linear.
            reach = PART_CHARACTERS if at else 2 * length
        if ends_document:
            if length:
                yield text[:0].join(pending), True, position
            pending, length, reach = [], 0, PART_CHARACTERS


# Formats: a file to spans. Every one ends the last document that it begins.


def _format(path: Path) -> Callable[[Path, _Options], Iterator[_Span[str]]]:
    suffix = path.suffix.lower()
    if is_packed(path):
        suffix = path.with_suffix("").suffix.lower()
        if suffix == ".parquet":
            raise CorpusError(f"{path}: parquet is compressed within; unpack the file first")
    return _FORMATS.get(suffix, _text)


def _text(path: Path, options: _Options) -> Iterator[_Span[str]]:
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
        # The end of the rest may be the beginning of a separator: it waits for the next block.
        safe = max(0, len(rest) - len(separator) + 1)
        yield rest[:safe], False, position
        rest = rest[safe:]
    yield rest, True, position


def _json_lines(path: Path, options: _Options) -> Iterator[_Span[str]]:
    """Read the string in one field of the object on each line (https://jsonlines.org)."""
    offset = 0
    for number, (line, position) in enumerate(_lines(path), start=1):
        where = f"{path}, line {number:,}"
        try:
            text = line.decode("utf-8", options.errors)
        except UnicodeDecodeError as error:
            _refuse_bytes(where, offset, error)
        if number == 1:
            text = text.removeprefix("\ufeff")  # a mark of the file, not of a document
        if text and not text.isspace():
            yield _json_field(text, where, options), True, position
        offset += len(line) + 1


def _json_field(line: str, where: str, options: _Options) -> str:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(f"{where}, column {error.colno:,}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # an integer, or a nesting, past Python's limit
        raise CorpusError(f"{where}: cannot be read: {error}") from None
    if not isinstance(record, dict):
        raise CorpusError(f"{where}: not a JSON object with a field {options.field!r}")
    if options.field not in record:
        _refuse_field(where, options.field, record)
    text = record[options.field]
    if not isinstance(text, str):
        found = "null" if text is None else type(text).__name__
        raise CorpusError(f"{where}: field {options.field!r} is {found}, not a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        if options.errors == "strict":
            raise CorpusError(
                f"{where}: field {options.field!r} holds half a surrogate pair "
                f"(\\u{ord(text[error.start]):04x}); mend the file, or {REPLACE}"
            ) from None
        text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text


def _parquet(path: Path, options: _Options) -> Iterator[_Span[str]]:
    """Read the strings of one column, a batch of rows at a time."""
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    field, on_disk, row = options.field, size([path]), 0
    # Without pre_buffer the pages of a row group are read as they are needed, not all at once.
    with (
        refusing(path, arrow.ArrowException, OSError),
        parquet.ParquetFile(path, pre_buffer=False) as file,
    ):
        schema, rows = file.schema_arrow, file.metadata.num_rows
        if schema.names.count(field) != 1:
            _refuse_field(str(path), field, schema.names)
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
                    _refuse_bytes(where, 0, error)
                yield text, True, on_disk * row // rows


_FORMATS = {".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}


# Bytes: a file to characters or lines, each with how far into the file on disk it reaches.


def _characters(path: Path, errors: str) -> Iterator[tuple[str, int]]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    offset = 0
    for block, position in read_blocks(path):
        # A character across blocks waits in the decoder: an error may lie before this block.
        waiting = len(decoder.getstate()[0])
        try:
            yield decoder.decode(block, final=not block), position
        except UnicodeDecodeError as error:
            _refuse_bytes(str(path), offset - waiting, error)
        offset += len(block)


def _lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Split at newlines: the last line is empty when the file ends with one."""
    pending: list[bytes] = []
    position = 0
    for block, position in read_blocks(path):
        first, *others = block.split(b"\n")
        pending.append(first)
        for line in others:
            yield b"".join(pending), position
            pending = [line]
    yield b"".join(pending), position


# Paths, and the refusals that several formats share.


def _files(source: str) -> list[Path]:
    with refusing(source, OSError, ValueError):
        names = [source] if source and Path(source).exists() else []
        names = names or glob.glob(source, recursive=True)  # noqa: PTH207 (it may be absolute)
        found = {path for name in names for path in _walk(Path(name)) if path.is_file()}
    if not found:
        raise CorpusError(f"{source}: no such file, or a folder or pattern without regular files")
    return sorted(found, key=Path.as_posix)


def _walk(path: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> NoReturn:  # os.walk would pass over what it cannot list
        raise error

    if not path.is_dir():
        yield path
        return
    for parent, folders, names in os.walk(path, onerror=refuse):
        folders[:] = (name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _refuse_bytes(where: str, offset: int, error: UnicodeDecodeError) -> NoReturn:
    if offset == 0 and error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise CorpusError(f"{where}: is UTF-16; convert it: iconv -f UTF-16 -t UTF-8") from None
    raise CorpusError(
        f"{where}: byte {offset + error.start:,} is not UTF-8 (0x{error.object[error.start]:02x}); "
        f"convert the file, or {REPLACE}"
    ) from None


def _refuse_field(where: str, field: str, fields: Iterable[str]) -> NoReturn:
    known = ", ".join(map(repr, fields)) or "none"
    raise CorpusError(f"{where}: no field {field!r}; the fields are {known}")
