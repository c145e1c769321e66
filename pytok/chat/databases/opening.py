"""Safe, read-only access to a SQLite file: nothing in it is executed or changed.

Only plain tables are read, each with a sequential scan; joins are done in Python. No index, view,
trigger, virtual table or generated column of the file is ever used: these can contain code, and
indexes are damaged most often. Real files have dozens of them, so their presence is accepted. A
file is rejected only if a required table is a view or a virtual table.
"""

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pytok.atomic import temporary_folder
from pytok.errors import ChatError

MAGIC = b"SQLite format 3\0"
_JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_DAMAGE = (sqlite3.Error, UnicodeDecodeError)
"""Exceptions for damaged files; the second if SQLite's message quotes bytes that are not UTF-8."""
_MAX_VALUE_SIZE = 64 << 20  # bytes; WhatsApp's own limit on a text is 65,536 characters
_MIN_ROW_SIZE = 6  # bytes: a cell's pointer (2), length, row number, header length, and one type


class Tables:
    """The plain tables of an open database, by name."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection
        self._text_budget = 0
        connection.text_factory = self._decode_text
        try:
            self._harden()
            self._kinds, self._columns = self._schema()
        except _DAMAGE as error:
            raise self._damaged(error) from None
        connection.set_authorizer(_only_reads)

    def has(self, table: str, *columns: str) -> bool:
        """Return whether there is a plain table named *table* with *columns*."""
        return table in self._columns and self._columns[table].issuperset(columns)

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield all rows of *table* in its own order, with None for columns that it lacks.

        A table that does not exist has no rows. Raises ChatError if it is a view or a virtual
        table, or if its pages are damaged.
        """
        if table not in self._columns:
            if table in self._kinds:
                raise ChatError(
                    f"{self.path}: {table} is a {self._kinds[table]}, not a table; reading it would"
                    " execute code of the file, so the file is rejected"
                )
            return
        present = self._columns[table]
        # Only constants of this package get here as names, so quoting them this way is safe.
        wanted = ", ".join(f'"{name}"' if name in present else "NULL" for name in columns)
        # A malicious page tree can refer to one page many times, and have more rows than fit.
        max_rows = self._size // _MIN_ROW_SIZE
        try:
            cursor = self._connection.execute(f'SELECT {wanted} FROM main."{table}" NOT INDEXED')
            for number, row in enumerate(cursor):
                if number > max_rows:
                    raise sqlite3.DatabaseError(f"{table} has more rows than the file has room for")
                yield row
        except _DAMAGE as error:
            raise self._damaged(error) from None

    def _harden(self) -> None:
        for pragma in (
            "trusted_schema=OFF",
            "query_only=ON",
            "cell_size_check=ON",
            "mmap_size=0",  # a mapped file that shrinks would crash the process
            "temp_store=MEMORY",  # keeps copies of the chat out of temporary files
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        if sys.version_info >= (3, 11):
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_SIZE)
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)

    def _schema(self) -> tuple[dict[str, str], dict[str, frozenset[str]]]:
        """Return the kind of each view or virtual table, and the columns of each plain table."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (page_size,) = self._connection.execute("PRAGMA page_size").fetchone()
        self._size = pages * page_size
        # Every table is read at most twice, so a total above this means that the same bytes are
        # read repeatedly: a small file that would fill the memory.
        self._text_budget = 8 * self._size + (1 << 20)
        kinds: dict[str, str] = {}
        columns: dict[str, frozenset[str]] = {}
        listing = self._connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        for kind, name, sql in listing:
            if kind == "view":
                kinds[name] = "view"
            elif kind == "table" and str(sql).upper().startswith("CREATE VIRTUAL"):
                kinds[name] = "virtual table"
            elif kind == "table":
                quoted = str(name).replace('"', '""')
                # table_info does not list generated columns, so they are never computed.
                info = self._connection.execute(f'PRAGMA main.table_info("{quoted}")')
                columns[name] = frozenset(column[1] for column in info)
        return kinds, columns

    def _decode_text(self, data: bytes) -> str:
        self._text_budget -= len(data)
        if self._text_budget < 0:
            raise sqlite3.DatabaseError("its texts are longer than the file")
        return data.decode("utf-8", "replace")

    def _damaged(self, error: Exception) -> ChatError:
        return ChatError(
            f"{self.path} is damaged: {error}; copy it from the phone again, or restore a backup"
        )


@contextmanager
def open_tables(path: Path, data: bytes | None = None) -> Iterator[Tables]:
    """Open the database *path* for reading; *data*, if given, is its decrypted content.

    The file is opened read-only and immutable: neither it nor any file next to it is written. If
    there is a write-ahead log (`-wal`), the newest messages are only in the log, and SQLite must
    write to read them. Both files are then copied to a private folder, which is removed at the end.

    A non-empty rollback journal (`-journal`) means that the copy was made during a write. This is a
    ChatError, since a rollback follows the content of the journal, including file names.
    """
    if data is not None:
        with _in_memory(data) as connection:
            yield Tables(connection, path)
        return
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ChatError(f"{path} is not a SQLite database")
    journal = _with_suffix(path, "-journal")
    if journal.is_file():
        with journal.open("rb") as file:
            if file.read(len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC:
                raise ChatError(
                    f"{path} was copied while it was being written ({journal.name} is next to it);"
                    " close WhatsApp and copy it again"
                )
    log = _with_suffix(path, "-wal")
    if log.is_file() and log.stat().st_size:
        with temporary_folder() as folder:
            copy = folder / "copy.db"
            shutil.copyfile(path, copy)
            shutil.copyfile(log, _with_suffix(copy, "-wal"))
            with closing(_connect(copy, "mode=rw", path)) as connection:
                yield Tables(connection, path)
        return
    with closing(_connect(path, "mode=ro&immutable=1", path)) as connection:
        yield Tables(connection, path)


def _with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _connect(path: Path, query: str, original: Path) -> sqlite3.Connection:
    """Open *path*, which can be a copy; errors name the *original*."""
    try:
        return sqlite3.connect(f"{path.resolve().as_uri()}?{query}", uri=True)
    except sqlite3.Error as error:
        raise ChatError(f"{original} cannot be opened: {error}") from None


@contextmanager
def _in_memory(data: bytes) -> Iterator[sqlite3.Connection]:
    """Open decrypted *data* in memory (Python 3.11 and later).

    Earlier versions of sqlite3 open files only. The data is then written to a file of mode 0600 in
    a folder of mode 0700, and unlinked as soon as SQLite has it open (on Windows, when closed).
    """
    # Bytes 18 and 19 select the write-ahead mode, which needs a log file. The log was merged into
    # the database before the backup was made, so the mode is reset.
    data = data[:18] + b"\1\1" + data[20:]
    if sys.version_info >= (3, 11):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(data)
            yield connection
    else:
        with _private_file(data) as connection:
            yield connection


@contextmanager
def _private_file(data: bytes) -> Iterator[sqlite3.Connection]:
    with temporary_folder() as folder:
        path = folder / "decrypted.db"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        with closing(_connect(path, "mode=ro&immutable=1", path)) as connection:
            connection.execute("PRAGMA schema_version")  # SQLite opens the file at the first use
            if os.name == "posix":
                path.unlink()
            yield connection


def _only_reads(
    action: int, table: str | None, column: str | None, database: str | None, origin: str | None
) -> int:
    """Authorizer callback of SQLite: allow only reads of columns in the main database.

    *origin* is the name of the view or trigger that causes the access, which is always denied.
    """
    if action == sqlite3.SQLITE_SELECT and origin is None:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_READ and database == "main" and origin is None:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
