"""Bytes to spans of text, by their format: text or JSON lines.

A reader ends the last document that it starts, and its last span is at the end of the bytes.
"""

import codecs
import json
from collections.abc import Iterator
from typing import NoReturn, TypeAlias, TypeVar

from pytok.blocks import Stream, check_expansion
from pytok.corpus.fields import text_in
from pytok.corpus.options import REPLACE, Options
from pytok.errors import CorpusError

Text = TypeVar("Text", str, bytes)

Span: TypeAlias = tuple[Text, bool, int]
"""Text, whether a document ends with it, and the position in the file on disk after it."""


def read_text(stream: Stream, options: Options) -> Iterator[Span[str]]:
    """Read *stream* as one document, or as the documents between the separators."""
    separator = options.separator
    rest, position = "", 0
    for text, position in _characters(stream, options.errors):
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


def read_json_lines(stream: Stream, options: Options) -> Iterator[Span[str]]:
    """Read the text in one field of the object on each line (https://jsonlines.org)."""
    offset = position = 0
    for number, (line, position) in enumerate(_lines(stream), start=1):
        where = f"{stream.name}, line {number:,}"
        try:
            text = line.decode("utf-8", options.errors)
        except UnicodeDecodeError as error:
            reject_bytes(where, offset, error)
        if number == 1:
            text = text.removeprefix("\ufeff")  # a mark of the file, not of a document
        if text and not text.isspace():
            options.skipped.rows += 1
            yield _json_field(text, where, options) or "", True, position
        offset += len(line) + 1
    yield "", True, position


def reject_bytes(where: str, offset: int, error: UnicodeDecodeError) -> NoReturn:
    """Raise CorpusError for *error* in the bytes from *offset* of *where*."""
    if offset == 0 and error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise CorpusError(f"{where}: is UTF-16; convert it: iconv -f UTF-16 -t UTF-8") from None
    raise CorpusError(
        f"{where}: byte {offset + error.start:,} is not UTF-8 (0x{error.object[error.start]:02x}); "
        f"convert the file, or {REPLACE}"
    ) from None


def _json_field(line: str, where: str, options: Options) -> str | None:
    try:
        record = json.loads(line)
        if isinstance(record, dict):
            return text_in(record, where, options)
    except json.JSONDecodeError as error:
        raise CorpusError(f"{where}, column {error.colno:,}: not JSON: {error.msg}") from None
    except CorpusError:
        raise
    except (ValueError, RecursionError) as error:  # beyond Python's limit of digits or nesting
        raise CorpusError(f"{where}: cannot be read: {error}") from None
    raise CorpusError(f"{where}: not a JSON object with a field {options.field!r}")


# Bytes to characters or lines, each with the position in the file on disk after it.


def _characters(stream: Stream, errors: str) -> Iterator[tuple[str, int]]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    offset = 0
    for block, position in stream.blocks():
        # A character across blocks waits in the decoder: an error can lie before this block.
        waiting = len(decoder.getstate()[0])
        try:
            yield decoder.decode(block, final=not block), position
        except UnicodeDecodeError as error:
            reject_bytes(stream.name, offset - waiting, error)
        offset += len(block)


def _lines(stream: Stream) -> Iterator[tuple[bytes, int]]:
    """Split at newlines: the last line is empty if the file ends with one."""
    pending: list[bytes] = []
    length = position = 0
    for block, position in stream.blocks():
        first, *others = block.split(b"\n")
        pending.append(first)
        length += len(first)
        check_expansion(stream.name, length, stream.on_disk)
        for line in others:
            yield b"".join(pending), position
            pending, length = [line], len(line)
    yield b"".join(pending), position
