"""iMessage: the database of macOS and the texts of imessage-exporter."""

from pathlib import Path
from typing import Any

import pytest

from pytok.chat.databases import DatabaseContents, read_database
from pytok.chat.databases.typedstream import read_string
from pytok.chat.importing import ImportOptions, import_chats
from pytok.chat.record import Message
from tests.pytok.chat.app_exports import imported, said
from tests.pytok.chat.phones import Record, database

SCHEMA = (
    "CREATE TABLE message (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL,"
    " text TEXT, handle_id INTEGER DEFAULT 0, subject TEXT, attributedBody BLOB, service TEXT,"
    " date INTEGER, date_edited INTEGER DEFAULT 0, is_from_me INTEGER DEFAULT 0,"
    " is_audio_message INTEGER DEFAULT 0, item_type INTEGER DEFAULT 0,"
    " other_handle INTEGER DEFAULT 0, group_title TEXT, group_action_type INTEGER DEFAULT 0,"
    " associated_message_guid STRING DEFAULT NULL, associated_message_type INTEGER DEFAULT 0,"
    " associated_message_emoji TEXT, balloon_bundle_id STRING DEFAULT NULL,"
    " thread_originator_guid TEXT DEFAULT NULL)",
    "CREATE TABLE handle (ROWID INTEGER PRIMARY KEY, id TEXT NOT NULL, service TEXT NOT NULL)",
    "CREATE TABLE chat (ROWID INTEGER PRIMARY KEY, guid TEXT, style INTEGER,"
    " chat_identifier TEXT, service_name TEXT, display_name TEXT)",
    "CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER)",
    "CREATE TABLE chat_handle_join (chat_id INTEGER, handle_id INTEGER)",
    "CREATE TABLE attachment (ROWID INTEGER PRIMARY KEY, guid TEXT, filename TEXT,"
    " mime_type TEXT, transfer_name TEXT)",
    "CREATE TABLE message_attachment_join (message_id INTEGER, attachment_id INTEGER)",
)
LINK = "com.apple.messages.URLBalloonProvider"
NOON = 726_148_800
"""2024-01-05 12:00:00 UTC, in seconds since 2001."""

PEOPLE: dict[str, list[Record]] = {
    "handle": [
        {"ROWID": 1, "id": "+431", "service": "iMessage"},
        {"ROWID": 2, "id": "+431", "service": "SMS"},
        {"ROWID": 3, "id": "ann.b@example.com", "service": "iMessage"},
    ],
    "chat": [
        {"ROWID": 1, "guid": "iMessage;-;+431", "style": 45, "chat_identifier": "+431"},
        {"ROWID": 2, "guid": "SMS;-;+431", "style": 45, "chat_identifier": "+431"},
        {"ROWID": 3, "guid": "iMessage;+;chat7", "style": 43, "chat_identifier": "chat7"},
    ],
    "chat_handle_join": [
        {"chat_id": 1, "handle_id": 1},
        {"chat_id": 2, "handle_id": 2},
        {"chat_id": 3, "handle_id": 1},
        {"chat_id": 3, "handle_id": 3},
    ],
}


def guid(row: int) -> str:
    return f"{row:08d}-0000-0000-0000-000000000000"


def message(row: int, text: str | None = None, **columns: Any) -> dict[str, Any]:
    """A row of `message`: from +431, a minute after the previous row."""
    return {
        "ROWID": row,
        "guid": guid(row),
        "text": text,
        "handle_id": 1,
        "date": (NOON + 60 * row) * 10**9,
    } | columns


def typedstream(text: str) -> bytes:
    """An attributed string as Apple archives it: the layout of NSArchiver's typedstream."""
    data = text.encode()
    length = bytes([len(data)]) if len(data) < 128 else b"\x81" + len(data).to_bytes(2, "little")
    return (
        b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x19NSMutableAttributedString\x00\x84"
        b"\x84\x12NSAttributedString\x00\x84\x84\x08NSObject\x00\x85\x92\x84\x84\x84\x0f"
        b"NSMutableString\x01\x84\x84\x08NSString\x01\x95\x84\x01+" + length + data + b"\x86\x84"
        b"\x02iI\x01" + bytes([min(len(text), 127)]) + b"\x92\x84\x84\x84\x0cNSDictionary\x00\x95"
        b"\x84\x01i\x01\x92\x84\x98\x98\x1d__kIMMessagePartAttributeName\x86\x92\x84\x84\x84\x08"
        b"NSNumber\x00\x84\x84\x07NSValue\x00\x95\x84\x01*\x84\x9b\x9b\x00\x86\x86\x86"
    )


