"""Signal: sigexport's data.json and chat.md, and signal-cli's events."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pytok.chat.importing import ImportOptions, ImportResult, import_chats
from pytok.chat.record import Message
from pytok.errors import ChatError


def read(path: Path, *lines: Any) -> ImportResult:
    written = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(written) + "\n", encoding="utf-8")
    return import_chats([path], ImportOptions())


def exported(minute: int = 0, **fields: Any) -> dict[str, Any]:
    """Return a line of data.json, as `Message.dict_str` of sigexport writes it."""
    return {
        "date": f"2024-01-05T20:{minute:02}:00.123000",
        "sender": "Ann",
        "body": "hi  ",
        "quote": "",
        "sticker": None,
        "reactions": [],
        "attachments": [],
        "deleted": False,
        "call": False,
        "missed": False,
    } | fields


def test_a_message_of_sigexport(tmp_path: Path) -> None:
    """A quotation becomes an answer to the latest message with that text."""
    lines = [
        exported(1, body="a\nb  "),
        exported(2, sender="Me", body="c  ", quote="\n\n> a\n> b\n\n", reactions=[["Ann", "👍"]]),
    ]

    found = read(tmp_path / "data.json", *lines).messages

    assert [each.text for each in found] == ["a\nb", "c"]
    assert found[1] == Message(
        time=datetime(2024, 1, 5, 20, 2, 0, 123_000),
        sender="Me",
        text="c",
        id="2",
        reply_to="1",
        reactions=("👍",),
        source="data.json",
        line=2,
    )


@pytest.mark.parametrize(
    ("fields", "kind", "media"),
    [
        ({"deleted": True}, "deleted", None),
        ({"call": True, "body": "Missed voice call  "}, "call", None),
        ({"sticker": {"id": "1", "packId": "p", "emoji": "😂"}}, "media", "sticker"),
        ({"attachments": [{"name": "a.jpg", "path": "media/a.jpg"}]}, "media", "a.jpg"),
        ({"attachments": [{"name": "", "path": "", "missing_kind": "media"}]}, "media", "media"),
        ({"sender": "No-Sender", "body": "  "}, "system", None),
    ],
)
def test_kinds_of_messages_of_sigexport(
    fields: dict[str, Any], kind: str, media: str | None, tmp_path: Path
) -> None:
    (found,) = read(tmp_path / "data.json", exported(**fields)).messages

    assert (found.kind, found.media) == (kind, media)


MARKDOWN = """[2024-01-05 20:10:11] Ann: hi  \n
[2024-01-05 20:11:11] Me: \n
> hi\n
ho
two  
(- Ann: 👍, Bob: ❤ -)\n
[2024-01-05 20:12:11] Ann: look  ![a.jpg](./media/a.jpg)  \n
[2024-01-05 20:13:11] Ann: (This message was deleted)\n
[2024-01-05 20:14:11] Ann:   
(( 😂 ))\n
[2024-01-05 20:15:11] Ann:   (media not exported)  \n
"""  # noqa: W291 (Markdown ends lines with two spaces)


def test_the_markdown_of_sigexport(tmp_path: Path) -> None:
    """Quotations, reactions and files are not words of the sender."""
    found = read(tmp_path / "chat.md", MARKDOWN).messages

    assert [(each.sender, each.kind, each.text, each.media) for each in found] == [
        ("Ann", "text", "hi", None),
        ("Me", "text", "ho\ntwo", None),
        ("Ann", "media", "look", "a.jpg"),
        ("Ann", "deleted", "", None),
        ("Ann", "media", "", "sticker"),
        ("Ann", "media", "", "media"),
    ]
    assert found[1].reactions == ("👍", "❤")
    assert found[1].reply_to == found[0].id


def test_a_text_of_whatsapp_with_the_dates_of_the_markdown_is_not_taken_for_it(
    tmp_path: Path,
) -> None:
    """Swedish iPhones write such dates."""
    text = "".join(f"[2024-01-05 20:10:{n}] Ann: see ![x](y)\r\n" for n in range(10, 30))

    imported = read(tmp_path / "_chat.txt", text)

    assert imported.summary.sources[0].format.startswith("WhatsApp text")


def test_of_several_chats_of_sigexport_one_is_read(tmp_path: Path) -> None:
    """A chat is a folder; its JSON is read, not its Markdown and its page."""
    for name in ("Ann", "Bob"):
        folder = tmp_path / "signal" / name
        folder.mkdir(parents=True)
        (folder / "data.json").write_text(json.dumps(exported(body=f"by {name}  ")) + "\n")
        (folder / "chat.md").write_text(MARKDOWN)
        (folder / "index.html").write_text("<!DOCTYPE html><html></html>")

    imported = import_chats([tmp_path / "signal"], ImportOptions(chat="Bob"))

    assert [each.text for each in imported.messages] == ["by Bob"]


def received(minute: int = 0, sender: str = "+431", **fields: Any) -> dict[str, Any]:
    """Return a line of `signal-cli -o json receive`."""
    time = 1704456000000 + 60_000 * minute
    data = {"timestamp": time, "message": "hi", "expiresInSeconds": 0, "viewOnce": False} | fields
    envelope = {
        "source": sender,
        "sourceNumber": sender,
        "sourceUuid": f"uuid{sender}",
        "sourceName": {"+431": "Ann", "+439": "Jonas"}.get(sender),
        "sourceDevice": 1,
        "timestamp": time,
        "serverReceivedTimestamp": time,
        "serverDeliveredTimestamp": time,
    }
    if sender != "+439":  # the account itself
        return {"envelope": envelope | {"dataMessage": data}, "account": "+439"}
    sent = {"destination": "+431", "destinationNumber": "+431", "destinationUuid": "uuid+431"}
    return {"envelope": envelope | {"syncMessage": {"sentMessage": sent | data}}, "account": "+439"}


TIME = 1704456000000


def test_a_chat_of_signal_cli(tmp_path: Path) -> None:
    """Sent messages come as news from the other device; receipts are not messages."""
    receipt = {"envelope": {"sourceNumber": "+431", "receiptMessage": {"isRead": True}}}
    quote = {"id": TIME, "authorNumber": "+431", "text": "hi", "attachments": []}

    imported = read(
        tmp_path / "log.json", received(0), receipt, received(1, "+439", message="ho", quote=quote)
    )

    assert imported.summary.sources[0].unread_lines == ()
    assert imported.messages[0].name == "Ann"
    assert imported.messages[1] == Message(
        time=datetime(2024, 1, 5, 12, 1, tzinfo=timezone.utc),
        sender="+439",
        name="Jonas",
        text="ho",
        id=str(TIME + 60_000),
        reply_to=str(TIME),
        source="log.json",
        line=3,
    )


def test_notifications_of_the_json_rpc_are_read(tmp_path: Path) -> None:
    line = {"jsonrpc": "2.0", "method": "receive", "params": received(0)}

    assert [each.text for each in read(tmp_path / "log.json", line).messages] == ["hi"]


def test_later_events_change_a_message(tmp_path: Path) -> None:
    """A reaction, another one of the same person, an edit, and the deletion of another message."""
    target = {"targetAuthorNumber": "+431", "targetSentTimestamp": TIME}
    edit = received(3)
    edit["envelope"]["editMessage"] = {
        "targetSentTimestamp": TIME,
        "dataMessage": edit["envelope"].pop("dataMessage") | {"message": "hello"},
    }

    found = read(
        tmp_path / "log.json",
        received(0),
        received(1, message="wrong"),
        received(2, "+439", message=None, reaction={"emoji": "👍", "isRemove": False} | target),
        edit,
        received(4, "+439", message=None, reaction={"emoji": "❤", "isRemove": False} | target),
        received(5, message=None, remoteDelete={"timestamp": TIME + 60_000}),
    ).messages

    assert [(each.kind, each.text, each.edited) for each in found] == [
        ("text", "hello", True),
        ("deleted", "", False),
    ]
    assert found[0].reactions == ("❤",)


@pytest.mark.parametrize(
    ("fields", "kind", "text", "media"),
    [
        ({"attachments": [{"contentType": "image/png", "filename": None}]}, "media", "hi", "image"),
        ({"attachments": [{"contentType": "a/b", "filename": "p.pdf"}]}, "media", "hi", "p.pdf"),
        ({"sticker": {"packId": "p", "stickerId": 0}, "message": None}, "media", "", "sticker"),
        ({"contacts": [{"name": {}}], "message": None}, "media", "", "contact"),
        (
            {"pollCreate": {"question": "Where?", "options": ["Lake", "Hill"]}, "message": None},
            "poll", "Where?\nLake\nHill", None,
        ),
        (
            {"isExpirationUpdate": True, "expiresInSeconds": 60, "message": None},
            "system", "messages disappear after 60 seconds", None,
        ),
        ({"groupInfo": {"groupId": "g=", "type": "UPDATE"}, "message": None}, "system",
         "group update", None),
    ],
)  # fmt: skip
def test_kinds_of_messages_of_signal_cli(
    fields: dict[str, Any], kind: str, text: str, media: str | None, tmp_path: Path
) -> None:
    (found,) = read(tmp_path / "log.json", received(**fields)).messages

    assert (found.kind, found.text, found.media) == (kind, text, media)


def test_of_several_chats_of_signal_cli_one_is_read(tmp_path: Path) -> None:
    """A group has a name; the chat with a person that of the person."""
    group = {"groupId": "g=", "groupName": "Friends", "type": "DELIVER"}
    path = tmp_path / "log.json"
    lines = [received(0, message="a"), received(1, message="b", groupInfo=group)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def texts(chat: str) -> list[str]:
        return [each.text for each in import_chats([path], ImportOptions(chat=chat)).messages]

    assert texts("Friends") == texts("g=") == ["b"]
    assert texts("Ann") == texts("+431") == ["a"]


@pytest.mark.parametrize(
    "broken",
    [
        {"timestamp": "soon"},
        {"timestamp": [5]},
    ],
)
def test_an_event_with_damaged_values_is_reported(broken: Any, tmp_path: Path) -> None:
    imported = read(tmp_path / "log.json", received(0), received(1) | {}, received(2, **broken))

    assert len(imported.messages) == 2
    assert imported.summary.sources[0].unread_lines == (3,)


def test_events_without_a_message_are_an_error(tmp_path: Path) -> None:
    receipt = {"envelope": {"sourceNumber": "+431", "receiptMessage": {"isRead": True}}}

    with pytest.raises(ChatError, match=r"log.json: signal-cli JSON, without any message"):
        read(tmp_path / "log.json", receipt)
