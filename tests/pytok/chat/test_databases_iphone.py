"""Messages from the iPhone's ChatStorage.sqlite."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pytok.chat.databases import Chat, DatabaseContents, read_database
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
    """A row of ZWAMESSAGE from Anna, at 700,000,000.25 s plus *row* seconds after 2001."""
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


def read(path: Path, *messages: Record, media: list[Record] | None = None) -> DatabaseContents:
    """Read a file with *messages* and the items *media*."""
    rows = {
        "ZWACHATSESSION": SESSIONS,
        "ZWAGROUPMEMBER": MEMBERS,
        "ZWAMESSAGE": messages,
        "ZWAMEDIAITEM": media or [],
        "ZWAPROFILEPUSHNAME": [{"ZJID": "433@s.whatsapp.net", "ZPUSHNAME": "Cleo"}],
    }
    return read_database(database(path / "ChatStorage.sqlite", IPHONE, rows))


def test_a_text_has_time_sender_and_source(tmp_path: Path) -> None:
    """Times are seconds since 2001, with a fraction."""
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
    """With the name in the phone, else the chosen one; the owner is "me"."""
    contents = read(
        tmp_path,
        message(1, "a", ZCHATSESSION=2, ZGROUPMEMBER=5),
        message(2, "b", ZCHATSESSION=2, ZGROUPMEMBER=6),
        message(3, "c", ZCHATSESSION=2, ZISFROMME=1),
        message(4, "d", ZCHATSESSION=2, ZFROMJID="99-1@g.us", ZPUSHNAME="Dora"),
    )

    assert [each.sender for each in contents.messages] == ["+432", "+433", "me", "unknown"]
    assert [each.author for each in contents.messages] == ["Bob", "Cleo", "me", "Dora"]
    assert contents.chats == [Chat("Friends", 4)]


def test_media_has_a_file_name_and_a_caption(tmp_path: Path) -> None:
    (one,) = read(
        tmp_path,
        message(1, None, ZMESSAGETYPE=1),
        media=[{"ZMESSAGE": 1, "ZMEDIALOCALPATH": "Media/431/a/b/c.jpg", "ZTITLE": "look"}],
    ).messages

    assert (one.kind, one.media, one.text) == ("media", "c.jpg", "look")


def test_answers_refer_to_the_answered_message(tmp_path: Path) -> None:
    """The reference is in the metadata of a media item, even without media."""
    contents = read(
        tmp_path,
        message(1, "a"),
        message(2, "b"),
        media=[{"ZMESSAGE": 2, "ZMETADATA": field(5, b"KEY1") + field(9, b"x")}],
    )

    assert contents.messages[1].reply_to == "KEY1"


@pytest.mark.parametrize(
    ("code", "kind"),
    [(6, "system"), (14, "deleted"), (46, "poll"), (15, "media"), (7, "text"), (59, "call")],
)
def test_kinds_come_from_the_type(tmp_path: Path, code: int, kind: str) -> None:
    """The codes differ from Android's, where 46 is not a poll."""
    assert read(tmp_path, message(1, "x", ZMESSAGETYPE=code)).messages[0].kind == kind


def test_a_location_has_a_link(tmp_path: Path) -> None:
    (one,) = read(
        tmp_path,
        message(1, None, ZMESSAGETYPE=5),
        media=[{"ZMESSAGE": 1, "ZLATITUDE": 48.5, "ZLONGITUDE": 16.25}],
    ).messages

    assert one.text == "https://maps.google.com/?q=48.5,16.25"


def test_missing_information_is_reported(tmp_path: Path) -> None:
    assert "reactions" in read(tmp_path, message(1, "a")).missing