def write(folder: Path, *messages: Record, chat: int = 1, **rows: list[Record]) -> Path:
    """Write a chat.db with *messages*, all in *chat*, and *rows* of other tables."""
    joins = [{"chat_id": chat, "message_id": each["ROWID"]} for each in messages]
    tables = {**PEOPLE, "message": list(messages), "chat_message_join": joins, **rows}
    return database(folder / "chat.db", SCHEMA, tables)


def read(folder: Path, *messages: Record, chat: int = 1, **rows: list[Record]) -> DatabaseContents:
    """Write such a chat.db, and read it."""
    return read_database(write(folder, *messages, chat=chat, **rows))


def only(folder: Path, *messages: Record, **rows: list[Record]) -> Message:
    """Read a chat.db with one message that is not a reaction."""
    (found,) = read(folder, *messages, **rows).messages
    return found


def test_a_text_has_time_sender_and_source(tmp_path: Path) -> None:
    contents = read(tmp_path, message(1, "hi"), message(2, "yes", is_from_me=1, handle_id=0))

    first, second = contents.messages
    assert f"{first.time:%Y-%m-%d %H:%M:%S %Z}" == "2024-01-05 12:01:00 UTC"
    assert (first.sender, first.text, first.id, first.line) == ("+431", "hi", guid(1), 1)
    assert (second.sender, second.source) == ("me", "chat.db")
    assert contents.format == "iMessage database"


def test_old_times_are_in_seconds(tmp_path: Path) -> None:
    assert f"{only(tmp_path, message(1, 'hi', date=NOON)).time:%Y-%m-%d}" == "2024-01-05"


@pytest.mark.parametrize("text", ["Grüße 😀", "a" * 127, "a" * 128, "é" * 20_000])
def test_a_text_only_in_the_attributed_body_is_read(text: str, tmp_path: Path) -> None:
    assert only(tmp_path, message(1, attributedBody=typedstream(text))).text == text


def test_a_long_archived_text_has_a_length_of_four_bytes() -> None:
    """Beyond 32,767 bytes."""
    data = typedstream("a")
    long = data.replace(
        b"\x84\x01+\x01a", b"\x84\x01+\x82" + (70_000).to_bytes(4, "little") + b"b" * 70_000
    )

    assert read_string(long) == "b" * 70_000


