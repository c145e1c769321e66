"""Element's JSON export of a room of Matrix."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pytok.chat.importing import ImportOptions, ImportResult, import_chats
from pytok.chat.record import Message


def event(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "type": "m.room.message",
        "sender": "@ann:example.org",
        "content": {"msgtype": "m.text", "body": "hi"},
        "origin_server_ts": 1704485411000 + number,
        "unsigned": {"age": 5},
        "event_id": f"${number}",
        "room_id": "!us:example.org",
    } | fields


def read(tmp_path: Path, *events: Any) -> ImportResult:
    path = tmp_path / "export.json"
    room = {"room_name": "Us", "room_creator": "@ann:example.org", "topic": "", "exported_by": "a"}
    path.write_text(json.dumps(room | {"messages": list(events)}))
    return import_chats([path], ImportOptions())


def test_edits_and_reactions_change_a_message(tmp_path: Path) -> None:
    """Older clients quote the message that they answer."""
    answer = {
        "msgtype": "m.text",
        "body": "> <@bob:x> hi\n> there\n\nho",
        "m.relates_to": {"m.in_reply_to": {"event_id": "$1"}},
    }
    edit = {
        "msgtype": "m.text",
        "body": "* hello",
        "m.new_content": {"msgtype": "m.text", "body": "hello"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": "$1"},
    }
    reaction = {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$1", "key": "👍"}}

    first, second = read(
        tmp_path,
        event(1),
        event(2, content=answer),
        event(3, content=edit),
        event(4, type="m.reaction", content=reaction),
    ).messages

    assert first == Message(
        time=datetime(2024, 1, 5, 20, 10, 11, 1000, timezone.utc),
        sender="@ann:example.org",
        text="hello",
        edited=True,
        id="$1",
        reactions=("👍",),
        source="export.json",
        line=1,
    )
    assert (second.text, second.reply_to) == ("ho", "$1")


@pytest.mark.parametrize(
    ("fields", "kind", "text", "media"),
    [
        ({"content": {"msgtype": "m.image", "body": "a.jpg"}}, "media", "", "a.jpg"),
        (
            {"content": {"msgtype": "m.image", "body": "look", "filename": "a.jpg"}},
            "media", "look", "a.jpg",
        ),
        ({"type": "m.sticker", "content": {"body": "owl"}}, "media", "", "sticker"),
        ({"type": "m.room.encrypted", "content": {"algorithm": "m"}}, "media", "", "encrypted"),
        ({"content": {}, "unsigned": {"redacted_because": {}}}, "deleted", "", None),
        (
            {"type": "m.room.member", "content": {"membership": "join"}},
            "system", "@ann:example.org: m.room.member", None,
        ),
    ],
)  # fmt: skip
def test_kinds_of_events(
    fields: dict[str, Any], kind: str, text: str, media: str | None, tmp_path: Path
) -> None:
    (found,) = read(tmp_path, event(**fields)).messages

    assert (found.kind, found.text, found.media) == (kind, text, media)


def test_an_event_with_a_damaged_time_is_reported(tmp_path: Path) -> None:
    imported = read(tmp_path, event(1), event(2, origin_server_ts="soon"), 5)

    assert len(imported.messages) == 1
    assert imported.summary.sources[0].unread_lines == (2, 3)
