"""Merging of several sources of one chat into one history without loss or duplicates.

Two sources are compared minute by minute, since many have no seconds. Messages in common are found
by sequence alignment; messages of only one source are inserted between them. A message sent twice
in a minute therefore occurs twice: as often as in the source that has it most often.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from pytok.chat.identity import Person, match_people
from pytok.chat.record import Message
from pytok.chat.whatsapp.bodies import without_marks

MAX_CELLS = 1 << 18
"""Maximum cells of an alignment table; a larger minute (500 messages each) is matched in order."""

Minute: TypeAlias = tuple[str, datetime]


class Entry(NamedTuple):
    """A message during the merge."""

    message: Message
    precise: bool
    """Whether the source has seconds."""
    content: str
    """Text for comparison: without invisible marks."""


class Merged(NamedTuple):
    """One history, and the overlap of its sources."""

    messages: list[Message]
    duplicates: list[int]
    """For each source, the number of messages that earlier sources already have."""


def merge(sources: Sequence[Sequence[Message]]) -> Merged:
    """Merge *sources*, sorted by time; messages of the same time keep the order of their source.

    Either all times have a zone or none has. If two sources have different versions of a message
    (edited, deleted, or without its media), the more informative one is kept.
    """
    duplicates = [0] * len(sources)
    if len(sources) == 1:
        return Merged(sorted(sources[0], key=_time), duplicates)
    history: dict[Minute, list[Entry]] = {}
    for number, messages in enumerate(_with_chats(sources)):
        new = _by_minute(messages)
        old_senders, new_senders = _senders(history), _senders(new)
        if old_senders and not new_senders.keys() <= old_senders.keys():
            people = match_people(_common_texts(history, new), old_senders, new_senders)
            if people:
                _rename_senders(history, people)
                _rename_senders(new, people)
        duplicates[number] = _add(history, new)
    merged = [message for minute in sorted(history) for message in _fill_seconds(history[minute])]
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
    """Map each sender to the displayed name."""
    return {
        entry.message.sender: entry.message.name
        for entries in minutes.values()
        for entry in entries
        if entry.message.sender is not None
    }


def _common_texts(
    old: Mapping[Minute, Sequence[Entry]], new: Mapping[Minute, Sequence[Entry]]
) -> Iterable[tuple[str, str, str]]:
    """Yield (text, old sender, new sender) for texts that occur once in a minute of both."""
    for minute in old.keys() & new.keys():
        old_texts, new_texts = (_unique_texts(entries[minute]) for entries in (old, new))
        for text in old_texts.keys() & new_texts.keys():
            yield text, old_texts[text], new_texts[text]


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
                chat_of[_minute(message)[1], without_marks(message.text)] = message.chat
    if not chat_of:
        return list(sources)
    assigned: list[Sequence[Message]] = []
    for messages in sources:
        votes = Counter(
            chat
            for message in messages
            if message.chat is None
            and (chat := chat_of.get((_minute(message)[1], without_marks(message.text))))
        )
        chat, count = votes.most_common(1)[0] if votes else (None, 0)
        # A few common messages are no evidence: three, and a majority.
        if count >= 3 and 2 * count > votes.total():
            assigned.append([replace(each, chat=each.chat or chat) for each in messages])
        else:
            assigned.append(messages)
    return assigned


def _rename_senders(minutes: dict[Minute, list[Entry]], people: Mapping[str, Person]) -> None:
    """Give all messages of each of *people* the same sender and name."""
    for minute, entries in minutes.items():
        minutes[minute] = [
            entry._replace(message=replace(entry.message, sender=person.sender, name=person.name))
            if (person := people.get(entry.message.sender or ""))
            else entry
            for entry in entries
        ]


def _add(history: dict[Minute, list[Entry]], new: Mapping[Minute, list[Entry]]) -> int:
    """Merge *new* into *history*; return how many of its messages are already there."""
    count = 0
    for minute, entries in new.items():
        old = history.get(minute)
        if old is None:
            history[minute] = entries
        else:
            pairs = _match_entries(old, entries)
            history[minute] = _interleave(old, entries, pairs)
            count += len(pairs)
    return count


def _match_entries(old: Sequence[Entry], new: Sequence[Entry]) -> dict[int, int]:
    """Map indices in *new* to indices in *old*, of entries of one minute that are the same message.

    First equal entries in the same order are matched, then equal entries in another order, and last
    possible versions of one message between the same two neighbors.
    """
    seconds = all(entry.precise for entry in (*old, *new))

    def key(entry: Entry) -> tuple[int, str | None, str, str, str | None]:
        message = entry.message
        second = message.time.second if seconds else 0
        return second, message.sender, message.kind, entry.content, message.media

    # 1. The same order.
    old_keys, new_keys = list(map(key, old)), list(map(key, new))
    pairs = _common_subsequence(old_keys, new_keys)
    if len(pairs) == len(new):
        return pairs
    aligned = sorted(pairs.items())
    # 2. Another order: equal keys that are still free, the first ones first.
    free: dict[object, list[int]] = defaultdict(list)
    taken = set(pairs.values())
    for index in reversed(range(len(old_keys))):
        if index not in taken:
            free[old_keys[index]].append(index)
    for index, entry_key in enumerate(new_keys):
        if index not in pairs and free[entry_key]:
            pairs[index] = free[entry_key].pop()
    # 3. Versions: all pairs of the rest are compared, so their number is bounded.
    old_rest = sorted(index for indices in free.values() for index in indices)
    new_rest = [index for index in range(len(new_keys)) if index not in pairs]
    if len(old_rest) * len(new_rest) > MAX_CELLS:
        return pairs
    for index in new_rest:
        for other in old_rest:
            if (
                old_keys[other][:2] == new_keys[index][:2]
                and _are_versions(old[other], new[index])
                and all((a < index) == (b < other) for a, b in aligned)
            ):
                pairs[index] = other
                old_rest.remove(other)
                break
    return pairs


def _common_subsequence(old: Sequence[object], new: Sequence[object]) -> dict[int, int]:
    """Map indices in *new* to indices in *old* along a longest common subsequence."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    pairs = {index: index for index in range(start)}
    rows, columns = len(old) - start, len(new) - start
    if rows * columns > MAX_CELLS:
        return pairs
    # lengths[row][column]: length for the rests of both from there on, filled from the end.
    lengths = [[0] * (columns + 1) for _ in range(rows + 1)]
    for row in reversed(range(rows)):
        for column in reversed(range(columns)):
            lengths[row][column] = (
                lengths[row + 1][column + 1] + 1
                if old[start + row] == new[start + column]
                else max(lengths[row + 1][column], lengths[row][column + 1])
            )
    row = column = 0
    while row < rows and column < columns:
        if old[start + row] == new[start + column]:
            pairs[start + column] = start + row
            row, column = row + 1, column + 1
        elif lengths[row + 1][column] >= lengths[row][column + 1]:
            row += 1
        else:
            column += 1
    return pairs


