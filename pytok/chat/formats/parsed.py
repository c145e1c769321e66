"""A chat whose messages were converted while its JSON was parsed."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pytok.chat.record import Message
from pytok.chat.source import Chat, Source


def parsed_chat(
    listed: Iterable[tuple[int, Any]], name: str, label: str, title: str, identity: Any = None
) -> Source:
    """Return the messages in *listed*, pairs of a number and a value, of the file *name*.

    A value that is not a `Message` could not be converted. *label* describes the format, *title* is
    the name of the chat, "" if it has none, and *identity* its id.
    """
    source = Source(name=name, format=label, messages=[])
    for number, message in listed:
        if isinstance(message, Message):
            source.messages.append(replace(message, source=name, line=number))
        else:
            source.unread.append(number)
    written = None if identity is None else str(identity)
    if title or written:
        source.chats = [Chat(title or written or "", len(source.messages), written)]
    return source
