"""Tables as CSV whose first line names the columns."""

import csv
import io
from dataclasses import dataclass

from pytok.errors import ChatError


@dataclass(frozen=True)
class Table:
    """The rows of a file."""

    rows: list[tuple[int, dict[str, str]]]
    """Number of the first line, from 1, and values by column; a column that a row lacks is ""."""
    warnings: list[str]


def header(text: str, delimiter: str = ",") -> list[str]:
    """Return the names of the columns in the first line of *text*, without spaces around them.

    They are empty if *text* is no table.
    """
    line = text.lstrip("\ufeff").partition("\n")[0].partition("\r")[0]
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:  # a name of more than 131,072 characters
        return []


def read_csv(text: str, name: str, delimiter: str = ",") -> Table:
    """Read the table *text* of the file *name*, with *delimiter* between its columns.

    Quotation marks that are not doubled inside a value, or not closed, are accepted with a warning.
    Raises ChatError for text that is no table.
    """
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # never less than other code set
    text = text.lstrip("\ufeff")
    try:
        return Table(_rows(text, delimiter, strict=True), [])
    except csv.Error as error:
        reason = str(error)
    try:
        rows = _rows(text, delimiter, strict=False)
    except csv.Error as error:
        raise ChatError(f"{name}: not a table of values between commas ({error})") from None
    return Table(
        rows,
        [
            f"{name}: a quotation mark in it is neither closed nor doubled ({reason}); a message "
            "may contain those after it"
        ],
    )


def _rows(text: str, delimiter: str, *, strict: bool) -> list[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    columns = [column.strip() for column in next(reader, [])]
    rows = []
    line = reader.line_num + 1
    for values in reader:
        if values:
            padded = [*values, *[""] * (len(columns) - len(values))]
            rows.append((line, dict(zip(columns, padded, strict=False))))
        line = reader.line_num + 1
    return rows
