"""Files, folders, archives and pipes to documents, streaming.

Text, ``.jsonl`` and ``.parquet``, plain or compressed (``.gz``, ``.zst``, ``.xz``, ``.bz2``), and
archives of them (``.tar``, also compressed, and ``.zip``) become one stream of `Part`. Memory stays
bounded however large the corpus is: a text file of 20 GB is one document, in parts of about a
megabyte, cut where no piece of a known pattern crosses. Text is not cleaned: newlines, byte order
marks and Unicode normalization stay as they are.
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from pytok.corpus import readers
from pytok.corpus.files import Source, is_pipe, refuse_pipes, resolve, size
from pytok.corpus.options import REPLACE, Format, Missing, Options, Skipped, SkippedWarning
from pytok.corpus.parts import Part, batches, parts_of
from pytok.corpus.text import Span, Text
from pytok.patterns import last_cut, last_cut_of_utf8

__all__ = [
    "REPLACE",
    "Format",
    "Missing",
    "Part",
    "Skipped",
    "SkippedWarning",
    "Source",
    "batches",
    "is_one_text",
    "is_pipe",
    "read_documents",
    "read_parts",
    "read_utf8",
    "refuse_pipes",
    "resolve",
    "size",
]


def read_documents(
    source: Source,
    *,
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    missing: Missing = "error",
    format: Format | None = None,
) -> Iterator[str]:
    """Yield the complete documents of *source*; arguments and errors are those of `read_parts`."""
    parts = read_parts(
        source,
        field=field,
        errors=errors,
        separator=separator,
        missing=missing,
        format=format,
        cut=False,
    )
    return (part.text for part in parts)


def read_parts(
    source: Source,
    *,
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    missing: Missing = "error",
    format: Format | None = None,
    cut: bool = True,
) -> Iterator[Part[str]]:
    """Yield the documents of *source*, in order, in parts of about 2^20 characters.

    ``.jsonl`` and ``.ndjson``: a line is a document, the string in its *field*; blank lines are
    skipped. ``.parquet``: a row is a document, the string or the UTF-8 in the column *field*. Any
    other file is one document, or, with *separator*, the documents between its occurrences. Empty
    documents are skipped. If there is any part, their `Part.read` sum to `size` of the files.

    All formats except parquet, which is compressed inside, can be compressed as ``.gz``, ``.zst``,
    ``.xz`` or ``.bz2``. The members of a ``.tar`` (also compressed, and ``.tgz``) or ``.zip`` are
    read in their order, each by its own suffix; members that are hidden or not regular files are
    skipped. A pipe is read once; its compression, a tar and, if its name has no suffix, JSON lines
    (the first line is an object) are recognized by content. *format* is the format of documents,
    whatever their suffix says. Files in other forms, and files whose content is not what their
    suffix says, are rejected.

    A *field* such as ``messages.content`` walks into objects, unless there is a field with that
    name; of a list, the texts of its elements are joined with newlines. A row whose field is null
    or absent is an error, or, with ``missing="skip"``, skipped, as are such elements of a list.

    Invalid UTF-8, and a lone surrogate in a JSON string, raise CorpusError with ``errors="strict"``
    and become U+FFFD with ``errors="replace"``, as in ``bytes.decode``.

    Parts end at a `pytok.patterns.last_cut`; a document without one is a single part of any length.
    ``cut=False`` makes one part of every document, for patterns that cannot be cut.

    At the end a SkippedWarning reports how many rows and members were skipped, if any. Raises
    CorpusError at the call for an invalid argument or a source without files, and during iteration
    for a document that cannot be read, with its file and line, row or byte.
    """
    options = Options(field, errors, separator, missing, format)
    return _read(source, options, readers.read_strings, last_cut if cut else None)


def read_utf8(
    source: Source,
    *,
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    missing: Missing = "error",
    format: Format | None = None,
    cut: bool = True,
) -> Iterator[Part[bytes]]:
    """Yield the documents of `read_parts` as UTF-8, in parts that can end at other cuts.

    Text files are passed on without decoding them, and so without checking that they are UTF-8,
    unless there is a *separator* or ``errors="replace"``. `read_parts` reports the first invalid
    byte.
    """
    options = Options(field, errors, separator, missing, format)
    return _read(source, options, readers.read_bytes, last_cut_of_utf8 if cut else None)


def is_one_text(
    path: Path,
    *,
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    missing: Missing = "error",
    format: Format | None = None,
) -> bool:
    """Return whether `read_parts` reads *path* as one document, exactly as it is on disk.

    Raises CorpusError for a file in a form that cannot be read, or not in that of its suffix.
    """
    return readers.is_one_text(path, Options(field, errors, separator, missing, format))


def _read(
    source: Source,
    options: Options,
    read: Callable[[Path, Options], Iterator[Span[Text]]],
    last_cut: Callable[[Text], int] | None,
) -> Iterator[Part[Text]]:
    paths = resolve(source)

    def parts() -> Iterator[Part[Text]]:
        yield from parts_of(paths, lambda path: read(path, options), last_cut)
        if options.skipped:
            warnings.warn(SkippedWarning(options.skipped), stacklevel=3)

    return parts()
