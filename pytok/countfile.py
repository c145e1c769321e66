"""Files of counted pieces, to pass counts from one machine to another.

A parquet file with the columns ``piece`` (binary) and ``count`` (uint64) and a row for each
distinct piece. Its metadata has a key ``pytok``: JSON with the version of the format, and the
pattern and the special tokens that the text was split by. Other software can write such files too.
"""

import importlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pytok.atomic import atomic_file
from pytok.distribution import install
from pytok.errors import FormatError

VERSION = 1

ROWS_PER_READ = 1 << 16
COPIES, WRITER_BYTES = 3, 1 << 24
"""Memory of Arrow's writer: copies of what it writes at once, and bytes besides."""

Rows = tuple[list[bytes], list[int]]
"""Pieces and the count of each."""


class Splitting(NamedTuple):
    """How text is split into pieces; counts can be added up if it is the same."""

    pattern: str
    special_tokens: tuple[str, ...]


def check_target(path: Path) -> None:
    """Raise FormatError, before any work is done, if counts cannot be written to *path*."""
    _libraries()
    if path.suffix != ".parquet":  # it could be the corpus itself
        raise FormatError(f"{path}: counts are a parquet file; name it {path}.parquet")
    if not path.absolute().parent.is_dir():
        raise FormatError(f"{path}: the folder {path.parent} does not exist; create it first")


def write(path: Path, splitting: Splitting, parts: Iterable[Rows]) -> None:
    """Write *parts* to *path*, one at a time. Raises OSError with the name of the file."""
    arrow, parquet = _libraries()
    description = json.dumps({"version": VERSION, **splitting._asdict()})
    fields = [
        arrow.field("piece", arrow.binary(), nullable=False),
        arrow.field("count", arrow.uint64(), nullable=False),
    ]
    schema = arrow.schema(fields, metadata={"pytok": description})
    with atomic_file(path) as file, parquet.ParquetWriter(file, schema) as writer:
        for pieces, counts in parts:
            if pieces:
                columns = [arrow.array(pieces, arrow.binary()), arrow.array(counts, arrow.uint64())]
                table = arrow.Table.from_arrays(columns, schema=schema)
                _check_memory(COPIES * table.nbytes + WRITER_BYTES)
                writer.write_table(table)


def _check_memory(size: int) -> None:
    """Raise MemoryError if *size* bytes cannot be allocated; they are freed at once.

    Arrow's writer does not look at the result of each allocation: it ends the process.
    """
    import numpy as np  # here: reading and counting need none of it

    np.empty(size, np.uint8)


def read_splitting(path: Path) -> Splitting:
    """Return how the text of *path* was split. Raises FormatError for a malformed file."""
    with _open(path) as file:
        return _splitting(path, file)


def read_rows(path: Path) -> Iterator[Rows]:
    """Yield the rows of *path* in batches. Raises FormatError with the row that is wrong."""
    arrow, _ = _libraries()
    row = 0
    with _open(path) as file:
        _splitting(path, file)
        try:
            for batch in file.iter_batches(ROWS_PER_READ, columns=["piece", "count"]):
                yield _rows(path, row, batch)
                row += len(batch)
        except (arrow.ArrowException, OSError) as error:
            raise FormatError(f"{path}: cannot be read: {error}") from None


def _splitting(path: Path, file: Any) -> Splitting:
    arrow, _ = _libraries()
    schema = file.schema_arrow
    metadata = (schema.metadata or {}).get(b"pytok")
    if metadata is None:
        raise FormatError(
            f"{path}: the metadata has no 'pytok': this is not a file of counted pieces; write one "
            "with `pytok count-pieces`"
        )
    for name, kind in (("piece", arrow.binary()), ("count", arrow.uint64())):
        found = [field.type for field in schema if field.name == name]
        if found != [kind]:
            types = ", ".join(map(str, found)) or "missing"
            raise FormatError(f"{path}: the column {name!r} must be {kind}; it is {types}")
    try:
        description = json.loads(metadata)
        version, pattern, special_tokens = (
            description[key] for key in ("version", "pattern", "special_tokens")
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: the metadata 'pytok' is malformed: {error}") from None
    if version != VERSION:
        raise FormatError(
            f"{path}: version {version} of the format; this pytok reads version {VERSION}"
        )
    is_texts = isinstance(special_tokens, list) and all(isinstance(t, str) for t in special_tokens)
    if not isinstance(pattern, str) or not is_texts:
        raise FormatError(
            f"{path}: the metadata 'pytok' is malformed: the pattern must be a string, the special "
            "tokens a list of strings"
        )
    return Splitting(pattern, tuple(special_tokens))


def _rows(path: Path, first: int, batch: Any) -> Rows:
    pieces, counts = (batch.column(name).to_pylist() for name in ("piece", "count"))
    for row, (piece, count) in enumerate(zip(pieces, counts, strict=True), first + 1):
        if piece is None or count is None:
            raise FormatError(f"{path}, row {row:,}: null; a row must have a piece and its count")
        if not piece or not count:
            raise FormatError(
                f"{path}, row {row:,}: {piece!r} has the count {count:,}; a piece must have at "
                "least one byte and a positive count"
            )
        try:
            piece.decode()
        except UnicodeDecodeError:
            raise FormatError(f"{path}, row {row:,}: {piece!r} is not UTF-8") from None
    return pieces, counts


def _open(path: Path) -> Any:
    arrow, parquet = _libraries()
    try:
        return parquet.ParquetFile(path, pre_buffer=False)
    except (arrow.ArrowInvalid, UnicodeDecodeError) as error:  # the latter for names of columns
        raise FormatError(f"{path}: not a parquet file: {error}") from None
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error}") from None


def _libraries() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise FormatError(f"files of counted pieces require pyarrow: {install('data')}") from error
