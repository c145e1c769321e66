"""SMS Backup & Restore's XML."""

from datetime import datetime, timezone
from pathlib import Path

import pytest

from pytok.chat.importing import ImportOptions, import_chats
from pytok.chat.record import Message

START = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<!--File Created By SMS-->\n"
SMS = (
    '<sms protocol="0" address="{address}" date="{date}" type="{type}" subject="null" '
    'body="{body}" read="1" status="-1" contact_name="{name}" />'
)
MMS = """<mms date="1704485531000" msg_box="2" address="+431" contact_name="Ann">
<parts>
<part seq="-1" ct="application/smil" name="null" cl="s.xml" text="&lt;smil&gt;" />
<part seq="0" ct="image/jpeg" name="null" cl="a.jpg" text="null" data="/9j/4AAQ" />
<part seq="0" ct="text/plain" name="null" cl="t.txt" text="look" />
</parts>
<addrs><addr address="+439" type="137" charset="106" /></addrs>
</mms>"""


def sms(
    body: str, *, address: str = "+431", date: str = "1704485411000", name: str = "Ann",
    sent: bool = False,
) -> str:  # fmt: skip
    return SMS.format(address=address, date=date, type=2 if sent else 1, body=body, name=name)


def read(tmp_path: Path, *messages: str, chat: str | None = None) -> list[Message]:
    path = tmp_path / "sms.xml"
    written = "\n".join(messages)
    path.write_text(f'{START}<smses count="{len(messages)}">\n{written}\n</smses>')
    return import_chats([path], ImportOptions(chat=chat)).messages


def test_messages_of_the_phone(tmp_path: Path) -> None:
    """An emoji is written as two references, and a line break as one."""
    first, second, third = read(
        tmp_path,
        sms("a &amp; b&#10;&#55357;&#56832;"),
        sms("ok", date="1704485471000", sent=True),
        MMS,
    )

    assert first == Message(
        time=datetime(2024, 1, 5, 20, 10, 11, tzinfo=timezone.utc),
        sender="+431",
        name="Ann",
        text="a & b\n😀",
        source="sms.xml",
        line=1,
    )
    assert (second.sender, second.text) == ("me", "ok")
    assert (third.sender, third.kind, third.text, third.media) == ("me", "media", "look", "a.jpg")


@pytest.mark.parametrize("chat", ["+432", "Bob"])
def test_a_number_is_a_chat(chat: str, tmp_path: Path) -> None:
    found = read(tmp_path, sms("a"), sms("b", address="+432", name="Bob"), chat=chat)

    assert [message.text for message in found] == ["b"]


def test_a_message_with_a_damaged_time_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "sms.xml"
    path.write_text(f'{START}<smses count="2">{sms("a")}{sms("b", date="soon")}</smses>')

    imported = import_chats([path], ImportOptions())

    assert imported.summary.sources[0].unread_lines == (2,)


@pytest.mark.parametrize("box", ["2", "3", "4", "5", "6"])
def test_what_was_not_delivered_is_of_the_owner(box: str, tmp_path: Path) -> None:
    """Drafts, and messages in the outbox, that failed or are queued."""
    text = sms("hi").replace('type="1"', f'type="{box}"')
    mms = MMS.replace('msg_box="2"', f'msg_box="{box}"')

    assert [each.sender for each in read(tmp_path, text, mms)] == ["me", "me"]


def test_a_message_of_a_group_has_the_one_who_sent_it(tmp_path: Path) -> None:
    """The address of the message is that of all."""
    mms = MMS.replace('msg_box="2" address="+431"', 'msg_box="1" address="+431~+439"')
    (found,) = read(tmp_path, mms)

    assert (found.sender, found.name) == ("+439", None)
