"""WhatsApp's text exports of all platforms and locales: what is written is read back."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytok.chat.example import example_chat
from pytok.chat.importing import Choices, import_chats
from pytok.chat.record import Message
from tests.chat.exports import EXPORTS, Export


def read(data: bytes, path: Path, **choices: object) -> list[Message]:
    """The messages of an export, without where they stand."""
    path.write_bytes(data)
    imported = import_chats([path], Choices(**choices))  # type: ignore[arg-type]
    assert imported.summary.sources[0].unread_lines == ()
    assert imported.summary.sources[0].doubtful_lines == ()
    return [
        Message(
            time=m.time, sender=m.sender, kind=m.kind, text=m.text, edited=m.edited, media=m.media
        )
        for m in imported.messages
    ]


def history(export: Export) -> list[Message]:
    """A chat of three people with a message of every kind."""
    chat = [message for message in example_chat(300, authors=3, seed=5) if message.kind == "text"]
    begin = chat[-1].time
    nouns = list(export.omitted)
    special: list[Message] = [
        Message(time=begin, sender=None, kind="system"),
        *(Message(time=begin, sender="Tom", kind="media", media=noun) for noun in nouns),
        Message(time=begin, sender="Tom", kind="media", media="IMG-20230511-WA0003.jpg", text="us!"),
        Message(time=begin, sender="+43 660 1234567", kind="media", media="2023: the plan.pdf"),
        Message(time=begin, sender="Mara", kind="deleted"),
        Message(time=begin, sender="Mara", kind="call"),
        Message(time=begin, sender="Mara", kind="poll", text="Where?\nLake (2 votes)\nSea (0 votes)"),
        Message(time=begin, sender="Mara", kind="location", text="Location: https://maps.google.com/?q=48.2,16.3"),
        Message(time=begin, sender="Jonas 👩‍👩‍👧", text="one: two\n\n[three] - four: five\n6/7: eight", edited=True),
        Message(time=begin, sender="Mara", text="12:30 - see you: there"),
        Message(time=begin, sender="Mara", text="so <3 and <b>bold</b>"),
    ]  # fmt: skip
    timed = [
        Message(
            time=begin + timedelta(minutes=7 * place), sender=m.sender, kind=m.kind, text=m.text,
            media=m.media, edited=m.edited,
        )
        for place, m in enumerate(special)
    ]  # fmt: skip
    return [*chat, *timed]


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_a_history_is_read_back_from_any_format(export: Export, tmp_path: Path) -> None:
    """Senders, times, kinds and texts, to the message."""
    chat = history(export)

    got = read(export.write(chat), tmp_path / "chat.txt")

    assert got == [export.shown(message) for message in chat]
