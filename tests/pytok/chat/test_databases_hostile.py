"""Malicious and damaged databases: nothing in them is executed; each is read or a clear error."""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytok.chat.databases import read_database
from pytok.chat.databases.opening import open_tables
from pytok.chat.record import from_dict, to_dict
from pytok.errors import ChatError
from tests.pytok.chat.phones import (
    CURRENT,
    DETAILS,
    IPHONE,
    LEGACY,
    MESSAGE,
    NOON,
    PEOPLE,
    database,
    message,
    old_message,
)

ROWS: dict[str, Any] = {**PEOPLE, "message": [message(1, "a"), message(2, "b")]}


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_reading_changes_nothing(tmp_path: Path) -> None:
    """Neither the file nor its folder."""
    path = database(tmp_path / "msgstore.db", CURRENT, ROWS)
    path.chmod(0o400)
    before = files_in(tmp_path)
    read_database(path)

    assert files_in(tmp_path) == before


def test_messages_in_the_write_ahead_log_are_read(tmp_path: Path) -> None:
    """The newest are only in the log; neither file is changed."""
    live = tmp_path / "live.db"
    database(live, CURRENT, ROWS)
    copies = tmp_path / "copies"
    copies.mkdir()
    with closing(sqlite3.connect(live)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("UPDATE message SET text_data = 'newer' WHERE _id = 2")
        connection.commit()
        for suffix in ("", "-wal"):
            shutil.copy(f"{live}{suffix}", copies / f"msgstore.db{suffix}")
    before = files_in(copies)

    assert [each.text for each in read_database(copies / "msgstore.db").messages] == ["a", "newer"]
    assert files_in(copies) == before


def test_a_copy_made_during_a_write_is_rejected(tmp_path: Path) -> None:
    path = database(tmp_path / "msgstore.db", CURRENT, ROWS)
    (tmp_path / "msgstore.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(99))

    with pytest.raises(ChatError, match="copied while it was being written"):
        read_database(path)


def test_triggers_views_and_virtual_tables_that_are_not_needed_are_ignored(
    tmp_path: Path,
) -> None:
    """Real files have dozens of them."""
    path = database(
        tmp_path / "msgstore.db",
        CURRENT,
        ROWS,
        "CREATE TRIGGER harm AFTER INSERT ON message BEGIN DELETE FROM message; END",
        "CREATE VIEW message_view AS SELECT load_extension('harm') FROM message",
        "CREATE VIRTUAL TABLE message_ftsv2 USING fts4(content)",
        "CREATE INDEX by_size ON message (abs(timestamp))",
    )

    assert len(read_database(path).messages) == 2


@pytest.mark.parametrize(
    ("definition", "kind"),
    [
        ("CREATE VIEW jid AS SELECT 1 AS _id, load_extension('harm') AS raw_string", "a view"),
        ("CREATE VIRTUAL TABLE jid USING fts4(raw_string)", "a virtual table"),
    ],
)
def test_a_view_or_virtual_table_instead_of_a_table_is_rejected(
    tmp_path: Path, definition: str, kind: str
) -> None:
    schema = [MESSAGE, *(each for each in DETAILS if "TABLE jid (" not in each), definition]
    path = database(tmp_path / "msgstore.db", schema, {"message": ROWS["message"]})

    with pytest.raises(ChatError, match=rf"msgstore\.db: jid is {kind}, not a table"):
        read_database(path)


def test_a_generated_column_is_never_computed(tmp_path: Path) -> None:
    """It is treated as missing, whatever its expression does."""
    schema = [
        MESSAGE.replace("text_data TEXT", "text_data TEXT AS ('computed')"),
        *DETAILS,
    ]
    row = message(1)
    del row["text_data"]
    path = database(tmp_path / "msgstore.db", schema, {**PEOPLE, "message": [row]})

    assert [each.text for each in read_database(path).messages] == [""]


def test_statements_other_than_reading_are_denied(tmp_path: Path) -> None:
    """The connection itself denies them."""
    path = database(tmp_path / "msgstore.db", CURRENT, ROWS)
    with open_tables(path) as tables:
        for statement in (
            "DELETE FROM message",
            "ATTACH 'other.db' AS other",
            "SELECT load_extension('harm')",
            "PRAGMA writable_schema=ON",
            "CREATE TEMP TABLE t (a)",
        ):
            with pytest.raises(sqlite3.DatabaseError):
                tables._connection.execute(statement)


def test_a_row_with_an_invalid_value_is_reported(tmp_path: Path) -> None:
    """All other rows are read."""
    rows = {
        **PEOPLE,
        "message": [
            message(1, "a"),
            message(2, "b", timestamp="yesterday"),
            message(3, "c", message_type="x"),
            message(4, "d", timestamp=1 << 62),
            message(5, "e", timestamp=-1),
            message(6, b"\xff\xfe"),
            message(7, "g", from_me="no"),
            message(8, "h", sender_jid_row_id="nobody"),
        ],
        "message_add_on": [{"_id": 1, "parent_message_row_id": "x"}],
        "message_add_on_reaction": [{"message_add_on_row_id": 1, "reaction": "A"}],
    }
    contents = read_database(database(tmp_path / "msgstore.db", CURRENT, rows))

    assert [each.text for each in contents.messages] == ["a", "h"]
    assert sorted(line.split(":")[0] for line in contents.unreadable) == [
        *(f"message, row {row}" for row in (2, 3, 4, 5, 6, 7)),
        "message_add_on_reaction, row 1",
    ]


ANYTHING = [
    *[None, "", 0, 1, 2, 5, 6, 7, 15, 66, 90, 2**31, 2**63 - 1, -(2**63), 0.5, 1e300],
    *[float("inf"), "x", "1", "431@s.whatsapp.net", "@", "a@g.us", "\u202e\x00", b"", b"\xff\xfe"],
    *[NOON, b"*\x05KEY12", 7e8, -1],
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize("schema", [CURRENT, LEGACY, IPHONE], ids=["new", "old", "iphone"])
def test_any_value_in_any_column_is_read_or_reported(
    tmp_path: Path, schema: tuple[str, ...], seed: int
) -> None:
    """SQLite does not enforce the types of columns."""
    path = tmp_path / "hostile.db"
    path.unlink(missing_ok=True)
    random = Random(seed)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        for statement in schema:
            # Without types and keys, so that SQLite stores each value unchanged.
            table, _, columns = statement.removeprefix("CREATE TABLE ").partition("(")
            names = [column.split()[0] for column in columns.rstrip(")").split(",")]
            connection.execute(f"CREATE TABLE {table} ({', '.join(names)})")
            rows = [random.choices(ANYTHING, k=len(names)) for _ in range(20)]
            marks = ", ".join("?" * len(names))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    messages = read_database(path).messages

    assert all(isinstance(each.text, str) for each in messages)
    assert [from_dict(to_dict(each)) for each in messages] == messages


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database of about ten pages."""
    rows = {**PEOPLE, "messages": [old_message(row, "x" * 50) for row in range(1, 200)]}
    return database(tmp_path_factory.mktemp("intact") / "msgstore.db", LEGACY, rows).read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_damaged_pages_raise_only_chat_errors(tmp_path: Path, intact: bytes, seed: int) -> None:
    """No crash, no endless loop, no other exception."""
    random = Random(seed)
    data = bytearray(intact)
    for _ in range(random.randint(1, 20)):
        data[random.randrange(100, len(data))] = random.randrange(256)
    path = tmp_path / "msgstore.db"
    path.write_bytes(data[: random.choice([len(data), random.randint(600, len(data))])])

    with suppress(ChatError):
        read_database(path)


def test_an_error_of_sqlite_that_is_not_utf8_means_damage(tmp_path: Path, intact: bytes) -> None:
    """SQLite quotes the damaged schema in its error."""
    path = tmp_path / "msgstore.db"
    path.write_bytes(intact.replace(b"CREATE TABLE messages ", b"CREATE \xca\xca\xcaLE messages "))

    with pytest.raises(ChatError, match=r"msgstore\.db is damaged"):
        read_database(path)


def test_a_cut_off_database_is_damaged(tmp_path: Path) -> None:
    rows = {**PEOPLE, "message": [message(row, "x" * 500) for row in range(1, 200)]}
    path = database(tmp_path / "msgstore.db", CURRENT, rows)
    path.write_bytes(path.read_bytes()[:-30_000])

    with pytest.raises(ChatError, match=r"msgstore\.db is damaged"):
        read_database(path)


@pytest.mark.parametrize("data", [b"", b"SQLite", b"PK\x03\x04 something else"])
def test_a_file_that_is_not_a_database_is_rejected(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "msgstore.db").write_bytes(data)

    with pytest.raises(ChatError, match=r"msgstore\.db is not a SQLite database"):
        read_database(tmp_path / "msgstore.db")


def test_a_page_that_is_referenced_repeatedly_is_bounded(tmp_path: Path) -> None:
    """Otherwise a small file could fill the memory."""
    path = tmp_path / "msgstore.db"
    rows = {**PEOPLE, "message": [message(row, "x" * 40) for row in range(1, 3000)]}
    data = bytearray(database(path, CURRENT, rows).read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'message'"
                                     ).fetchone()  # fmt: skip
    top = (root - 1) * 4096
    assert data[top] == 5  # an interior page of a table
    cells = int.from_bytes(data[top + 3 : top + 5], "big")
    first = int.from_bytes(data[top + 12 : top + 14], "big")
    child = data[top + first : top + first + 4]
    for cell in range(cells):
        offset = int.from_bytes(data[top + 12 + 2 * cell : top + 14 + 2 * cell], "big")
        data[top + offset : top + offset + 4] = child
    path.write_bytes(data)

    # The rows of one page, read once per reference; equal keys are one message.
    messages = read_database(path).messages

    assert len(messages) < 200
