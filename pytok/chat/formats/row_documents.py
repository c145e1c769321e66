"""Rows of exporters (`formats.rows`) in files: tables as CSV, and JSON documents or lines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytok.chat.formats.csv_rows import header, read_csv
from pytok.chat.formats.rows import find_layout, read_rows
from pytok.chat.source import Source

_LISTS = ("messages", "items", "data")
"""Fields of a document that can hold the messages."""
_TITLES = ("displayName", "remark", "nickname", "name", "wxid")
"""Fields of the description of a chat, the best name first."""


def is_row_table(text: str) -> bool:
    """Return whether the first line of *text* has the columns of an exporter."""
    return find_layout(header(text[:4096])) is not None


def read_row_table(text: str, name: str) -> Source:
    """Read the CSV *text* of the file *name*. Raises ChatError."""
    layout = find_layout(header(text[:4096]))
    assert layout is not None, "recognized by its columns"
    table = read_csv(text, name)
    source = read_rows(layout, table.rows, name)
    source.warnings += table.warnings
    return source


def is_row_document(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether *entries*, pairs of line and JSON value, have rows of an exporter."""
    first = next(_rows(entries), None)
    return first is not None and find_layout(first[1]) is not None


def read_row_document(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Read the rows in *entries*, the JSON of the file *name*. Raises ChatError."""
    _, first = next(_rows(entries))
    layout = find_layout(first)
    assert layout is not None, "recognized by its columns"
    return read_rows(layout, _rows(entries), name, _title(entries))


def _rows(entries: Sequence[tuple[int, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows in *entries*: those in the list of a single document, or the entries."""
    document = entries[0][1] if len(entries) == 1 else None
    if isinstance(document, dict):
        listed = next((each for key in _LISTS if isinstance(each := document.get(key), list)), None)
        if listed is not None:
            entries = list(enumerate(listed, start=1))
    for number, entry in entries:
        if not isinstance(entry, dict):
            yield number, {}
        elif entry.get("_type") not in ("header", "member"):
            yield number, entry


def _title(entries: Sequence[tuple[int, Any]]) -> str:
    """Return the name of the chat in the description of a document, or ""."""
    document = entries[0][1]
    if not isinstance(document, dict):
        return ""
    for key in ("session", "meta"):
        described = document.get(key)
        if isinstance(described, dict):
            names = (described.get(title) for title in _TITLES)
            return next((each for each in names if isinstance(each, str) and each), "")
    return ""
