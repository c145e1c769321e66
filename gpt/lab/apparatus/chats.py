"""Chats for experiments: generated, written as WhatsApp exports them, imported, tokenized."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytok
from pytok import shards
from pytok.chat.conversations import (
    ConversationOptions,
    Split,
    make_conversations,
    split_into_sessions,
)
from pytok.chat.example import SHORTEST_GAP, example_chat
from pytok.chat.importing import ImportOptions, import_chats
from pytok.chat.record import Message
from pytok.chat.template import Template
from pytok.definition import END_OF_TEXT

LATE = 0.03
"""Probability that an answer comes late: after 40 minutes, by the median."""


def text_chat(count: int, seed: int, *, authors: int = 2) -> list[Message]:
    """Return *count* messages that are texts, of known sessions (`pytok.chat.example`)."""
    chat = example_chat(count + count // 20 + 9, authors=authors, seed=seed)
    return [replace(each, edited=False) for each in chat if each.kind == "text"][:count]


def repetitive_chat(count: int, seed: int, *, authors: int = 2) -> list[Message]:
    """Return *count* texts, of which every sixth or so is sent twice in one minute.

    Some are sent twice at once, others after another message.
    """
    rng = random.Random(seed)
    chat: list[Message] = []
    for message in text_chat(count, seed, authors=authors):
        chat.append(message)
        draw = rng.random()
        if draw < 0.1:
            chat.append(chat[-1])
        elif draw < 0.2 and len(chat) > 1:
            chat.append(replace(chat[-2], time=chat[-1].time))
    return chat[:count]


def begun(chat: Sequence[Message], gap: timedelta) -> list[datetime]:
    """Return the times of the messages that come more than *gap* after the one before."""
    return [b.time for a, b in pairwise(chat) if b.time - a.time > gap]


def overlapping(chat: Sequence[Message], seed: int) -> tuple[list[Message], list[datetime]]:
    """Return *chat* with other pauses, and the times at which its sessions begin.

    Some answers are late, and some sessions begin half an hour after the one before, so no length
    of a pause divides the two.
    """
    rng, time = random.Random(seed), chat[0].time
    found, starts = [chat[0]], []
    for before, message in pairwise(chat):
        pause = message.time - before.time
        if pause >= SHORTEST_GAP:
            pause = timedelta(minutes=30, hours=rng.expovariate(1 / 5))
        elif pause and rng.random() < LATE:
            pause = timedelta(minutes=rng.lognormvariate(3.7, 0.8))
        time += pause
        found.append(replace(message, time=time))
        if message.time - before.time >= SHORTEST_GAP:
            starts.append(time)
    return found, starts


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


def chat_shards(
    folder: Path, parts: Mapping[str, tuple[Sequence[Message], Split]], vocab: int
) -> None:
    """Write token shards of the splits "train" and "val", each cut into conversations by its rule.

    The tokenizer is trained on the texts of "train"; all turns count.
    """
    speakers = sorted({str(m.sender) for messages, _ in parts.values() for m in messages})
    template = Template(tuple(speakers), None)
    texts = [message.text for message in parts["train"][0]]
    special = (END_OF_TEXT, *template.special_tokens)
    tokenizer = pytok.train(texts, vocab, special_tokens=special)
    with shards.writing(folder, tokenizer, parts) as writer:
        for name, (messages, split) in parts.items():
            options = ConversationOptions(split=split, min_turns=1)
            sessions, omitted = split_into_sessions(messages, options)
            for each in make_conversations(sessions, options, tokenizer, omitted):
                ids = template.render(each, tokenizer, train_on="all").ids
                size = sum(len(turn.text.encode()) for turn in each.turns)
                writer.append(name, ids[1:], size, ends_document=True)
            writer.flush()
