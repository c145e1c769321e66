"""A history in figures: who wrote how much, when, how long, how soon, and with which emoji."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import pairwise
from statistics import mean, median
from typing import Any

import regex

from pytok.chat.conversations import words
from pytok.chat.record import Message, in_order
from pytok.chat.speakers import speakers_of

# What is shown as a picture: not the signs of text, such as ©, that may be one.
_PICTURE = regex.compile(
    r"[\p{Extended_Pictographic}--[\u0000-\u22FF]]|\uFE0F|\p{RI}\p{RI}", regex.V1
)
_CHARACTER = regex.compile(r"\X")

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(slots=True)
class Person:
    """What one of a chat wrote."""

    name: str
    kinds: Counter[str] = field(default_factory=Counter)
    """Messages of each kind."""
    lengths: list[int] = field(default_factory=list)
    """Characters of each message with words."""
    emoji: Counter[str] = field(default_factory=Counter)

    @property
    def messages(self) -> int:
        """Messages of all kinds."""
        return self.kinds.total()


@dataclass(slots=True)
class Statistics:
    """A history in figures, of all but the messages of the system, which are only counted."""

    people: list[Person]
    """The most talkative first."""
    system: int
    by_hour: list[list[int]]
    """Messages on each day of the week, Monday first, in each of its 24 hours."""
    by_day: Counter[date]
    pauses: list[float]
    """Seconds between each message and the one before it in its chat."""

    @property
    def messages(self) -> int:
        """Messages of all people."""
        return sum(person.messages for person in self.people)


def measure(messages: Sequence[Message]) -> Statistics:
    """Count *messages*."""
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
        if words(message):
            person.lengths.append(len(message.text))
            person.emoji.update(emoji_of(message.text))
        by_hour[message.time.weekday()][message.time.hour] += 1
        by_day[message.time.date()] += 1
        chats[message.chat].append(in_order(message.time))
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
    """Each emoji in *text*, whole: with its skin, and those that U+200D joins as one.

    >>> list(emoji_of("a 👍🏽 b 👩‍👩‍👧 © 1"))
    ['👍🏽', '👩‍👩‍👧']
    """
    if text.isascii() or not _PICTURE.search(text):
        return []
    return [character for character in _CHARACTER.findall(text) if _PICTURE.search(character)]


def to_plain(statistics: Statistics) -> dict[str, Any]:
    """The same as what JSON can hold, lists of single messages as their median and mean."""
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