def _are_versions(old: Entry, new: Entry) -> bool:
    """Return whether two messages of one person and time can be versions of one message."""
    kinds = {old.message.kind, new.message.kind}
    return (
        (old.content == new.content != "")
        or kinds in ({"media"}, {"system"})
        or "deleted" in kinds
        or (kinds == {"text"} and (old.message.edited or new.message.edited))
    )


def _interleave(
    old: Sequence[Entry], new: Sequence[Entry], pairs: Mapping[int, int]
) -> list[Entry]:
    """Merge both lists; an entry of *new* alone follows the matched entry before it."""
    result = list(old)
    after: dict[int, list[Entry]] = defaultdict(list)
    last = -1
    for index, entry in enumerate(new):
        if index in pairs:
            result[pairs[index]] = _better_version(old[pairs[index]], entry)
            last = max(last, pairs[index])
        else:
            after[last].append(entry)
    return [
        *after[-1],
        *(each for index, entry in enumerate(result) for each in (entry, *after[index])),
    ]


def _better_version(old: Entry, new: Entry) -> Entry:
    """Return the more informative version, completed with fields that only the other has."""
    first, second = old.message, new.message
    # A deletion says less than the text that an older export still has; a file name more than a
    # placeholder; an edited text replaces the original.
    if second.kind == "deleted":
        take_second = False
    elif first.kind == second.kind == "media":
        take_second = "." in (second.media or "") and "." not in (first.media or "")
    else:
        take_second = first.kind == "deleted" or (second.edited and not first.edited)
    kept, other = (second, first) if take_second else (first, second)
    changes: dict[str, Any] = {}
    if new.precise and not old.precise and kept.time != second.time:
        changes["time"] = second.time
    for field in ("id", "reply_to", "reactions", *(["text"] if kept.kind == "media" else [])):
        if not getattr(kept, field) and getattr(other, field):
            changes[field] = getattr(other, field)
    if kept is first and not changes:
        return old
    message = replace(kept, **changes)
    return Entry(message, old.precise or new.precise, without_marks(message.text))


def _fill_seconds(entries: Sequence[Entry]) -> Iterator[Message]:
    """Yield the messages of one minute; one without seconds takes those of the previous message."""
    precise = [entry.precise for entry in entries]
    if all(precise) or not any(precise):
        yield from (entry.message for entry in entries)
        return
    time: datetime | None = None
    for entry in entries:
        if entry.precise:
            time = entry.message.time
            yield entry.message
        else:
            yield entry.message if time is None else replace(entry.message, time=time)
