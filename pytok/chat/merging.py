"""Merging of several sources of one chat into one history without loss or duplicates.

Within a chat, the messages of two sources are aligned (`alignment`). Before that, sources without a
chat's name are assigned to one, and people with different names in two sources get the same.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from pytok.chat.alignment import Entry, align, minute_of
from pytok.chat.identity import Person, match_people
from pytok.chat.record import Message
from pytok.chat.whatsapp.headers import without_marks


class Merged(NamedTuple):
    """One history, and the overlap of its sources."""

    messages: list[Message]
    duplicates: list[int]
    """For each source, the number of messages that earlier sources already have."""
    contested: int
    """Number of messages that one source has and somebody deleted before another was made."""


def merge(sources: Sequence[Sequence[Message]], *, respect_deletions: bool = False) -> Merged:
    """Merge *sources*, each in its own order, which is also the order of messages between others.

    Either all times have a zone or none has. Times with a zone are sorted. Local times are not,
    since an hour of them occurs twice in autumn. If two sources have different versions of a
    message (edited, deleted, or without its media), the more informative one is kept; with
    *respect_deletions*, a message that is deleted in one of them is deleted.
    """
    if len(sources) == 1:
        chats: dict[str | None, list[Message]] = defaultdict(list)
        for message in sources[0]:
            chats[message.chat].append(message)
        return Merged(_in_order(list(chats.values())), [0], 0)
    duplicates = [0] * len(sources)
    contested = 0
    histories: dict[str | None, list[Entry]] = {}
    for number, messages in enumerate(_with_chats(sources)):
        new = _by_chat(messages)
        old_senders, new_senders = _senders(histories), _senders(new)
        if old_senders and not new_senders.keys() <= old_senders.keys():
            people = match_people(_common_texts(histories, new), old_senders, new_senders)
            if people:
                _rename_senders(histories, people)
                _rename_senders(new, people)
        for chat, entries in new.items():
            old = histories.get(chat)
            if old is None:
                histories[chat] = entries
                continue
            aligned = align(old, entries, respect_deletions=respect_deletions)
            histories[chat] = aligned.entries
            duplicates[number] += aligned.duplicates
            contested += aligned.contested
    merged = _in_order([list(_fill_seconds(entries)) for entries in histories.values()])
    return Merged(merged, duplicates, contested)


def _in_order(chats: Sequence[list[Message]]) -> list[Message]:
    """Put several chats side by side by time; the order of local times within each chat stays."""
    messages = chats[0] if len(chats) == 1 else list(heapq.merge(*chats, key=_time))
    if any(message.time.tzinfo for message in messages):
        messages.sort(key=_time)
    return messages


def _time(message: Message) -> datetime:
    return message.time


def _by_chat(messages: Sequence[Message]) -> dict[str | None, list[Entry]]:
    precise = any(message.time.second or message.time.microsecond for message in messages)
    chats: dict[str | None, list[Entry]] = defaultdict(list)
    for message in messages:
        chats[message.chat].append(Entry(message, precise, without_marks(message.text)))
    return dict(chats)


def _senders(chats: Mapping[str | None, Sequence[Entry]]) -> dict[str, str | None]:
    """Map each sender to the displayed name."""
    return {
        entry.message.sender: entry.message.name
        for entries in chats.values()
        for entry in entries
        if entry.message.sender is not None
    }


def _common_texts(
    old: Mapping[str | None, Sequence[Entry]], new: Mapping[str | None, Sequence[Entry]]
) -> Iterable[tuple[str, str, str]]:
    """Yield (text, old sender, new sender) for texts that occur once in a minute of both."""
    for chat in old.keys() & new.keys():
        old_minutes, new_minutes = _by_minute(old[chat]), _by_minute(new[chat])
        for minute in old_minutes.keys() & new_minutes.keys():
            old_texts = _unique_texts(old_minutes[minute])
            new_texts = _unique_texts(new_minutes[minute])
            for text in old_texts.keys() & new_texts.keys():
                yield text, old_texts[text], new_texts[text]


def _by_minute(entries: Sequence[Entry]) -> dict[datetime, list[Entry]]:
    minutes: dict[datetime, list[Entry]] = defaultdict(list)
    for entry in entries:
        minutes[minute_of(entry.message)].append(entry)
    return minutes


def _unique_texts(entries: Iterable[Entry]) -> dict[str, str]:
    """Map each text that occurs once in a minute to its sender."""
    senders_of: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        if entry.message.sender is not None and entry.content:
            senders_of[entry.content].append(entry.message.sender)
    return {text: senders[0] for text, senders in senders_of.items() if len(senders) == 1}


def _with_chats(sources: Sequence[Sequence[Message]]) -> list[Sequence[Message]]:
    """Assign a source without chat names to the chat of another source with the same messages."""
    chat_of: dict[tuple[datetime, str], str] = {}
    for messages in sources:
        for message in messages:
            # Short texts ("ok") recur in many chats within a minute.
            if message.chat is not None and len(message.text) >= 10:
                chat_of[minute_of(message), without_marks(message.text)] = message.chat
    if not chat_of:
        return list(sources)
    assigned: list[Sequence[Message]] = []
    for messages in sources:
        votes = Counter(
            chat
            for message in messages
            if message.chat is None
            and (chat := chat_of.get((minute_of(message), without_marks(message.text))))
        )
        chat, count = votes.most_common(1)[0] if votes else (None, 0)
        # A few common messages are no evidence: three, and a majority.
        if count >= 3 and 2 * count > votes.total():
            assigned.append([replace(each, chat=each.chat or chat) for each in messages])
        else:
            assigned.append(messages)
    return assigned


def _rename_senders(chats: dict[str | None, list[Entry]], people: Mapping[str, Person]) -> None:
    """Give all messages of each of *people* the same sender and name."""
    for chat, entries in chats.items():
        chats[chat] = [
            entry._replace(message=replace(entry.message, sender=person.sender, name=person.name))
            if (person := people.get(entry.message.sender or ""))
            else entry
            for entry in entries
        ]


def _fill_seconds(entries: Sequence[Entry]) -> Iterator[Message]:
    """Yield the messages; where sources with seconds and without meet, all get seconds.

    A message without seconds takes those of the message before it in the same minute.
    """
    for _, minute in groupby(entries, key=lambda entry: minute_of(entry.message)):
        time: datetime | None = None
        for entry in minute:
            if entry.precise:
                time = entry.message.time
                yield entry.message
            else:
                yield entry.message if time is None else replace(entry.message, time=time)
