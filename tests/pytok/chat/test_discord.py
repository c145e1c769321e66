"""DiscordChatExporter's JSON, in the shape of its JsonMessageWriter.cs."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pytok.chat.importing import ImportOptions, ImportResult, import_chats
from pytok.chat.record import Message


def user(name: str = "ann", identity: str = "7", nickname: str = "Ann") -> dict[str, Any]:
    return {
        "id": identity,
        "name": name,
        "discriminator": "0000",
        "nickname": nickname,
        "color": None,
        "isBot": False,
        "roles": [],
        "avatarUrl": "https://cdn.example.org/7.png",
    }


def message(number: int = 1, **plain: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "type": "Default",
        "timestamp": f"2024-01-05T13:{number:02}:00.12+01:00",
        "timestampEdited": None,
        "callEndedTimestamp": None,
        "isPinned": False,
        "content": "hi",
        "author": user(),
        "attachments": [],
        "embeds": [],
        "stickers": [],
        "reactions": [],
        "mentions": [],
        "inlineEmojis": [],
    } | plain


def channel(*messages: Any, name: str = "general", identity: str = "4") -> dict[str, Any]:
    return {
        "guild": {"id": "1", "name": "Us", "iconUrl": "https://cdn.example.org/1.png"},
        "channel": {"id": identity, "type": "GuildTextChat", "name": name, "topic": None},
        "dateRange": {"after": None, "before": None},
        "exportedAt": "2024-02-01T12:00:00.1234567+01:00",
        "messages": list(messages),
        "messageCount": len(messages),
    }


def read(tmp_path: Path, plain: Any) -> ImportResult:
    path = tmp_path / "Us - general [4].json"
    path.write_text(json.dumps(plain))
    return import_chats([path], ImportOptions())


def test_a_message_of_discord(tmp_path: Path) -> None:
    """The sender is the account, the name the displayed one; a server's emoji is between colons."""
    plain = message(
        2,
        type="Reply",
        content="see https://x.org",
        timestampEdited="2024-01-05T14:00:00+01:00",
        embeds=[{"title": "X", "url": "https://x.org"}],
        reference={"type": "Default", "messageId": "1", "channelId": "4", "guildId": "1"},
        reactions=[
            {"emoji": {"id": "", "name": "❤", "code": "heart"}, "count": 2, "users": []},
            {"emoji": {"id": "99", "name": "owl", "code": "owl"}, "count": 1, "users": []},
        ],
    )

    (found,) = read(tmp_path, channel(plain)).messages

    assert found == Message(
        time=datetime(2024, 1, 5, 13, 2, 0, 120_000, timezone(timedelta(hours=1))),
        sender="7",
        name="Ann",
        text="see https://x.org",
        edited=True,
        id="2",
        reply_to="1",
        reactions=("❤", "❤", ":owl:"),
        source="Us - general [4].json",
        line=1,
    )


@pytest.mark.parametrize(
    ("plain", "kind", "text", "media"),
    [
        (
            {"attachments": [{"id": "5", "url": "https://x.org/5", "fileName": "lake.jpg"}]},
            "media", "hi", "lake.jpg",
        ),
        ({"content": "", "stickers": [{"id": "6", "name": "owl"}]}, "media", "", "sticker"),
        ({"content": "", "embeds": [{"title": "X"}]}, "media", "", "embed"),
        (
            {"content": "", "reference": {"type": "Forward", "messageId": "3"},
             "forwardedMessage": {"content": "news", "attachments": []}},
            "media", "news", "forwarded",
        ),
        ({"type": "Call", "content": "Started a call that lasted 3 minutes."}, "call",
         "Started a call that lasted 3 minutes.", None),
        ({"type": "GuildMemberJoin", "content": "Joined the server."}, "system",
         "Ann: Joined the server.", None),
        ({"type": "8", "content": ""}, "system", "Ann: ", None),
        ({"type": "20", "content": "42"}, "text", "42", None),
    ],
)  # fmt: skip
def test_kinds_of_messages(
    plain: dict[str, Any], kind: str, text: str, media: str | None, tmp_path: Path
) -> None:
    (found,) = read(tmp_path, channel(message(**plain))).messages

    assert (found.kind, found.text, found.media) == (kind, text, media)
    assert found.sender == (None if kind == "system" else "7")


def test_the_parts_of_a_channel_are_one_chat(tmp_path: Path) -> None:
    """Another channel of that name is another chat."""
    parts = {
        "a [part 1].json": channel(message(1, content="a")),
        "a [part 2].json": channel(message(2, content="b")),
        "b.json": channel(message(3, content="c"), identity="5"),
    }
    for name, plain in parts.items():
        (tmp_path / name).write_text(json.dumps(plain))

    def texts(chat: str) -> list[str]:
        imported = import_chats([tmp_path], ImportOptions(chat=chat))
        return [each.text for each in imported.messages]

    assert texts("4") == ["a", "b"]
    assert texts("general (5)") == ["c"]


@pytest.mark.parametrize(
    "broken", [{"timestamp": "never"}, {"timestamp": [5]}, {"author": None}, {"author": {}}]
)
def test_a_message_with_damaged_values_is_reported(broken: Any, tmp_path: Path) -> None:
    imported = read(tmp_path, channel(message(1), message(2, **broken)))

    assert [each.id for each in imported.messages] == ["1"]
    assert imported.summary.sources[0].unread_lines == (2,)


RULE = "=" * 62
TEXT = f"""{RULE}
Guild: Us
Channel: Text Channels / general
{RULE}

[1/25/2024 8:10 PM] ann
hi [1/1/2024] x

two


[1/25/2024 8:11 PM] bob (pinned)
look

{{Attachments}}
https://cdn.example.org/1/lake.jpg?ex=1

{{Reactions}}
❤ (2)

{RULE}
Exported 2 message(s)
{RULE}
"""


def test_the_text_of_discord(tmp_path: Path) -> None:
    """The order of its dates is found by the dates."""
    path = tmp_path / "general.txt"
    path.write_text(TEXT)

    found = import_chats([path], ImportOptions(chat="general")).messages

    assert [(each.sender, each.kind, each.text, each.media) for each in found] == [
        ("ann", "text", "hi [1/1/2024] x\n\ntwo", None),
        ("bob", "media", "look", "lake.jpg"),
    ]
    assert found[0].time == datetime(2024, 1, 25, 20, 10)
