"""The way in for any app: rows of time, sender and text, as JSON lines or CSV.

docs/your-own-format.md describes it. A row is a message; its columns are the fields of `Message`,
of which time, sender and text are required. Other columns are reported.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytok.chat.formats.csv_rows import header, read_csv
from pytok.chat.formats.history import is_history, is_history_time
from pytok.chat.formats.written_times import read_times
from pytok.chat.import_options import ImportOptions
from pytok.chat.record import Message, from_dict
from pytok.chat.source import Chat, Source
from pytok.errors import ChatError
from pytok.text import cut

_NAMES = {
    "time": ("time", "timestamp", "datetime", "date"),
    "sender": ("sender", "from", "author", "user"),
    "text": ("text", "message", "content", "body"),
}
"""Required columns, and the names that each can have."""

_OPTIONAL = ("name", "kind", "edited", "media", "id", "reply_to", "reactions", "chat")
_DELIMITERS = ",;\t"
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")


def is_own_table(text: str) -> bool:
    """Return whether the first line of *text* names the required columns."""
    return _delimiter(text) is not None


def read_own_table(text: str, name: str, options: ImportOptions) -> Source:
    """Read the CSV *text* of the file *name*. Raises ChatError with the line and the column."""
    delimiter = _delimiter(text)
    assert delimiter is not None, "recognized by its columns"
    table = read_csv(text, name, delimiter)
    rows = [(number, _typed(row)) for number, row in table.rows]
    source = _read(rows, name, "messages as CSV", options)
    source.warnings[:0] = table.warnings
    return source


def is_own_document(entries: Sequence[tuple[int, Any]]) -> bool:
    """Return whether the first of *entries* has the required columns.

    A history, whose rows have fields and times as `pytok.chat.record` writes them, is read by it.
    """
    first = entries[0][1] if entries else None
    if not isinstance(first, dict) or _columns(first) is None:
        return False
    return not (is_history(entries) and is_history_time(first["time"]))


def read_own_document(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Read *entries*, JSON lines of the file *name*. Raises ChatError with the line and field."""
    for number, entry in entries:
        if not isinstance(entry, dict):
            raise ChatError(f"{name}, line {number}: not an object with time, sender and text")
    return _read(entries, name, "messages as JSON lines", ImportOptions())


def _delimiter(text: str) -> str | None:
    """Return the character between the columns of a table with the required ones."""
    start = text[:4096]
    return next((each for each in _DELIMITERS if _columns(header(start, each)) is not None), None)


def _columns(written: Iterable[str]) -> dict[str, str] | None:
    """Map the fields of a message to column names as *written*; None if a required one is absent.

    If there is a column of dates and one of times of day, the date is the field "date".
    """
    known = {name.strip().casefold(): name for name in reversed(list(written))}
    columns: dict[str, str] = {}
    for field, names in _NAMES.items():
        column = next((known[name] for name in names if name in known), None)
        if column is None:
            return None
        columns[field] = column
    if "date" in known and columns["time"] != known["date"]:
        columns["date"] = known["date"]
    return columns | {name: known[name] for name in _OPTIONAL if name in known}


def _read(
    rows: Sequence[tuple[int, Mapping[str, Any]]], name: str, label: str, options: ImportOptions
) -> Source:
    columns = _columns(rows[0][1]) if rows else None
    if columns is None:
        raise ChatError(f"{name}: no row with time, sender and text")
    date_column = columns.pop("date", None)
    values = [
        (number, {field: row[column] for field, column in columns.items() if column in row})
        for number, row in rows
    ]
    written = [(number, row.get("time")) for number, row in values]
    if date_column is not None:
        written = [
            (number, f"{row.get(date_column)} {time}")
            for (number, row), (_, time) in zip(rows, written, strict=True)
        ]
    times = read_times(written, name, options)
    messages: list[Message] = []
    for (number, row), time in zip(values, times, strict=True):
        if not row.get("sender"):
            row = {"kind": "system"} | row | {"sender": None}
        try:
            message = from_dict(row | {"time": time.isoformat(), "source": name, "line": number})
        except ChatError as error:
            raise ChatError(f"{name}, line {number}: {error}") from None
        messages.append(message)
    chats = Counter(message.chat for message in messages if message.chat)
    unused = rows[0][1].keys() - {*columns.values(), date_column}
    return Source(
        name=name,
        format=label,
        messages=messages,
        warnings=[f"{name}: columns that are not read: {cut(', '.join(sorted(unused)), 200)}"]
        if unused
        else [],
        chats=[Chat(chat, count) for chat, count in chats.most_common()],
    )


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of a table as those of JSON; empty optional ones are omitted."""
    typed: dict[str, Any] = {}
    for column, value in row.items():
        field = column.casefold()
        if field not in _OPTIONAL:
            typed[column] = value
        elif field == "edited":
            folded = value.strip().casefold()
            typed[column] = folded in _TRUE if folded in (*_TRUE, *_FALSE) else value
        elif value:
            typed[column] = value.split() if field == "reactions" else value
    return typed
