"""The downloads of Snapchat, Skype, Google Chat and Slack."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pytok.chat.formats.downloads import from_download
from pytok.chat.importing import ImportOptions, ImportResult, import_chats
from pytok.chat.record import Message
from pytok.errors import ChatError

TIME = datetime(2024, 1, 5, 20, 10, 11, tzinfo=timezone.utc)


def read(path: Path, plain: Any, **options: str) -> ImportResult:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain))
    return import_chats([path], ImportOptions(**options))


def snap(**fields: Any) -> dict[str, Any]:
    return {
        "From": "ann",
        "Media Type": "TEXT",
        "Created": "2024-01-05 20:10:11 UTC",
        "Content": "hi",
        "Conversation Title": None,
        "IsSender": False,
        "Created(microseconds)": 1704485411000,
    } | fields


def test_snapchat(tmp_path: Path) -> None:
    """A chat is a list with the newest message first."""
    picture = snap(**{"Media Type": "IMAGE", "Content": "", "Created": "2024-01-05 20:11:00 UTC"})
    plain = {"ann": [picture, snap()], "bob": [snap(From="bob")]}

    first, second = read(tmp_path / "chat_history.json", plain, chat="ann").messages

    assert (first.time, first.sender, first.kind, first.text) == (TIME, "ann", "text", "hi")
    assert (second.kind, second.media) == ("media", "image")


def skype(**fields: Any) -> dict[str, Any]:
    return {
        "id": "1704485411000",
        "displayName": "Ann",
        "originalarrivaltime": "2024-01-05T20:10:11.000Z",
        "messagetype": "RichText",
        "version": 1704485411000,
        "content": "hi",
        "from": "8:live:ann",
    } | fields


def test_skype(tmp_path: Path) -> None:
    """Tags, and the words of others in quotations, are not words of the sender."""
    content = (
        '<quote author="bob"><legacyquote>[1] Bob: </legacyquote>who?<legacyquote>\n&lt;&lt;&lt; '
        '</legacyquote></quote>me &amp; <a href="https://x.org">x.org</a> <ss type="smile">:)</ss>'
        '<e_m ts="1"></e_m>'
    )
    chats = [
        {"id": "8:bob", "displayName": "Bob", "MessageList": [skype(content=content)]},
        {"id": "48:calllogs", "displayName": None, "MessageList": []},
    ]

    (found,) = read(tmp_path / "messages.json", {"userId": "8:me", "conversations": chats}).messages

    assert found == Message(
        time=TIME,
        sender="8:live:ann",
        name="Ann",
        text="me & x.org :)",
        edited=True,
        id="1704485411000",
        source="messages.json",
        line=1,
    )


@pytest.mark.parametrize(
    ("message_type", "kind", "media"),
    [
        ("Text", "text", None),
        ("RichText/Media_Video", "media", "video"),
        ("RichText/UriObject", "media", "uriobject"),
        ("Event/Call", "call", None),
        ("ThreadActivity/AddMember", "system", None),
    ],
)
def test_kinds_of_messages_of_skype(
    message_type: str, kind: str, media: str | None, tmp_path: Path
) -> None:
    chats = [{"id": "8:bob", "MessageList": [skype(messagetype=message_type)]}]

    (found,) = read(tmp_path / "messages.json", {"conversations": chats}).messages

    assert (found.kind, found.media) == (kind, media)


def test_google_chat(tmp_path: Path) -> None:
    """The time is in words; the chat is named by the folder."""
    message = {
        "creator": {"name": "Ann", "email": "ann@example.org", "user_type": "Human"},
        "created_date": "Friday, January 5, 2024 at 8:10:11\u202fPM UTC",
        "text": "hi",
        "message_id": "a/b",
    }
    file = message | {"attached_files": [{"original_name": "a.jpg"}], "text": ""}

    found = read(tmp_path / "Us/messages.json", {"messages": [message, file]}).messages

    assert found[0] == Message(
        time=TIME,
        sender="ann@example.org",
        name="Ann",
        text="hi",
        id="a/b",
        source="messages.json",
        line=1,
    )
    assert (found[1].kind, found[1].media) == ("media", "a.jpg")


def test_google_chat_has_edits_deletions_and_reactions(tmp_path: Path) -> None:
    """A deleted message has no text; a reaction lists who reacted."""
    message = {
        "creator": {"name": "Ann", "email": "ann@example.org", "user_type": "Human"},
        "created_date": "Friday, January 5, 2024 at 8:10:11\u202fPM UTC",
        "message_id": "a/b",
    }
    reactions = [
        {"emoji": {"unicode": "👍"}, "reactor_emails": ["a@example.org", "b@example.org"]},
        {"emoji": {"custom_emoji": {}}, "reactor_emails": ["a@example.org"]},
    ]
    edited = {"text": "hi", "updated_date": message["created_date"], "reactions": reactions}
    deleted = {"message_state": "DELETED", "deletion_metadata": {"deletion_type": "CREATOR"}}

    listed = [message | edited, message | deleted, message]
    first, second, third = read(tmp_path / "Us/messages.json", {"messages": listed}).messages

    assert (first.text, first.edited, first.reactions) == ("hi", True, ("👍", "👍"))
    assert (second.kind, second.text) == ("deleted", "")
    assert (third.kind, third.media) == ("media", "attachment")


def slack(**fields: Any) -> dict[str, Any]:
    return {
        "user": "U1",
        "type": "message",
        "ts": "1704485411.000000",
        "text": "hi",
        "user_profile": {"real_name": "Ann Huber", "display_name": "ann"},
    } | fields


def test_slack(tmp_path: Path) -> None:
    """A day of a channel is a file, and the channel a folder."""
    answer = slack(
        ts="1704485412.000000",
        thread_ts="1704485411.000000",
        text="see <https://x.org|x> &amp; <https://y.org> &lt;3",
        reactions=[{"name": "owl", "count": 2, "users": ["U1", "U2"]}],
        edited={"user": "U1", "ts": "1704485413.000000"},
    )
    days = {
        "general/2024-01-05.json": [slack(), answer],
        "general/2024-01-06.json": [slack(ts="1704585411.000000", subtype="channel_join")],
        "other/2024-01-05.json": [slack(ts="1704485411.500000", files=[{"name": "a.jpg"}])],
        "users.json": [{"id": "U1", "name": "ann"}],
    }
    for name, plain in days.items():
        path = tmp_path / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(plain))

    found = import_chats([tmp_path / "export"], ImportOptions(chat="general")).messages

    assert [each.kind for each in found] == ["text", "text", "system"]
    assert (found[0].time, found[0].sender, found[0].name) == (TIME, "U1", "ann")
    assert found[1].text == "see x & https://y.org <3"
    assert (found[1].reply_to, found[1].edited) == (found[0].id, True)
    assert found[1].reactions == (":owl:", ":owl:")


@pytest.mark.parametrize(
    "broken",
    [
        snap(Created="soon"),
        snap(Created=5),
        skype(originalarrivaltime=[]),
        slack(ts="x"),
        slack(ts="nan"),
        {"creator": 5, "created_date": "Friday"},
    ],
)
def test_a_message_with_a_damaged_time_is_not_converted(broken: dict[str, Any]) -> None:
    assert from_download(broken) is broken


def test_a_message_outside_the_document_of_its_app_is_no_chat(tmp_path: Path) -> None:
    with pytest.raises(ChatError, match="no other format"):
        read(tmp_path / "x.json", {"messages": {"one": skype()}})
