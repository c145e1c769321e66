"""The iPhone's ChatStorage.sqlite: what its tables hold comes out as messages."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pytok.chat.databases import Chat, Reading, read_database
from pytok.chat.record import Message
from tests.pytok.chat.phones import IPHONE, Record, database, field

SESSIONS: list[Record] = [
    {"Z_PK": 1, "ZCONTACTJID": "431@s.whatsapp.net", "ZPARTNERNAME": "Anna"},
    {"Z_PK": 2, "ZCONTACTJID": "99-1@g.us", "ZPARTNERNAME": "Friends", "ZGROUPINFO": 1},
]
MEMBERS: list[Record] = [
    {"Z_PK": 5, "ZMEMBERJID": "432@s.whatsapp.net", "ZFIRSTNAME": "Bob"},
    {"Z_PK": 6, "ZMEMBERJID": "433@s.whatsapp.net"},
]


def message(row: int, text: str | None = None, **columns: Any) -> dict[str, Any]:
    """A row of ZWAMESSAGE, from Anna, 700,000,000 s and more after 2001."""
    return {
        "Z_PK": row,
        "ZISFROMME": 0,
        "ZMESSAGETYPE": 0,
        "ZCHATSESSION": 1,
        "ZMESSAGEDATE": 700_000_000 + row + 0.25,
        "ZSTANZAID": f"KEY{row}",
        "ZTEXT": text,
        **columns,
    }


def read(path: Path, *messages: Record, media: list[Record] | None = None) -> Reading:
    """What is read from a file with *messages* and items of *media*."""
    rows = {
        "ZWACHATSESSION": SESSIONS,
        "ZWAGROUPMEMBER": MEMBERS,
        "ZWAMESSAGE": messages,
        "ZWAMEDIAITEM": media or [],
        "ZWAPROFILEPUSHNAME": [{"ZJID": "433@s.whatsapp.net", "ZPUSHNAME": "Cleo"}],
    }
    return read_database(database(path / "ChatStorage.sqlite", IPHONE, rows))


def test_a_text_has_time_sender_and_source(tmp_path: Path) -> None:
    """Seconds since 2001, with a fraction."""
    (one,) = read(tmp_path, message(1, "hello")).messages

    assert one == Message(
        time=datetime(2023, 3, 8, 20, 26, 41, 250_000, tzinfo=timezone.utc),
        sender="+431",
        name="Anna",
        text="hello",
        id="KEY1",
        chat="Anna",
        source="ChatStorage.sqlite",
        line=1,
    )


def test_senders_of_a_group_are_its_members(tmp_path: Path) -> None:
    """By the phone's name for them, else the one that they chose; the owner is "me"."""
    reading = read(
        tmp_path,
        message(1, "a", ZCHATSESSION=2, ZGROUPMEMBER=5),
        message(2, "b", ZCHATSESSION=2, ZGROUPMEMBER=6),
        message(3, "c", ZCHATSESSION=2, ZISFROMME=1),
        message(4, "d", ZCHATSESSION=2, ZFROMJID="99-1@g.us", ZPUSHNAME="Dora"),
    )

    assert [each.sender for each in reading.messages] == ["+432", "+433", "me", "unknown"]
    assert [each.author for each in reading.messages] == ["Bob", "Cleo", "me", "Dora"]
    assert reading.chats == [Chat("Friends", 4)]


def test_a_file_has_its_name_and_caption(tmp_path: Path) -> None:
    (one,) = read(
        tmp_path,
        message(1, None, ZMESSAGETYPE=1),
        media=[{"ZMESSAGE": 1, "ZMEDIALOCALPATH": "Media/431/a/b/c.jpg", "ZTITLE": "look"}],
    ).messages

    assert (one.kind, one.media, one.text) == ("media", "c.jpg", "look")


def test_answers_name_the_message_they_answer(tmp_path: Path) -> None:
    """It is in the metadata of a media item, although there are no media."""
    reading = read(
        tmp_path,
        message(1, "a"),
        message(2, "b"),
        media=[{"ZMESSAGE": 2, "ZMETADATA": field(5, b"KEY1") + field(9, b"x")}],
    )

    assert reading.messages[1].reply_to == "KEY1"


@pytest.mark.parametrize(
    ("code", "kind"),
    [(6, "system"), (14, "deleted"), (46, "poll"), (15, "media"), (7, "text"), (59, "call")],
)
def test_kinds_come_from_the_type(tmp_path: Path, code: int, kind: str) -> None:
    """The numbers are not Android's: there 46 is no poll."""
    assert read(tmp_path, message(1, "x", ZMESSAGETYPE=code)).messages[0].kind == kind


def test_a_location_has_a_link(tmp_path: Path) -> None:
    (one,) = read(
        tmp_path,
        message(1, None, ZMESSAGETYPE=5),
        media=[{"ZMESSAGE": 1, "ZLATITUDE": 48.5, "ZLONGITUDE": 16.25}],
    ).messages

    assert one.text == "https://maps.google.com/?q=48.5,16.25"


def test_what_the_file_does_not_tell_is_said(tmp_path: Path) -> None:
    assert "reactions" in read(tmp_path, message(1, "a")).missing