@pytest.mark.parametrize(
    "body",
    [
        b"bplist00",
        b"\x04\x0bstreamtyped",
        b"\x04\x0bstreamtyped\x84\x01+",
        b"\x04\x0bstreamtyped\x84\x01+\x05ab",
        b"\x04\x0bstreamtyped\x84\x01+\x82\xff\xff\xff\xff",
        b"\x04\x0bstreamtyped\x84\x01+\x01\xff",
    ],
)
def test_a_damaged_attributed_body_is_listed(body: bytes, tmp_path: Path) -> None:
    contents = read(tmp_path, message(1, "hi"), message(2, attributedBody=body))

    assert [each.text for each in contents.messages] == ["hi"]
    assert [each.startswith("message, row 2: ") for each in contents.unreadable] == [True]


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"date": "soon"}, "date: it has no time"),
        ({"date": (1 << 38) - 1}, "date: its time is beyond the year 9999"),
        ({"text": b"\xff"}, "text: 'utf-8' codec can't decode"),
        ({"is_from_me": "perhaps"}, "is_from_me: 'perhaps' is not an integer"),
        ({"thread_originator_guid": b"\xff"}, "thread_originator_guid: 'utf-8' codec"),
    ],
)
def test_a_row_with_an_invalid_value_is_listed_with_its_column(
    columns: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    contents = read(tmp_path, message(1, "hi"), message(2, "no") | columns)

    assert [each.text for each in contents.messages] == ["hi"]
    (listed,) = contents.unreadable
    assert listed.startswith(f"message, row 2: {complaint}")


def test_reactions_are_in_the_message_that_they_refer_to(tmp_path: Path) -> None:
    """The last one of each person counts; a removed one does not, and a removed sticker is none."""
    contents = read(
        tmp_path,
        message(1, "hi", is_from_me=1),
        message(2, associated_message_type=2000, associated_message_guid=f"p:0/{guid(1)}"),
        message(3, associated_message_type=2001, associated_message_guid=f"p:0/{guid(1)}"),
        message(
            4,
            associated_message_type=2006,
            associated_message_guid=f"bp:{guid(1)}",
            associated_message_emoji="🦊",
            handle_id=3,
        ),
        message(5, associated_message_type=2003, associated_message_guid=guid(1), is_from_me=1),
        message(6, associated_message_type=3003, associated_message_guid=guid(1), is_from_me=1),
        message(7, associated_message_type=2000, associated_message_guid=guid(1)),
        message(8, associated_message_type=3007, associated_message_guid=guid(1)),
    )

    assert [each.reactions for each in contents.messages] == [("❤️", "🦊")]


@pytest.mark.parametrize(
    ("columns", "kind", "sent"),
    [
        ({"text": "\ufffcsee this"}, "media", "see this"),
        ({"item_type": 2, "group_title": "Trip"}, "system", "+431 changed the name: Trip"),
        ({"date_edited": 5}, "deleted", ""),
        ({"text": "hi", "date_edited": 5}, "text", "hi"),
        ({"balloon_bundle_id": LINK, "text": "http://a.b"}, "text", "http://a.b"),
        ({"balloon_bundle_id": "x:0:com.example.game", "text": "\ufffd"}, "media", ""),
        ({"is_audio_message": 1, "text": "\ufffc"}, "media", ""),
    ],
)  # fmt: skip
def test_kinds_come_from_the_columns(
    columns: dict[str, Any], kind: str, sent: str, tmp_path: Path
) -> None:
    attached: dict[str, list[Record]] = {
        "attachment": [{"ROWID": 1, "transfer_name": "a.heic", "mime_type": "image/heic"}],
        "message_attachment_join": [{"message_id": 1, "attachment_id": 1}],
    }
    found = only(tmp_path, message(1, **columns), **(attached if "see" in str(columns) else {}))

    assert (found.kind, found.text) == (kind, sent)
    assert found.edited == (columns.get("date_edited", 0) > 0 and kind == "text")


def test_an_attachment_has_its_name(tmp_path: Path) -> None:
    found = only(
        tmp_path,
        message(1, "\ufffc"),
        attachment=[{"ROWID": 7, "filename": "~/Library/Messages/Attachments/a/IMG 1.heic"}],
        message_attachment_join=[{"message_id": 1, "attachment_id": 7}],
    )

    assert (found.kind, found.media, found.text) == ("media", "IMG 1.heic", "")


def test_answers_refer_to_the_answered_message(tmp_path: Path) -> None:
    _, answer = read(
        tmp_path, message(1, "?"), message(2, "!", thread_originator_guid=guid(1))
    ).messages

    assert answer.reply_to == guid(1)


def test_the_chats_of_one_person_are_one_chat(tmp_path: Path) -> None:
    """IMessage and SMS have a chat each."""
    joins: list[Record] = [
        {"chat_id": 1, "message_id": 1},
        {"chat_id": 2, "message_id": 2},
        {"chat_id": 3, "message_id": 3},
    ]
    contents = read(
        tmp_path,
        message(1, "a"),
        message(2, "b", handle_id=2),
        message(3, "c", handle_id=3),
        chat_message_join=joins,
    )

    assert [(each.name, each.messages) for each in contents.chats] == [
        ("+431", 2),
        ("+431, ann.b@example.com", 1),
    ]


def test_one_chat_is_imported_by_name(tmp_path: Path) -> None:
    read(tmp_path, message(1, "a"), message(2, "b"), chat=3)
    result = import_chats([tmp_path / "chat.db"], ImportOptions(chat="+431, ann.b@example.com"))

    assert len(result.messages) == 2
    assert result.summary.sources[0].format == "iMessage database"


MACOS = (
    "CREATE TABLE ZABCDRECORD (Z_PK INTEGER PRIMARY KEY, ZFIRSTNAME VARCHAR, ZLASTNAME VARCHAR,"
    " ZORGANIZATION VARCHAR)",
    "CREATE TABLE ZABCDPHONENUMBER (Z_PK INTEGER PRIMARY KEY, ZOWNER INTEGER, ZFULLNUMBER VARCHAR)",
    "CREATE TABLE ZABCDEMAILADDRESS (Z_PK INTEGER PRIMARY KEY, ZOWNER INTEGER, ZADDRESS VARCHAR)",
)
MACOS_ROWS: dict[str, list[Record]] = {
    "ZABCDRECORD": [
        {"Z_PK": 1, "ZFIRSTNAME": "Ann", "ZLASTNAME": "Lee"},
        {"Z_PK": 2, "ZORGANIZATION": "Bakery"},
        {"Z_PK": 3, "ZFIRSTNAME": "Bob"},
    ],
    "ZABCDPHONENUMBER": [
        {"Z_PK": 1, "ZOWNER": 1, "ZFULLNUMBER": "0664 / 123 45 67"},
        {"Z_PK": 2, "ZOWNER": 2, "ZFULLNUMBER": "+43 (1) 111 11 11"},
        {"Z_PK": 3, "ZOWNER": 3, "ZFULLNUMBER": "011111111"},
    ],
    "ZABCDEMAILADDRESS": [{"Z_PK": 1, "ZOWNER": 1, "ZADDRESS": "Ann.B@Example.com"}],
}
IPHONE = (
    "CREATE TABLE ABPerson (ROWID INTEGER PRIMARY KEY, First TEXT, Last TEXT, Organization TEXT)",
    "CREATE TABLE ABMultiValue (UID INTEGER PRIMARY KEY, record_id INTEGER, value TEXT)",
)
IPHONE_ROWS: dict[str, list[Record]] = {
    "ABPerson": [
        {"ROWID": 1, "First": "Ann", "Last": "Lee"},
        {"ROWID": 2, "Organization": "Bakery"},
        {"ROWID": 3, "First": "Bob"},
    ],
    "ABMultiValue": [
        {"UID": 1, "record_id": 1, "value": "0664 / 123 45 67"},
        {"UID": 2, "record_id": 2, "value": "+43 (1) 111 11 11"},
        {"UID": 3, "record_id": 1, "value": "Ann.B@Example.com"},
        {"UID": 4, "record_id": 3, "value": "011111111"},
    ],
}


@pytest.mark.parametrize(
    ("schema", "rows"), [(MACOS, MACOS_ROWS), (IPHONE, IPHONE_ROWS)], ids=["macOS", "iPhone"]
)
def test_names_come_from_apples_contacts(
    schema: tuple[str, ...], rows: dict[str, list[Record]], tmp_path: Path
) -> None:
    """However a number is written; one of two people names neither."""
    names = database(tmp_path / "names.db", schema, rows)
    handles: list[Record] = [
        {"ROWID": number, "id": address, "service": "iMessage"}
        for number, address in enumerate(
            ("+436641234567", "ann.b@example.com", "+4311111111", "262966"), start=1
        )
    ]
    read(tmp_path, *(message(row, "hi", handle_id=row) for row in range(1, 5)), handle=handles)

    found = read_database(tmp_path / "chat.db", names=names).messages

    assert [each.name for each in found] == ["Ann Lee", "Ann Lee", None, None]


TEXT = """May 17, 2022  8:29:42 PM (Read by you after 1 hour, 49 seconds)
Ann Lee
hi

second paragraph
Tapbacks:
Loved by Me
Emphasized by Bob Ray

    May 17, 2022  8:31:00 PM
    Me
    an answer

May 17, 2022  8:30:00 PM
Me
/Users/me/Library/Messages/Attachments/ab/11/IMG 1.heic
look

May 17, 2022  8:31:00 PM
Me
an answer
This message responded to an earlier message.

May 17, 2022  8:32:00 PM You renamed the conversation to Trip

May 17, 2022 10:33:00 PM
Bob Ray
May 17, 2022 10:33:00 PM first
Edited 5 seconds later: second
Sent with Confetti

May 17, 2022 10:34:00 PM
Bob Ray
Bob Ray deleted a message.

"""


def test_a_text_of_imessage_exporter_is_read(tmp_path: Path) -> None:
    """An answer that is also shown below the message that it answers is read once."""
    result = imported(tmp_path, TEXT)

    assert said(result) == [
        ("2022-05-17 20:29", "Ann Lee", "hi\n\nsecond paragraph"),
        ("2022-05-17 20:30", "Me", "<media> IMG 1.heic look"),
        ("2022-05-17 20:31", "Me", "an answer"),
        ("2022-05-17 20:32", None, "<system> You renamed the conversation to Trip"),
        ("2022-05-17 22:33", "Bob Ray", "second"),
        ("2022-05-17 22:34", "Bob Ray", "<deleted>"),
    ]
    assert result.messages[0].reactions == ("❤️", "‼️")
    assert result.messages[4].edited
    assert result.summary.sources[0].unread_lines == ()


def test_a_folder_of_imessage_exporter_has_a_chat_in_each_file(tmp_path: Path) -> None:
    for name in ("+431", "Trip"):
        (tmp_path / f"{name}.txt").write_text(TEXT)

    result = import_chats([tmp_path], ImportOptions(chat="Trip"))

    assert len(result.messages) == 6
