"""Alignment of two sources of one chat: which messages they have in common, and one order for both.

Messages in common are found minute by minute, since many sources have no seconds, by sequence
alignment. A message sent twice in a minute therefore occurs twice: as often as in the source that
has it most often. Both sources keep their order; times only decide between messages that only one
of them has.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from pytok.chat.record import Message
from pytok.chat.whatsapp.headers import without_marks

MAX_CELLS = 1 << 18
"""Maximum cells of an alignment table; a larger minute (500 messages each) is matched in order."""


class Entry(NamedTuple):
    """A message during the merge."""

    message: Message
    precise: bool
    """Whether the source has seconds."""
    content: str
    """Text for comparison: without invisible marks."""


class Aligned(NamedTuple):
    """Two sources as one."""

    entries: list[Entry]
    duplicates: int
    """Number of messages that both have."""
    contested: int
    """Number of messages that one of them has and that are deleted in the other."""


def minute_of(message: Message) -> datetime:
    """Return the time of *message* without seconds."""
    return message.time.replace(second=0, microsecond=0)


def align(old: Sequence[Entry], new: Sequence[Entry], *, respect_deletions: bool) -> Aligned:
    """Join the messages of *old* and *new*, each of one chat in its own order."""
    pairs = _pairs(old, new)
    contested = 0
    joined = list(old)
    for index, other in pairs.items():
        kinds = (old[other].message.kind, new[index].message.kind)
        contested += (kinds[0] == "deleted") != (kinds[1] == "deleted")
        joined[other] = _better_version(old[other], new[index], respect_deletions)
    return Aligned(list(_interleave(joined, new, pairs)), len(pairs), contested)


def _pairs(old: Sequence[Entry], new: Sequence[Entry]) -> dict[int, int]:
    """Map indices in *new* to indices in *old*, of entries that are the same message."""
    minutes: dict[datetime, list[int]] = defaultdict(list)
    for index, entry in enumerate(new):
        minutes[minute_of(entry.message)].append(index)
    common: dict[datetime, list[int]] = {minute: [] for minute in minutes}
    for index, entry in enumerate(old):
        if (indices := common.get(minute_of(entry.message))) is not None:
            indices.append(index)
    pairs: dict[int, int] = {}
    for minute, new_indices in minutes.items():
        old_indices = common[minute]
        found = _match_entries(
            [old[index] for index in old_indices], [new[index] for index in new_indices]
        )
        pairs |= {new_indices[index]: old_indices[other] for index, other in found.items()}
    return pairs


def _interleave(
    old: Sequence[Entry], new: Sequence[Entry], pairs: Mapping[int, int]
) -> Iterator[Entry]:
    """Yield all entries of *old*, and those of *new* that are in no pair, each in its order."""
    behind_old = behind_new = 0
    for index, other in [*_anchors(pairs), (len(new), len(old))]:
        yield from _by_time(
            old[behind_old:other],
            [new[each] for each in range(behind_new, index) if each not in pairs],
        )
        yield from old[other : other + 1]
        behind_old, behind_new = other + 1, index + 1


def _anchors(pairs: Mapping[int, int]) -> list[tuple[int, int]]:
    """Return a longest list of *pairs* that have the same order in both sources."""
    tails: list[int] = []  # the least last index in old of a list of each length
    ends: list[int] = []  # the index in new of that end
    before: dict[int, int | None] = {}
    for index in sorted(pairs):
        length = bisect_left(tails, pairs[index])
        before[index] = ends[length - 1] if length else None
        tails[length : length + 1] = [pairs[index]]
        ends[length : length + 1] = [index]
    anchors = []
    end: int | None = ends[-1] if ends else None
    while end is not None:
        anchors.append((end, pairs[end]))
        end = before[end]
    return anchors[::-1]


def _by_time(old: Sequence[Entry], new: Sequence[Entry]) -> Iterator[Entry]:
    """Merge two lists by time; of the same time, *new* comes first, after the pair before it."""
    position = 0
    for entry in new:
        while position < len(old) and _is_earlier(old[position], entry):
            yield old[position]
            position += 1
        yield entry
    yield from old[position:]


def _is_earlier(first: Entry, second: Entry) -> bool:
    """Compare two times, to the minute if one has no seconds."""
    if first.precise and second.precise:
        return first.message.time < second.message.time
    return minute_of(first.message) < minute_of(second.message)


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


def _better_version(old: Entry, new: Entry, respect_deletions: bool) -> Entry:
    """Return the more informative version, completed with fields that only the other has.

    With *respect_deletions*, a deleted message stays deleted.
    """
    first, second = old.message, new.message
    # A deletion says less than the text that an older export still has; a file name more than a
    # placeholder; an edited text replaces the original.
    if respect_deletions and "deleted" in (first.kind, second.kind):
        return old if first.kind == "deleted" else new
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
