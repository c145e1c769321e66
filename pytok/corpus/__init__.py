"""Files and folders to documents, streaming.

Text, ``.jsonl`` and ``.parquet``, plain or ``.gz`` / ``.zst``, become one stream of `Part`. Memory
stays bounded however large the corpus is: a text file of 20 GB is one document, in parts of about a
megabyte, cut where no piece of a known pattern crosses. Text is not cleaned: newlines, byte order
marks and Unicode normalization stay as they are.
"""

from collections.abc import Iterator
from pathlib import Path

from pytok.blocks import is_compressed, read_blocks
from pytok.corpus.files import Source, resolve, size
from pytok.corpus.parts import Part, batches, parts_of
from pytok.corpus.readers import REPLACE, Options, Span, read_text, reader_of
from pytok.patterns import last_cut, last_cut_of_utf8

__all__ = [
    "REPLACE",
    "Part",
    "Source",
    "batches",
    "is_one_text",
    "read_documents",
    "read_parts",
    "read_utf8",
    "resolve",
    "size",
]


def read_documents(
    source: Source, *, field: str = "text", errors: str = "strict", separator: str | None = None
) -> Iterator[str]:
    """Yield the complete documents of *source*; arguments and errors are those of `read_parts`."""
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
    """Yield the documents of *source*, in order, in parts of about 2^20 characters.

    ``.jsonl`` and ``.ndjson``: a line is a document, the string in its *field*; blank lines are
    skipped. ``.parquet``: a row is a document, the string in the column *field*. Any other file is
    one document, or, with *separator*, the documents between its occurrences. All formats except
    parquet, which is compressed inside, can be compressed as ``.gz`` or ``.zst``. Empty documents
    are skipped. If there is any part, their `Part.read` sum to `size` of the files.

    Invalid UTF-8, and a lone surrogate in a JSON string, raise CorpusError with ``errors="strict"``
    and become U+FFFD with ``errors="replace"``, as in ``bytes.decode``.

    Parts end at a `pytok.patterns.last_cut`; a document without one is a single part of any length.
    ``cut=False`` makes one part of every document, for patterns that cannot be cut.

    Raises CorpusError at the call for an invalid argument or a source without files, and during
    iteration for a document that cannot be read, with its file and line, row or byte.
    """
    options = Options(field, errors, separator).check()
    paths = resolve(source)
    return parts_of(paths, lambda path: reader_of(path)(path, options), last_cut if cut else None)


def read_utf8(
    source: Source,
    *,
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    cut: bool = True,
) -> Iterator[Part[bytes]]:
    """Yield the documents of `read_parts` as UTF-8, in parts that can end at other cuts.

    Text files are passed on without decoding them, and so without checking that they are UTF-8,
    unless there is a *separator* or ``errors="replace"``. `read_parts` reports the first invalid
    byte.
    """
    options = Options(field, errors, separator).check()

    def spans(path: Path) -> Iterator[Span[bytes]]:
        read = reader_of(path)
        if read is read_text and errors == "strict" and separator is None:
            return ((block, not block, position) for block, position in read_blocks(path))
        return ((text.encode(), ends, position) for text, ends, position in read(path, options))

    return parts_of(resolve(source), spans, last_cut_of_utf8 if cut else None)


def is_one_text(path: Path) -> bool:
    """Return whether *path* is one document as it is on disk: text, not compressed."""
    return not is_compressed(path) and reader_of(path) is read_text
