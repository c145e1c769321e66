"""Several sources of one chat to one history, without loss and without a message twice.

Two sources are laid side by side minute by minute, since many tell no seconds. What they have in
common is found in sequence; what one of them has alone is put in between. So a message that was
sent twice in a minute stays twice: as often as in the source that has it most often.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from pytok.chat.identity import Person, same_people
from pytok.chat.record import Message
from pytok.chat.whatsapp.bodies import without_marks

MAX_CELLS = 1 << 18
"""Of the table for two sequences; a minute with more (500 messages each) is matched in order."""

Minute: TypeAlias = tuple[str, datetime]


class Entry(NamedTuple):
    """A message on its way into the history."""

    message: Message
    precise: bool
    """Whether its source tells seconds."""
    content: str
    """Its words as they are compared: without marks that are not seen."""


class Merged(NamedTuple):
    """One history, and what was in it already when each source came."""

    messages: list[Message]
    duplicates: list[int]
    """How many messages of each source the ones before had, too."""


def merge(sources: Sequence[Sequence[Message]]) -> Merged:
    """All messages of *sources* in order of time; those of one time in the order of their source.

    All times are with a zone, or none is. A message that one source has edited, deleted or without
    its picture is taken as the other has it, if that says more.
    """
    duplicates = [0] * len(sources)
    if len(sources) == 1:
        return Merged(sorted(sources[0], key=_time), duplicates)
    history: dict[Minute, list[Entry]] = {}
    for number, messages in enumerate(_with_chats(sources)):
        new = _by_minute(messages)
        theirs, ours = _senders(history), _senders(new)
        if theirs and not ours.keys() <= theirs.keys():
            people = same_people(_side_by_side(history, new), theirs, ours)
            if people:
                _name(history, people)
                _name(new, people)
        duplicates[number] = _add(history, new)
    merged = [message for minute in sorted(history) for message in _timed(history[minute])]
    return Merged(sorted(merged, key=_time), duplicates)


def _time(message: Message) -> datetime:
    return message.time


def _minute(message: Message) -> Minute:
    return message.chat or "", message.time.replace(second=0, microsecond=0)


def _by_minute(messages: Sequence[Message]) -> dict[Minute, list[Entry]]:
    precise = any(message.time.second or message.time.microsecond for message in messages)
    minutes: dict[Minute, list[Entry]] = defaultdict(list)
    for message in messages:
        entry = Entry(message, precise, without_marks(message.text))
        minutes[_minute(message)].append(entry)
    return minutes


def _senders(minutes: Mapping[Minute, Sequence[Entry]]) -> dict[str, str | None]:
    """The name shown of each sender."""
    return {
        entry.message.sender: entry.message.name
        for entries in minutes.values()
        for entry in entries
        if entry.message.sender is not None
    }


def _side_by_side(
    history: Mapping[Minute, Sequence[Entry]], new: Mapping[Minute, Sequence[Entry]]
) -> Iterable[tuple[str, str, str]]:
    """The same words in the same minute, once in each: the words, and the sender in either."""
    for minute in history.keys() & new.keys():
        theirs, ours = (_once(entries[minute]) for entries in (history, new))
        for words in theirs.keys() & ours.keys():
            yield words, theirs[words], ours[words]


def _once(entries: Iterable[Entry]) -> dict[str, str]:
    """Who said what, of all that was said once in the minute."""
    said: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        if entry.message.sender is not None and entry.content:
            said[entry.content].append(entry.message.sender)
    return {words: senders[0] for words, senders in said.items() if len(senders) == 1}


def _with_chats(sources: Sequence[Sequence[Message]]) -> list[Sequence[Message]]:
    """*sources*, where one of a single chat is told which of another's several chats it is."""
    known: dict[tuple[datetime, str], str] = {}
    for messages in sources:
        for message in messages:
            if message.chat is not None and len(message.text) >= 10:
                known[_minute(message)[1], without_marks(message.text)] = message.chat
    if not known:
        return list(sources)
    told: list[Sequence[Message]] = []
    for messages in sources:
        votes = Counter(
            chat
            for message in messages
            if message.chat is None
            and (chat := known.get((_minute(message)[1], without_marks(message.text))))
        )
        chat, count = votes.most_common(1)[0] if votes else (None, 0)
        if count >= 3 and 2 * count > votes.total():
            told.append([replace(each, chat=each.chat or chat) for each in messages])
        else:
            told.append(messages)
    return told


def _name(minutes: dict[Minute, list[Entry]], people: Mapping[str, Person]) -> None:
    """Give all messages of each of *people* the same sender and name."""
    for minute, entries in minutes.items():
        minutes[minute] = [
            entry._replace(message=replace(entry.message, sender=person.sender, name=person.name))
            if (person := people.get(entry.message.sender or ""))
            else entry
            for entry in entries
        ]


def _add(history: dict[Minute, list[Entry]], new: Mapping[Minute, list[Entry]]) -> int:
    """Put *new* into *history*; the number of its messages that were there."""
    count = 0
    for minute, entries in new.items():
        old = history.get(minute)
        if old is None:
            history[minute] = entries
        else:
            pairs = _pairs(old, entries)
            history[minute] = _woven(old, entries, pairs)
            count += len(pairs)
    return count


