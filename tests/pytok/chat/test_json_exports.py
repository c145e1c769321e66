"""Telegram's JSON export, and conversations in the formats of ShareGPT and OpenAI."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pytok.chat.cut_json import complete
from pytok.chat.importing import ImportOptions, ImportResult, import_chats
from pytok.chat.record import Message
from pytok.errors import ChatError


def read(plain: Any, tmp_path: Path) -> ImportResult:
    path = tmp_path / "result.json"
    path.write_text(plain if isinstance(plain, str) else json.dumps(plain), encoding="utf-8")
    return import_chats([path], ImportOptions())


def telegram(number: int = 1, **fields: Any) -> dict[str, Any]:
    defaults = {
        "id": number,
        "type": "message",
        "date": "2024-01-05T13:00:00",
        "date_unixtime": str(1704456000 + 60 * number),
        "from": "Ann",
        "from_id": "user7",
        "text": "hi",
    }
    return defaults | fields


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"name": "Us", "type": "personal_chat", "id": 5, "messages": list(messages)} | fields


def test_a_message_of_telegram(tmp_path: Path) -> None:
    """The sender is the account, the name is the displayed one, and the time is UTC."""
    plain = telegram(
        2,
        text=["see ", {"type": "link", "text": "example.org"}, "!"],
        edited="2024-01-05T13:05:00",
        reply_to_message_id=1,
        reactions=[{"type": "emoji", "count": 2, "emoji": "❤"}],
    )

    (message,) = read(chat(plain), tmp_path).messages

    assert message == Message(
        time=datetime(2024, 1, 5, 12, 2, tzinfo=timezone.utc),
        sender="user7",
        name="Ann",
        text="see example.org!",
        edited=True,
        id="2",
        reply_to="1",
        reactions=("❤", "❤"),
        source="result.json",
        line=1,
    )


@pytest.mark.parametrize(
    ("fields", "kind", "text", "media"),
    [
        ({"photo": "photos/1.jpg", "text": "us"}, "media", "us", "photo"),
        (
            {"file": "a", "media_type": "sticker", "sticker_emoji": "😂", "text": ""},
            "media", "😂", "sticker",
        ),
        ({"file": "f/plan.pdf", "file_name": "plan.pdf"}, "media", "hi", "plan.pdf"),
        (
            {"file": "v.ogg", "media_type": "voice_message", "text": ""},
            "media", "", "voice_message",
        ),
        ({"forwarded_from": "Bob"}, "media", "hi", "forwarded from Bob"),
        ({"forwarded_from": None}, "media", "hi", "forwarded from unknown"),
        ({"forwarded_from_id": None}, "media", "hi", "forwarded from unknown"),
        ({"giveaway_information": {}, "text": ""}, "media", "", "giveaway information"),
        (
            {"todo_list": {"title": "Trip", "answers": [{"text": "Lake", "id": 1}]}, "text": ""},
            "poll", "Trip\nLake", None,
        ),
        (
            {"poll": {"question": "Where?", "answers": [{"text": "Lake", "voters": 2}]}},
            "poll", "Where?\nLake (2)", None,
        ),
        (
            {"location_information": {"latitude": 48.2, "longitude": 16.3}, "text": ""},
            "location", "48.2, 16.3", None,
        ),
        (
            {"type": "service", "action": "phone_call", "actor": "Ann", "actor_id": "user7",
             "duration_seconds": 9},
            "call", "phone call; duration seconds 9", None,
        ),
    ],
)  # fmt: skip
def test_kinds_of_telegram_messages(
    fields: dict[str, Any], kind: str, text: str, media: str | None, tmp_path: Path
) -> None:
    (message,) = read(chat(telegram(**fields)), tmp_path).messages

    assert (message.kind, message.text, message.media) == (kind, text, media)


def test_an_event_of_a_chat_is_described_by_its_fields(tmp_path: Path) -> None:
    plain = {
        "id": 1, "type": "service", "date": "2024-01-05T13:00:00", "actor": "Ann",
        "actor_id": "user7", "action": "invite_members", "members": ["Bob", "Cy"], "text": "",
    }  # fmt: skip

    (message,) = read(chat(plain), tmp_path).messages

    assert (message.kind, message.sender) == ("system", None)
    assert message.text == "Ann: invite members; members Bob, Cy"
    assert message.time == datetime(2024, 1, 5, 13)


def test_messages_of_an_account_name_their_chat(tmp_path: Path) -> None:
    """Unreadable entries are reported."""
    other = chat(telegram(3), {"id": 9, "type": "message", "date": "never"}, name="Work")
    account = {"chats": {"list": [chat(telegram(1), telegram(2)), other]}}

    imported = read(account, tmp_path)

    assert [message.chat for message in imported.messages] == ["Us", "Us", "Work"]
    assert imported.summary.sources[0].unread_lines == (4,)


@pytest.mark.parametrize("wanted", ["News", "news", "7"])
def test_of_an_account_one_chat_is_read(wanted: str, tmp_path: Path) -> None:
    """By its name, in any case, or by its id."""
    news = chat(telegram(3), name="News", type="public_channel", id=7)
    path = tmp_path / "result.json"
    path.write_text(json.dumps({"chats": {"list": [chat(telegram(1)), news]}}))

    imported = import_chats([path], ImportOptions(chat=wanted))

    assert [message.id for message in imported.messages] == ["3"]


def test_all_chats_of_an_account_are_read_with_a_warning(tmp_path: Path) -> None:
    """Chats with one name get their ids, so that they stay apart and can be chosen."""
    account = {"chats": {"list": [chat(telegram(1)), chat(telegram(2), id=6)]}}

    imported = read(account, tmp_path)

    assert [message.chat for message in imported.messages] == ["Us (5)", "Us (6)"]
    assert imported.summary.warnings == (
        "result.json has 2 chats, and all of them are imported: 'Us (5)' (1), 'Us (6)' (1); "
        "--chat NAME imports one (--list-chats lists them)",
    )


def test_a_chosen_chat_without_messages_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps({"chats": {"list": [chat(telegram(1)), chat(name="Work")]}}))

    with pytest.raises(ChatError, match="the chat 'Work' has no message"):
        import_chats([path], ImportOptions(chat="Work"))


def test_a_chat_that_an_account_does_not_have_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(
        json.dumps({"chats": {"list": [chat(telegram(1)), chat(telegram(2), name="Work")]}})
    )

    with pytest.raises(ChatError, match="has no chat 'Wrk'; did you mean 'Work'"):
        import_chats([path], ImportOptions(chat="Wrk"))


@pytest.mark.parametrize("separator", ["\n", ", "])
def test_messages_without_their_chat_are_read(separator: str, tmp_path: Path) -> None:
    """As lines, or as a list."""
    written = separator.join(json.dumps(telegram(number)) for number in (1, 2))

    imported = read(written if separator == "\n" else f"[{written}]", tmp_path)

    assert [message.id for message in imported.messages] == ["1", "2"]


def test_an_export_that_was_cut_is_read_up_to_there(tmp_path: Path) -> None:
    """At any character after the first message, with a warning."""
    full = json.dumps(chat(telegram(1, text='a "b" ]}'), telegram(2)))
    first = full.index(', {"id": 2')
    for end in range(first, len(full)):
        imported = read(full[:end], tmp_path)
        messages = [message.id for message in imported.messages]

        assert messages == (["1", "2"] if end >= full.index("]}", first) else ["1"])
        assert "ends early" in imported.summary.warnings[0]


def test_lines_that_were_cut_are_read_up_to_there(tmp_path: Path) -> None:
    line = json.dumps({"time": "2024-01-05T13:00:00", "sender": "Ann", "text": "hi"})

    imported = read(f"{line}\n{line[:-1]}", tmp_path)

    assert len(imported.messages) == 1
    assert "ends early" in imported.summary.warnings[0]


@pytest.mark.parametrize("atom", ['"', "[", "{", "[{}", '"\\', '{"a":[{"b":[', "}"])
def test_a_cut_text_is_completed_in_linear_time(atom: str) -> None:
    """Quadratic time would take minutes."""
    complete("[{}" + atom * (300_000 // len(atom)))


@pytest.mark.parametrize(
    "broken",
    [
        {"date_unixtime": str(1 << 60)},
        {"date_unixtime": {}},
        {"date": "2024-13-01T00:00:00", "date_unixtime": None},
        {"text": None},
        {"reactions": [5]},
        {"poll": 5},
        {"location_information": 5},
    ],
)
def test_a_message_with_damaged_values_is_reported(broken: Any, tmp_path: Path) -> None:
    """By the number of its entry; the others are read."""
    imported = read(chat(telegram(1), telegram(2, **broken)), tmp_path)

    assert [message.id for message in imported.messages] == ["1"]
    assert imported.summary.sources[0].unread_lines == (2,)


def test_the_reactions_of_a_message_are_bounded(tmp_path: Path) -> None:
    """Their numbers come from the file."""
    counts = [{"type": "emoji", "count": 1 << 60, "emoji": emoji} for emoji in "ab"]

    (message,) = read(chat(telegram(reactions=counts)), tmp_path).messages

    assert len(message.reactions) == 1000


def test_a_time_that_does_not_exist_in_the_zone_is_an_error(tmp_path: Path) -> None:
    plain = telegram(1, date="0001-01-01T00:00:00+14:00")
    del plain["date_unixtime"]
    path = tmp_path / "result.json"
    path.write_text(json.dumps(chat(plain)))

    with pytest.raises(ChatError, match="line 1: the time 0001-01-01"):
        import_chats([path], ImportOptions(timezone="Europe/Vienna"))


SHAREGPT = {
    "conversations": [
        {"from": "system", "value": "Be kind."},
        {"from": "human", "value": "Hi?"},
        {"from": "gpt", "value": "Hello."},
    ]
}
OPENAI = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Hi?"}]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "assistant", "content": "Hello."},
    ]
}


def test_turns_of_conversations_become_messages(tmp_path: Path) -> None:
    """Conversations are a day apart; a turn without text is reported."""
    lines = json.dumps(SHAREGPT) + "\n" + json.dumps(OPENAI) + "\n"

    imported = read(lines, tmp_path)

    assert [(m.sender, m.kind, m.text) for m in imported.messages] == [
        (None, "system", "Be kind."),
        ("human", "text", "Hi?"),
        ("gpt", "text", "Hello."),
        ("user", "text", "Hi?"),
        ("assistant", "text", "Hello."),
    ]
    assert imported.messages[3].time - imported.messages[2].time > timedelta(hours=12)
    assert imported.summary.sources[0].unread_lines == (2,)


def test_conversations_of_two_files_do_not_mix(tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.jsonl"
    one.write_text(json.dumps([SHAREGPT]))
    two.write_text(json.dumps(OPENAI))

    imported = import_chats([one, two], ImportOptions())

    assert [m.sender for m in imported.messages] == [None, "human", "gpt", "user", "assistant"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(chat(telegram(text="\U0001f600 a\ud800b"))),
        json.dumps({"messages": [{"role": "user", "content": "\U0001f600 a\ud800b"}]}) + "\n{}",
    ],
    ids=["telegram", "lines"],
)
def test_a_lone_surrogate_becomes_a_replacement_character(text: str, tmp_path: Path) -> None:
    """A surrogate pair is kept."""
    imported = read(text, tmp_path)

    assert [m.text for m in imported.messages] == ["\U0001f600 a\ufffdb"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"name": "Us", "messages": [{"id": 1', "damaged JSON"),
        ('{"name": "Us"}', "not from Telegram, ShareGPT or OpenAI"),
        ('{"a":' * 100_000, "nested too deeply|damaged JSON"),
        (json.dumps(OPENAI) + "\nmore", "line 2: not JSON"),
        ('{"messages": [{"role": "user", "content": null}]}', "no conversation in it has a turn"),
        (json.dumps({"chats": {"list": []}}), "without any readable message"),
        (json.dumps({"chats": {"list": 5}}), "without any readable message"),
        ('{"time": "2024-01-01T00:00:00", "kind": {}}', "line 1: kind is {}, not one of"),
        ('{"time": "2024-01-01T00:00:00", "sender": 5}\n{"time": 3}', "line 1: sender is 5"),
    ],
)
def test_json_that_is_not_a_chat_is_rejected(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ChatError, match=complaint):
        read(text, tmp_path)
