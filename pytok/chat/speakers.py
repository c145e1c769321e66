"""The names of senders, and the lookup of a name that a user typed."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from pytok.chat.record import Message
from pytok.errors import ChatError

MAX_LISTED = 10
"""Names in a message at most; a group can have a thousand."""


def speakers_of(messages: Iterable[Message]) -> dict[str, str]:
    """Map each sender to a unique name: the last displayed one, with the sender if it is shared."""
    names: dict[str, str] = {}
    for message in messages:
        if message.sender is not None and (message.name or message.sender not in names):
            names[message.sender] = message.name or message.sender
    shared = Counter(names.values())
    return {
        sender: f"{name} ({sender})" if shared[name] > 1 and name != sender else name
        for sender, name in names.items()
    }


def find_speaker(name: str, speakers: Mapping[str, str]) -> str:
    """Return the speaker that *name* identifies: a name or sender in any case, or a unique prefix.

    *speakers* is a mapping of `speakers_of`. Raises ChatError with the candidates if no speaker
    matches, or more than one.
    """
    found = matching_speakers(name, speakers)
    if len(found) == 1:
        return found[0]
    if found:
        raise ChatError(f"{name!r} is ambiguous: {listed(map(repr, found))}; give more of the name")
    known = listed(map(repr, sorted(set(speakers.values())))) or "there are none"
    raise ChatError(f"{name!r} is not one of the senders: {known}")


def matching_speakers(name: str, speakers: Mapping[str, str]) -> list[str]:
    """Return the speakers that *name* can mean, by the first rule that fits any."""
    wanted = name.casefold()
    rules: tuple[Callable[[str], bool], ...] = (
        lambda known: known == name,
        lambda known: known.casefold() == wanted,
        lambda known: bool(wanted) and known.casefold().startswith(wanted),
    )
    for fits in rules:
        found = {speaker for sender, speaker in speakers.items() if fits(sender) or fits(speaker)}
        if found:
            return sorted(found)
    return []


def listed(names: Iterable[str]) -> str:
    """Return the first `MAX_LISTED` of *names* in one line, and the number of the others.

    >>> listed(str(number) for number in range(100))
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 90 more'
    """
    every = list(names)
    more = f" and {len(every) - MAX_LISTED:,} more" if len(every) > MAX_LISTED else ""
    return ", ".join(every[:MAX_LISTED]) + more
