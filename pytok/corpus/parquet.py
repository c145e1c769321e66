"""A parquet file to spans of text: the rows of one column, which can be nested."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pytok.blocks import corpus_errors, library
from pytok.corpus.fields import joined, names, reject_field
from pytok.corpus.files import size
from pytok.corpus.options import Options
from pytok.corpus.text import Span, reject_bytes
from pytok.errors import CorpusError

_ROWS = 256
"""Rows decoded at a time: a row of a web corpus is some kilobytes, a book is a megabyte."""

_TEXT = (
    *("string", "large_string", "string_view", "binary", "large_binary", "binary_view", "null"),
)
"""Types of columns that are read as UTF-8."""


def read_parquet(path: Path, options: Options) -> Iterator[Span[str]]:
    """Read the texts of one column, a batch of rows at a time."""
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    field, on_disk, row = options.field, size([path]), 0
    # Without pre_buffer the pages of a row group are read as they are needed, not all at once.
    with (
        corpus_errors(path, arrow.ArrowException, OSError, UnicodeDecodeError),
        parquet.ParquetFile(path, pre_buffer=False) as file,
    ):
        name, leaf = _Column(arrow, path, field).find(file.schema_arrow)
        rows = file.metadata.num_rows
        for batch in file.iter_batches(_ROWS, columns=[file.schema.column(leaf).path]):
            for value in _values(arrow, batch.column(batch.schema.get_field_index(name))):
                row += 1
                options.skipped.rows += 1
                where = f"{path}, row {row:,}"
                text = joined(
                    _decoded(value, where, options), f"{where}: column {field!r}", options
                )
                yield text or "", True, min(on_disk, on_disk * row // max(1, rows))
    yield "", True, on_disk


class _Column:
    """The column that *field* names in the file at *path*."""

    def __init__(self, arrow: Any, path: Path, field: str) -> None:
        self._arrow, self._path, self._field = arrow, path, field

    def find(self, schema: Any) -> tuple[str, int]:
        """Return the name of the column in *schema*, and the index among all leaf columns.

        Raises CorpusError if there is none, or if it is not text.
        """
        types = {each.name: each.type for each in schema}
        for name, rest in names(self._field):
            if schema.names.count(name) == 1:
                before = schema.names.index(name)
                leaves = sum(self._leaves(each.type) for each in list(schema)[:before])
                return name, leaves + self._leaf(types[name], rest)
        return reject_field(str(self._path), self._field, schema.names)

    def _leaf(self, kind: Any, rest: str) -> int:
        """Return the index of the leaf that *rest* names among those of *kind*."""
        types = self._arrow.types
        if self._is_list(kind):
            return self._leaf(kind.value_type, rest)
        if types.is_struct(kind) and rest:
            fields = [kind.field(index) for index in range(kind.num_fields)]
            for name, inner in names(rest):
                found = [index for index, each in enumerate(fields) if each.name == name]
                if len(found) == 1:
                    before = sum(self._leaves(each.type) for each in fields[: found[0]])
                    return before + self._leaf(fields[found[0]].type, inner)
            reject_field(str(self._path), self._field, [each.name for each in fields])
        values = kind.value_type if types.is_dictionary(kind) else kind
        if rest or not (str(values) in _TEXT or types.is_fixed_size_binary(values)):
            wanted = f"not a struct with {rest!r}" if rest else "not string"
            raise CorpusError(f"{self._path}: column {self._field!r} is {kind}, {wanted}")
        return 0

    def _leaves(self, kind: Any) -> int:
        types = self._arrow.types
        if types.is_map(kind):
            return self._leaves(kind.key_type) + self._leaves(kind.item_type)
        if self._is_list(kind):
            return self._leaves(kind.value_type)
        if types.is_struct(kind):
            return sum(self._leaves(kind.field(index).type) for index in range(kind.num_fields))
        return 1

    def _is_list(self, kind: Any) -> bool:
        types = self._arrow.types
        is_list: bool = not types.is_map(kind) and (
            types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        )
        return is_list


def _values(arrow: Any, array: Any) -> list[Any]:
    """Return the bytes in each row of *array*, which has one leaf; lists as lists, nulls as None.

    As bytes, because arrow does not check that its strings are UTF-8.
    """
    compute, types, kind = library("pyarrow.compute"), arrow.types, array.type
    if types.is_struct(kind):
        return _values(arrow, compute.struct_field(array, [0]))
    if hasattr(kind, "value_field"):  # of every kind of list
        elements = iter(_values(arrow, array.flatten()))
        lengths = compute.list_value_length(array).to_pylist()
        return [None if length is None else list(islice(elements, length)) for length in lengths]
    if types.is_null(kind):
        return [None] * len(array)
    values: list[Any] = array.cast(arrow.large_binary()).to_pylist()
    return values


def _decoded(value: Any, where: str, options: Options) -> Any:
    if isinstance(value, list):
        return [_decoded(each, where, options) for each in value]
    if value is None:
        return None
    try:
        return value.decode("utf-8", options.errors)
    except UnicodeDecodeError as error:
        reject_bytes(where, 0, error)
