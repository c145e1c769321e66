"""A file, a pipe or an archive to spans of text, by its form."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from pytok.blocks import COMPRESSIONS, Stream, corpus_errors, open_stream, unpack
from pytok.corpus.archives import tar_members, zip_members
from pytok.corpus.files import is_pipe, size
from pytok.corpus.forms import (
    HEAD_BYTES,
    Form,
    check_text,
    form_in,
    form_of,
    starts_with_object,
)
from pytok.corpus.options import Options
from pytok.corpus.parquet import read_parquet
from pytok.corpus.text import Span, Text, read_json_lines, read_text
from pytok.errors import CorpusError

Reader: TypeAlias = Callable[[Stream, Options], Iterator[Span[Text]]]

STRINGS: Mapping[str, Reader[str]] = {"text": read_text, "jsonl": read_json_lines}
"""The readers of the formats that are streamed."""


def _utf8_of(read: Reader[str]) -> Reader[bytes]:
    def read_encoded(stream: Stream, options: Options) -> Iterator[Span[bytes]]:
        return ((text.encode(), ends, at) for text, ends, at in read(stream, options))

    return read_encoded


def _read_bytes(stream: Stream, options: Options) -> Iterator[Span[bytes]]:
    """Read *stream* as one document, without a check of its UTF-8 if it is verbatim."""
    if not options.is_verbatim:
        return _utf8_of(read_text)(stream, options)
    return ((block, not block, position) for block, position in stream.blocks())


CHECKED_UTF8: Mapping[str, Reader[bytes]] = {
    format: _utf8_of(read) for format, read in STRINGS.items()
}
"""The readers of `STRINGS` for bytes."""

UTF8: Mapping[str, Reader[bytes]] = {**CHECKED_UTF8, "text": _read_bytes}
"""The same, but text is not checked."""


def read_strings(path: Path, options: Options) -> Iterator[Span[str]]:
    """Read the file or the pipe at *path*. Raises CorpusError."""
    if _is_parquet(path, options):
        return read_parquet(path, options)
    return _read(path, options, STRINGS)


def read_bytes(path: Path, options: Options) -> Iterator[Span[bytes]]:
    """Read the file or the pipe at *path* as UTF-8. Raises CorpusError."""
    if _is_parquet(path, options):
        return ((text.encode(), ends, at) for text, ends, at in read_parquet(path, options))
    # A pipe cannot be read again to report where it is not UTF-8.
    return _read(path, options, CHECKED_UTF8 if is_pipe(path) else UTF8)


def is_one_text(path: Path, options: Options) -> bool:
    """Return whether *path* is one document as it is on disk: a file of text, not compressed.

    Raises CorpusError for a file of a form that cannot be read, or of another than its name says.
    """
    if is_pipe(path) or form_of(str(path), options) != Form():
        return False
    with corpus_errors(path, OSError), path.open("rb") as file:
        check_text(str(path), file.read(HEAD_BYTES), options)
    return options.is_verbatim


def _is_parquet(path: Path, options: Options) -> bool:
    form = form_of(str(path), options)
    is_parquet = form.format == "parquet" and not form.archive
    if is_pipe(path) and (is_parquet or form.archive == "zip"):
        raise CorpusError(
            f"{path}: {form.archive or form.format} is read from its end, which a pipe does not "
            "have: write it to a file first"
        )
    return is_parquet


def _read(
    path: Path, options: Options, readers: Mapping[str, Reader[Text]]
) -> Iterator[Span[Text]]:
    form = form_of(str(path), options)
    with corpus_errors(path, OSError, EOFError):
        if form.archive == "zip":
            on_disk = size([path])
            members = zip_members(path, options.skipped)
            yield from _read_members(members, options, readers, lambda: on_disk)
            return
        with open_stream(path) as stream:
            content = unpack(stream, form.compression) if form.compression else stream
            if is_pipe(path):
                content, form = _by_content(content, path, form, options)
            if form.archive:
                members = tar_members(content, options.skipped)
                yield from _read_members(members, options, readers, stream.position)
            else:
                yield from _read_documents(content, form.format, options, readers)


def _by_content(stream: Stream, path: Path, form: Form, options: Options) -> tuple[Stream, Form]:
    """Return the content of the pipe *stream*, and its form, as far as the name does not say it."""
    found = form_in(stream.peek(HEAD_BYTES))
    if found in COMPRESSIONS and not form.compression:
        stream = unpack(stream, found)
        found = form_in(stream.peek(HEAD_BYTES))
    if found == "tar":
        form = form._replace(archive="tar")
    elif not (path.suffix or options.format) and starts_with_object(stream):
        form = form._replace(format="jsonl")
    return stream, form


def _read_members(
    members: Iterator[Stream],
    options: Options,
    readers: Mapping[str, Reader[Text]],
    end: Callable[[], int],
) -> Iterator[Span[Text]]:
    """Read each of *members* by its own name; *end* returns the position after all of them."""
    name = ""
    for member in members:
        name = member.name
        form = form_of(name, options)
        if form.archive or form.format == "parquet":
            raise CorpusError(
                f"{name}: {form.archive or form.format} in an archive cannot be read: unpack the "
                "archive, and pass the folder"
            )
        content = unpack(member, form.compression) if form.compression else member
        with corpus_errors(name, OSError, EOFError):
            yield from _read_documents(content, form.format, options, readers)
    yield from readers["text"](Stream(name, iter(()), end), options)


def _read_documents(
    content: Stream, format: str, options: Options, readers: Mapping[str, Reader[Text]]
) -> Iterator[Span[Text]]:
    check_text(content.name, content.peek(HEAD_BYTES), options)
    yield from readers[format](content, options)
