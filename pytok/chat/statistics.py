"""Statistics of a history: messages per person and time, lengths, pauses and emoji."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import pairwise
from statistics import mean, median
from typing import Any

import regex

from pytok.chat.conversations import message_text
from pytok.chat.record import Message, assume_utc
from pytok.chat.speakers import speakers_of

# Characters displayed as pictures, without text symbols such as © that can be either.
_EMOJI = regex.compile(
    r"[\p{Extended_Pictographic}--[\u0000-\u22FF]]|\uFE0F|\p{RI}\p{RI}", regex.V1
)
_GRAPHEME = regex.compile(r"\X")

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(slots=True)
class Person:
    """Statistics of one sender."""

    name: str
    kinds: Counter[str] = field(default_factory=Counter)
    """Number of messages of each kind."""
    lengths: list[int] = field(default_factory=list)
    """Number of characters of each message with text."""
    emoji: Counter[str] = field(default_factory=Counter)

    @property
    def messages(self) -> int:
        """Number of messages of all kinds."""
        return self.kinds.total()


@dataclass(slots=True)
class Statistics:
    """Statistics of a history; system messages are excluded, except from `system`."""

    people: list[Person]
    """All senders, in descending order of messages."""
    system: int
    """Number of system messages."""
    by_hour: list[list[int]]
    """Number of messages per weekday, Monday first, and hour of the day: 7 x 24."""
    by_day: Counter[date]
    pauses: list[float]
    """Seconds between each message and the previous one in its chat."""

    @property
    def messages(self) -> int:
        """Number of messages of all people."""
        return sum(person.messages for person in self.people)


def measure(messages: Sequence[Message]) -> Statistics:
    """Compute the statistics of *messages*."""
    names = speakers_of(messages)
    people: dict[str, Person] = {}
    by_hour = [[0] * 24 for _ in WEEKDAYS]
    by_day: Counter[date] = Counter()
    chats: dict[str | None, list[datetime]] = defaultdict(list)
    system = 0
    for message in messages:
        if message.sender is None or message.kind == "system":
            system += 1
            continue
        name = names[message.sender]
        person = people.setdefault(name, Person(name))
        person.kinds[message.kind] += 1
        if message_text(message):
            person.lengths.append(len(message.text))
            person.emoji.update(emoji_of(message.text))
        by_hour[message.time.weekday()][message.time.hour] += 1
        by_day[message.time.date()] += 1
        chats[message.chat].append(assume_utc(message.time))
    return Statistics(
        people=sorted(people.values(), key=lambda person: (-person.messages, person.name)),
        system=system,
        by_hour=by_hour,
        by_day=by_day,
        pauses=[
            (now - before).total_seconds()
            for chat in chats.values()
            for before, now in pairwise(chat)
            if now >= before
        ],
    )


def emoji_of(text: str) -> Iterable[str]:
    """List the emoji in *text*; skin tones and sequences joined by U+200D count as one emoji.

    >>> list(emoji_of("a 👍🏽 b 👩‍👩‍👧 © 1"))
    ['👍🏽', '👩‍👩‍👧']
    """
    if text.isascii() or not _EMOJI.search(text):
        return []
    return [grapheme for grapheme in _GRAPHEME.findall(text) if _EMOJI.search(grapheme)]


def to_dict(statistics: Statistics) -> dict[str, Any]:
    """Return *statistics* for JSON; values per message are reduced to their median and mean."""
    return {
        "messages": statistics.messages,
        "system": statistics.system,
        "days": len(statistics.by_day),
        "first_day": min(statistics.by_day).isoformat() if statistics.by_day else None,
        "last_day": max(statistics.by_day).isoformat() if statistics.by_day else None,
        "people": [
            {
                "name": person.name,
                "messages": person.messages,
                "kinds": dict(person.kinds),
                "characters": {
                    "median": median(person.lengths) if person.lengths else 0,
                    "mean": round(mean(person.lengths), 1) if person.lengths else 0,
                },
                "emoji": dict(person.emoji.most_common(10)),
            }
            for person in statistics.people
        ],
        "by_hour": [sum(hours) for hours in zip(*statistics.by_hour, strict=True)],
        "by_weekday": dict(zip(WEEKDAYS, map(sum, statistics.by_hour), strict=True)),
        "pause_seconds": {"median": median(statistics.pauses) if statistics.pauses else 0},
    }
