"""A SQLite file from somebody's phone, opened so that nothing in it can run and nothing is changed.

Only plain tables are read, each by itself and from front to end; what belongs together is joined in
Python. So no index, view, trigger, virtual table or generated column of the file is ever used:
those are where a file can hold code, and indexes are what is damaged most. The real file has
dozens of them, so their presence alone is no reason to refuse it; that a table which is needed is
one of them is.
"""

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pytok.errors import ChatError

MAGIC = b"SQLite format 3\0"
_JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_DAMAGE = (sqlite3.Error, UnicodeDecodeError)
"""Exceptions for damaged files; the second if SQLite's message quotes bytes that are not UTF-8."""
_LONGEST = 64 << 20  # bytes in one value; WhatsApp's own limit on a text is 65,536 characters
_LEAST_ROW = 6  # bytes: a cell's place, its length, its row number, its header's length, one type


class Tables:
    """The plain tables of one open database, by name."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection
        self._allowance = 0
        connection.text_factory = self._text
        try:
            self._harden()
            self._kinds, self._columns = self._schema()
        except _DAMAGE as error:
            raise self._damaged(error) from None
        connection.set_authorizer(_only_reads)

    def has(self, table: str, *columns: str) -> bool:
        """Whether there is a plain table of that name with those columns."""
        return table in self._columns and self._columns[table].issuperset(columns)

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """All rows of *table*, in its own order; a column that it lacks is None in each.

        No rows if there is no such table. Raises ChatError if it is a view or a virtual table, or
        if its pages are damaged.
        """
        if table not in self._columns:
            if table in self._kinds:
                raise ChatError(
                    f"{self.path}: {table} is a {self._kinds[table]}, not a table; reading it would"
                    " run what the file says, so it is refused"
                )
            return
        present = self._columns[table]
        # Names that are not WhatsApp's own never get here, so none needs quoting but by habit.
        wanted = ", ".join(f'"{name}"' if name in present else "NULL" for name in columns)
        # A tree of pages can point to one page from many places, and so have more rows than fit.
        most = self._size // _LEAST_ROW
        try:
            cursor = self._connection.execute(f'SELECT {wanted} FROM main."{table}" NOT INDEXED')
            for number, row in enumerate(cursor):
                if number > most:
                    raise sqlite3.DatabaseError(f"{table} has more rows than the file has room for")
                yield row
        except _DAMAGE as error:
            raise self._damaged(error) from None

    def _harden(self) -> None:
        for pragma in (
            "trusted_schema=OFF",
            "query_only=ON",
            "cell_size_check=ON",
            "mmap_size=0",  # a file that shrinks while it is mapped would kill the process
            "temp_store=MEMORY",  # no second copy of the chat in a temporary file
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        if sys.version_info >= (3, 11):
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)

    def _schema(self) -> tuple[dict[str, str], dict[str, frozenset[str]]]:
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (page_size,) = self._connection.execute("PRAGMA page_size").fetchone()
        self._size = pages * page_size
        # Every table is read once or twice, so texts of more bytes than this are the same bytes
        # over and over: a small file that would fill the memory.
        self._allowance = 8 * self._size + (1 << 20)
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
                # Generated columns are not listed by table_info, so they are never computed.
                described = self._connection.execute(f'PRAGMA main.table_info("{quoted}")')
                columns[name] = frozenset(column[1] for column in described)
        return kinds, columns

    def _text(self, data: bytes) -> str:
        self._allowance -= len(data)
        if self._allowance < 0:
            raise sqlite3.DatabaseError("its texts are longer than the file")
        return data.decode("utf-8", "replace")

    def _damaged(self, error: Exception) -> ChatError:
        return ChatError(
            f"{self.path} is damaged: {error}; copy it from the phone again, or restore a backup"
        )


@contextmanager
def opened(path: Path, data: bytes | None = None) -> Iterator[Tables]:
    """Open the database *path* for reading, or *data* (a decrypted one) in its name.

    The file is opened read-only and immutable: not a byte of it, and no file beside it, is written.
    Where a write-ahead log lies beside it (`-wal`), the newest messages are only there, and to read
    them SQLite has to write; so both are copied into a private folder, which is removed at the end.
    A rollback journal (`-journal`) with something in it means that the copy was taken in the middle
    of a write: that is refused, since rolling back obeys what the journal says, file names too.
    """
    if data is not None:
        with _in_memory(data) as connection:
            yield Tables(connection, path)
        return
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ChatError(f"{path} is not a SQLite database")
    journal = _beside(path, "-journal")
    if journal.is_file():
        with journal.open("rb") as file:
            if file.read(len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC:
                raise ChatError(
                    f"{path} was copied while it was being written ({journal.name} is beside it);"
                    " close WhatsApp and copy it again"
                )
    log = _beside(path, "-wal")
    if log.is_file() and log.stat().st_size:
        with tempfile.TemporaryDirectory() as folder:  # of mode 0700
            copy = Path(folder) / "copy.db"
            shutil.copyfile(path, copy)
            shutil.copyfile(log, _beside(copy, "-wal"))
            with closing(_connect(copy, "mode=rw", path)) as connection:
                yield Tables(connection, path)
        return
    with closing(_connect(path, "mode=ro&immutable=1", path)) as connection:
        yield Tables(connection, path)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _connect(path: Path, query: str, shown: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"{path.resolve().as_uri()}?{query}", uri=True)
    except sqlite3.Error as error:
        raise ChatError(f"{shown} cannot be opened: {error}") from None


@contextmanager
def _in_memory(data: bytes) -> Iterator[sqlite3.Connection]:
    """What was decrypted stays in memory, where Python can (3.11 and later).

    Before that, sqlite3 opens files only: one of mode 0600 in a folder of mode 0700, whose name is
    taken away as soon as SQLite has it open (on Windows, when it is closed).
    """
    # A database in write-ahead mode wants a log beside it, which memory has not. Bytes 18 and 19
    # say so; the log itself was folded in before the backup was made.
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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decrypted.db"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        with closing(_connect(path, "mode=ro&immutable=1", path)) as connection:
            connection.execute("PRAGMA schema_version")  # opened at the first use, not before
            if os.name == "posix":
                path.unlink()
            yield connection


def _only_reads(
    action: int, table: str | None, column: str | None, database: str | None, inside: str | None
) -> int:
    """SQLite asks before each statement: only columns of the file's own tables are read.

    *inside* names the view or the trigger that asks; nothing of theirs is allowed.
    """
    if action == sqlite3.SQLITE_SELECT and inside is None:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_READ and database == "main" and inside is None:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
