"""Chats for experiments, and the texts that WhatsApp would export of them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pytok.chat.example import example_chat
from pytok.chat.importing import ImportOptions, import_chats
from pytok.chat.record import Message


def repetitive_chat(count: int, seed: int) -> list[Message]:
    """Return *count* messages of words, of which every sixth or so is sent twice in one minute.

    Some are sent twice at once, others after another message.
    """
    rng = random.Random(seed)
    chat: list[Message] = []
    for message in example_chat(count + count // 20 + 1, seed=seed):
        if message.kind != "text":
            continue
        chat.append(replace(message, edited=False))
        draw = rng.random()
        if draw < 0.1:
            chat.append(chat[-1])
        elif draw < 0.2 and len(chat) > 1:
            chat.append(replace(chat[-2], time=chat[-1].time))
    return chat[:count]


def android_export(messages: Iterable[Message]) -> str:
    """Write *messages* as WhatsApp does on Android in English (UK): with minutes, not seconds."""
    return "".join(
        f"{message.time:%d/%m/%Y, %H:%M} - {message.sender}: {message.text}\n"
        for message in messages
    )


def imported(*paths: Path, key: str | None = None, timezone: str | None = None) -> list[Message]:
    """Return the messages that an import of *paths* gives."""
    options = ImportOptions(key=key, timezone=timezone)
    return import_chats(list(paths), options).messages