def _pairs(old: Sequence[Entry], new: Sequence[Entry]) -> dict[int, int]:
    """Which entries of one minute are the same message: places in *new*, each with that in *old*.

    First what is the same in sequence, then what is the same in another order, then what may be
    another version of a message between the same two neighbours.
    """
    seconds = all(entry.precise for entry in (*old, *new))

    def key(entry: Entry) -> tuple[int, str | None, str, str, str | None]:
        message = entry.message
        second = message.time.second if seconds else 0
        return second, message.sender, message.kind, entry.content, message.media

    theirs, ours = list(map(key, old)), list(map(key, new))
    pairs = _in_sequence(theirs, ours)
    if len(pairs) == len(new):
        return pairs
    aligned = sorted((place, other) for place, other in pairs.items())
    free: dict[object, list[int]] = defaultdict(list)
    taken = set(pairs.values())
    for place in reversed(range(len(theirs))):
        if place not in taken:
            free[theirs[place]].append(place)
    for place, what in enumerate(ours):
        if place not in pairs and free[what]:
            pairs[place] = free[what].pop()
    left_old = sorted(place for places in free.values() for place in places)
    left_new = [place for place in range(len(ours)) if place not in pairs]
    if len(left_old) * len(left_new) > MAX_CELLS:
        return pairs
    for place in left_new:
        for other in left_old:
            if (
                theirs[other][:2] == ours[place][:2]
                and _are_versions(old[other], new[place])
                and all((a < place) == (b < other) for a, b in aligned)
            ):
                pairs[place] = other
                left_old.remove(other)
                break
    return pairs


def _in_sequence(theirs: Sequence[object], ours: Sequence[object]) -> dict[int, int]:
    """The longest sequence that both have: places in *ours*, each with that in *theirs*."""
    start = 0
    while start < min(len(theirs), len(ours)) and theirs[start] == ours[start]:
        start += 1
    pairs = {place: place for place in range(start)}
    rows, columns = len(theirs) - start, len(ours) - start
    if rows * columns > MAX_CELLS:
        return pairs
    lengths = [[0] * (columns + 1) for _ in range(rows + 1)]
    for row in reversed(range(rows)):
        for column in reversed(range(columns)):
            lengths[row][column] = (
                lengths[row + 1][column + 1] + 1
                if theirs[start + row] == ours[start + column]
                else max(lengths[row + 1][column], lengths[row][column + 1])
            )
    row = column = 0
    while row < rows and column < columns:
        if theirs[start + row] == ours[start + column]:
            pairs[start + column] = start + row
            row, column = row + 1, column + 1
        elif lengths[row + 1][column] >= lengths[row][column + 1]:
            row += 1
        else:
            column += 1
    return pairs


def _are_versions(old: Entry, new: Entry) -> bool:
    """Whether two messages of one person and time may be one that was changed or left out."""
    one, other = old.message, new.message
    kinds = {one.kind, other.kind}
    return (
        (old.content == new.content != "")
        or kinds in ({"media"}, {"system"})
        or "deleted" in kinds
        or (kinds == {"text"} and (one.edited or other.edited))
    )


def _woven(old: Sequence[Entry], new: Sequence[Entry], pairs: Mapping[int, int]) -> list[Entry]:
    """One list of both: what only *new* has comes after what stands before it there."""
    result = list(old)
    after: dict[int, list[Entry]] = defaultdict(list)
    last = -1
    for place, entry in enumerate(new):
        if place in pairs:
            result[pairs[place]] = _better(old[pairs[place]], entry)
            last = max(last, pairs[place])
        else:
            after[last].append(entry)
    return [
        *after[-1],
        *(each for place, entry in enumerate(result) for each in (entry, *after[place])),
    ]


def _better(old: Entry, new: Entry) -> Entry:
    """The version that says more, with what only the other knows."""
    one, other = old.message, new.message
    if other.kind == "deleted":
        newer = False
    elif one.kind == other.kind == "media":
        newer = "." in (other.media or "") and "." not in (one.media or "")
    else:
        newer = one.kind == "deleted" or (other.edited and not one.edited)
    kept, rest = (other, one) if newer else (one, other)
    changes: dict[str, Any] = {}
    if new.precise and not old.precise and kept.time != other.time:
        changes["time"] = other.time
    for field in ("id", "reply_to", "reactions", *(["text"] if kept.kind == "media" else [])):
        if not getattr(kept, field) and getattr(rest, field):
            changes[field] = getattr(rest, field)
    if kept is one and not changes:
        return old
    message = replace(kept, **changes)
    return Entry(message, old.precise or new.precise, without_marks(message.text))


def _timed(entries: Sequence[Entry]) -> Iterator[Message]:
    """Messages of one minute; one without seconds takes those of the message before it."""
    precise = [entry.precise for entry in entries]
    if all(precise) or not any(precise):
        yield from (entry.message for entry in entries)
        return
    second: datetime | None = None
    for entry in entries:
        if entry.precise:
            second = entry.message.time
            yield entry.message
        else:
            yield entry.message if second is None else replace(entry.message, time=second)
