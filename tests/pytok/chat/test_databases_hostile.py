"""Databases made to harm, or harmed: nothing in them runs, and each is one clear line or read."""

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
from pytok.chat.databases.opening import opened
from pytok.chat.record import from_plain, to_plain
from pytok.errors import ChatError
from tests.pytok.chat.phones import (
    BESIDE,
    CURRENT,
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


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_reading_changes_nothing(tmp_path: Path) -> None:
    """Not a byte of the file, and no file beside it."""
    path = database(tmp_path / "msgstore.db", CURRENT, ROWS)
    path.chmod(0o400)
    before = contents(tmp_path)
    read_database(path)

    assert contents(tmp_path) == before


def test_messages_in_a_log_beside_the_database_are_read(tmp_path: Path) -> None:
    """The newest are only there; and neither file is changed."""
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
    before = contents(copies)

    assert [each.text for each in read_database(copies / "msgstore.db").messages] == ["a", "newer"]
    assert contents(copies) == before


def test_a_copy_from_the_middle_of_a_write_is_refused(tmp_path: Path) -> None:
    path = database(tmp_path / "msgstore.db", CURRENT, ROWS)
    (tmp_path / "msgstore.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(99))

    with pytest.raises(ChatError, match="copied while it was being written"):
        read_database(path)


def test_triggers_views_and_virtual_tables_that_are_not_needed_are_left_alone(
    tmp_path: Path,
) -> None:
    """A real file has dozens of them."""
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
    ("definition", "said"),
    [
        ("CREATE VIEW jid AS SELECT 1 AS _id, load_extension('harm') AS raw_string", "a view"),
        ("CREATE VIRTUAL TABLE jid USING fts4(raw_string)", "a virtual table"),
    ],
)
def test_a_view_or_a_virtual_table_in_the_place_of_a_table_is_refused(
    tmp_path: Path, definition: str, said: str
) -> None:
    schema = [MESSAGE, *(each for each in BESIDE if "TABLE jid (" not in each), definition]
    path = database(tmp_path / "msgstore.db", schema, {"message": ROWS["message"]})

    with pytest.raises(ChatError, match=rf"msgstore\.db: jid is {said}, not a table"):
        read_database(path)


def test_a_generated_column_is_never_computed(tmp_path: Path) -> None:
    """It is as if it were not there, whatever its expression would do."""
    schema = [
        MESSAGE.replace("text_data TEXT", "text_data TEXT AS ('computed')"),
        *BESIDE,
    ]
    row = message(1)
    del row["text_data"]
    path = database(tmp_path / "msgstore.db", schema, {**PEOPLE, "message": [row]})

    assert [each.text for each in read_database(path).messages] == [""]


def test_statements_other_than_reading_are_denied(tmp_path: Path) -> None:
    """Whatever made one: the connection itself refuses."""
    path = database(tmp_path / "msgstore.db", CURRENT, ROWS)
    with opened(path) as tables:
        for statement in (
            "DELETE FROM message",
            "ATTACH 'other.db' AS other",
            "SELECT load_extension('harm')",
            "PRAGMA writable_schema=ON",
            "CREATE TEMP TABLE t (a)",
        ):
            with pytest.raises(sqlite3.DatabaseError):
                tables._connection.execute(statement)


def test_a_text_in_a_column_of_numbers_is_one_row_that_cannot_be_read(tmp_path: Path) -> None:
    """And it is told; all others are there."""
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
    reading = read_database(database(tmp_path / "msgstore.db", CURRENT, rows))

    assert [each.text for each in reading.messages] == ["a", "h"]
    assert sorted(told.split(":")[0] for told in reading.unreadable) == [
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
def test_anything_in_any_column_is_read_or_told(
    tmp_path: Path, schema: tuple[str, ...], seed: int
) -> None:
    """SQLite's types are suggestions."""
    path = tmp_path / "hostile.db"
    path.unlink(missing_ok=True)
    random = Random(seed)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        for statement in schema:
            # Without types and keys, so that any value stays what it is.
            table, _, columns = statement.removeprefix("CREATE TABLE ").partition("(")
            names = [column.split()[0] for column in columns.rstrip(")").split(",")]
            connection.execute(f"CREATE TABLE {table} ({', '.join(names)})")
            rows = [random.choices(ANYTHING, k=len(names)) for _ in range(20)]
            marks = ", ".join("?" * len(names))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    reading = read_database(path)

    assert all(isinstance(each.text, str) for each in reading.messages)
    assert [from_plain(to_plain(each)) for each in reading.messages] == reading.messages


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database of some ten pages."""
    rows = {**PEOPLE, "messages": [old_message(row, "x" * 50) for row in range(1, 200)]}
    return database(tmp_path_factory.mktemp("sound") / "msgstore.db", LEGACY, rows).read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_damaged_pages_are_told_or_read_over(tmp_path: Path, sound: bytes, seed: int) -> None:
    """Never a crash, never a loop, never another error."""
    random = Random(seed)
    whole = bytearray(sound)
    for _ in range(random.randint(1, 20)):
        whole[random.randrange(100, len(whole))] = random.randrange(256)
    path = tmp_path / "msgstore.db"
    path.write_bytes(whole[: random.choice([len(whole), random.randint(600, len(whole))])])

    with suppress(ChatError):
        read_database(path)


def test_an_error_of_sqlite_that_is_not_utf8_means_damage(tmp_path: Path, sound: bytes) -> None:
    """SQLite quotes the damaged schema in its error."""
    path = tmp_path / "msgstore.db"
    path.write_bytes(sound.replace(b"CREATE TABLE messages ", b"CREATE \xca\xca\xcaLE messages "))

    with pytest.raises(ChatError, match=r"msgstore\.db is damaged"):
        read_database(path)


def test_a_cut_off_database_is_damaged(tmp_path: Path) -> None:
    rows = {**PEOPLE, "message": [message(row, "x" * 500) for row in range(1, 200)]}
    path = database(tmp_path / "msgstore.db", CURRENT, rows)
    path.write_bytes(path.read_bytes()[:-30_000])

    with pytest.raises(ChatError, match=r"msgstore\.db is damaged"):
        read_database(path)


@pytest.mark.parametrize("data", [b"", b"SQLite", b"PK\x03\x04 something else"])
def test_what_is_no_database_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "msgstore.db").write_bytes(data)

    with pytest.raises(ChatError, match=r"msgstore\.db is not a SQLite database"):
        read_database(tmp_path / "msgstore.db")


def test_pages_that_come_again_and_again_are_damage(tmp_path: Path) -> None:
    """A small file whose tree names one page many times would else fill the memory."""
    path = tmp_path / "msgstore.db"
    rows = {**PEOPLE, "message": [message(row, "x" * 40) for row in range(1, 3000)]}
    whole = bytearray(database(path, CURRENT, rows).read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'message'"
                                     ).fetchone()  # fmt: skip
    top = (root - 1) * 4096
    assert whole[top] == 5  # an inner page of a table
    cells = int.from_bytes(whole[top + 3 : top + 5], "big")
    first = int.from_bytes(whole[top + 12 : top + 14], "big")
    child = whole[top + first : top + first + 4]
    for cell in range(cells):
        at = int.from_bytes(whole[top + 12 + 2 * cell : top + 14 + 2 * cell], "big")
        whole[top + at : top + at + 4] = child
    path.write_bytes(whole)

    # Rows of the one page, each as often as it is named; the same key is the same message.
    reading = read_database(path)

    assert len(reading.messages) < 200
