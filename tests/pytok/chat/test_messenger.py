"""Messenger's and Instagram's JSON, in the shapes of the downloads of 2018 to 2025."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pytok.chat.importing import ImportOptions, ImportResult, import_chats
from pytok.chat.record import Message

START = datetime(2024, 1, 5, 12, tzinfo=timezone.utc)


def wrong(text: str) -> str:
    """Return *text* as Facebook writes it: each byte of its UTF-8 as a character."""
    return text.encode().decode("latin-1")


def message(minute: int = 0, sender: str = "Ann Huber", **fields: Any) -> dict[str, Any]:
    time = START + timedelta(minutes=minute)
    plain = {"sender_name": wrong(sender), "timestamp_ms": int(time.timestamp() * 1000)}
    return plain | fields | {"is_geoblocked_for_viewer": False}


def thread(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {
        "participants": [{"name": "Ann Huber"}, {"name": wrong("Jürgen")}],
        "messages": list(messages),
        "title": wrong("Jürgen"),
        "is_still_participant": True,
        "thread_path": "inbox/jurgen_123",
        "magic_words": [],
    } | fields


def read(tmp_path: Path, plain: Any) -> ImportResult:
    path = tmp_path / "message_1.json"
    path.write_text(json.dumps(plain))
    return import_chats([path], ImportOptions())


def test_a_message_of_messenger(tmp_path: Path) -> None:
    """Its texts are repaired; the file has the newest message first."""
    plain = thread(
        message(1, "Jürgen", content="ok"),
        message(
            0,
            "Jürgen",
            content=wrong("schön 😂, “ja”\nДа"),
            reactions=[{"reaction": wrong("❤"), "actor": "Ann Huber"}],
        ),
    )

    first, second = read(tmp_path, plain).messages

    assert second.text == "ok"
    assert first == Message(
        time=START,
        sender="Jürgen",
        text="schön 😂, “ja”\nДа",
        reactions=("❤",),
        source="message_1.json",
        line=2,
    )


@pytest.mark.parametrize("text", ["naïve café", "Ã", "50 °C – “ok”", "日本", "cut Ã¤ \xc3"])
def test_text_that_is_intact_is_kept(text: str, tmp_path: Path) -> None:
    """Only what is UTF-8 is decoded again."""
    (found,) = read(tmp_path, thread(message(content=text))).messages

    assert found.text == text.replace("Ã¤", "ä")


@pytest.mark.parametrize(
    ("fields", "kind", "text", "media"),
    [
        ({"photos": [{"uri": "m/inbox/x/photos/1.jpg"}]}, "media", "", "1.jpg"),
        ({"videos": [{"uri": ""}], "content": "us"}, "media", "us", "video"),
        ({"audio_files": [{}]}, "media", "", "audio"),
        ({"gifs": [{"uri": "m/g.gif"}]}, "media", "", "g.gif"),
        ({"sticker": {"uri": "m/s.png"}}, "media", "", "sticker"),
        ({"share": {"link": "https://x.org"}, "content": "see"}, "media", "see", "share"),
        (
            {"share": {"link": "https://x.org"}, "content": "see https://x.org"},
            "text", "see https://x.org", None,
        ),
        ({"call_duration": 9, "content": "Ann called you."}, "call", "Ann called you.", None),
        ({"is_unsent": True}, "deleted", "", None),
        ({}, "media", "", "attachment"),
        ({"content": "Ann named the group Us."}, "system", "Ann named the group Us.", None),
        ({"content": "Ann hat die Gruppe Us genannt."}, "system",
         "Ann hat die Gruppe Us genannt.", None),
        ({"content": "Bob is in.", "type": "Subscribe", "users": []}, "system", "Bob is in.", None),
        ({"content": "You changed the theme to Love."}, "system",
         "You changed the theme to Love.", None),
        ({"content": "Liked a message"}, "system", "Liked a message", None),
        ({"content": "Ann is my name"}, "text", "Ann is my name", None),
    ],
)  # fmt: skip
def test_kinds_of_messages(
    fields: dict[str, Any], kind: str, text: str, media: str | None, tmp_path: Path
) -> None:
    (found,) = read(tmp_path, thread(message(**fields))).messages

    assert (found.kind, found.text, found.media) == (kind, text, media)
    assert found.sender == (None if kind == "system" else "Ann Huber")


def test_captions_that_the_app_writes_below_shares_are_removed(tmp_path: Path) -> None:
    """They recur; the caption of a person does not."""
    captions = ["Ann sent an attachment.", "Ann sent an attachment.", "look!"]
    shares = [
        message(minute, share={"link": f"https://x.org/{minute}"}, content=caption)
        for minute, caption in enumerate(captions)
    ]

    found = read(tmp_path, thread(*reversed(shares))).messages

    assert [each.text for each in found] == ["", "", "look!"]


def test_an_end_to_end_encrypted_chat(tmp_path: Path) -> None:
    """It has other names of fields, and its texts are intact."""
    common = {"media": [], "reactions": [], "isUnsent": False, "type": "text"}
    messages = [
        common | {"senderName": "Ann", "timestamp": 1704456060000, "text": "Ã¤ ja"},
        common | {"senderName": "Jürgen", "timestamp": 1704456000000, "text": "schön",
                  "reactions": [{"actor": "Ann", "reaction": "👍"}]},
        common | {"senderName": "Ann", "timestamp": 1704455940000, "text": "", "type": "media",
                  "media": [{"uri": "./media/1.jpg"}]},
        common | {"senderName": "Ann", "timestamp": 1704455880000, "text": "", "isUnsent": True},
    ]  # fmt: skip
    plain = {"participants": ["Ann", "Jürgen"], "threadName": "Jürgen_5", "messages": messages}

    found = read(tmp_path, plain).messages

    assert [(each.kind, each.text, each.media) for each in found] == [
        ("deleted", "", None),
        ("media", "", "1.jpg"),
        ("text", "schön", None),
        ("text", "Ã¤ ja", None),
    ]
    assert found[2].reactions == ("👍",)


def test_the_files_of_a_chat_are_one_chat(tmp_path: Path) -> None:
    """Of an inbox, one chat can be chosen; other JSON files in the download are not chats."""
    threads = {
        "inbox/jurgen_123/message_1.json": thread(message(2, content="c"), message(1, content="b")),
        "inbox/jurgen_123/message_2.json": thread(message(0, content="a")),
        "inbox/bob_4/message_1.json": thread(
            message(5, "Bob", content="d"), title="Bob", thread_path="inbox/bob_4"
        ),
        "your_posts.json": [{"timestamp": 1, "data": [{"post": "x"}]}],
    }
    for name, plain in threads.items():
        path = tmp_path / "download" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(plain))

    def texts(chat: str | None) -> list[str]:
        imported = import_chats([tmp_path / "download"], ImportOptions(chat=chat))
        return [each.text for each in imported.messages]

    (source,) = import_chats([tmp_path / "download"], ImportOptions()).summary.sources
    assert source.format.endswith("JSON of 2 chats in 3 files; 1 other file without a chat")
    assert texts("Jürgen") == texts("jurgen_123") == ["a", "b", "c"]
    assert texts(None) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "broken", [{"timestamp_ms": "soon"}, {"timestamp_ms": 1e300}, {"timestamp_ms": None}]
)
def test_a_message_with_a_damaged_time_is_reported(broken: Any, tmp_path: Path) -> None:
    imported = read(tmp_path, thread(message(1, content="b") | broken, message(0, content="a")))

    assert [each.text for each in imported.messages] == ["a"]
    assert imported.summary.sources[0].unread_lines == (1,)


@pytest.mark.parametrize(
    "odd",
    [{"photos": 5}, {"photos": [5]}, {"reactions": {}}, {"share": 5}, {"content": 5}, {"type": []}],
)
def test_odd_values_are_no_error(odd: Any, tmp_path: Path) -> None:
    assert len(read(tmp_path, thread(message(0) | odd)).messages) == 1
