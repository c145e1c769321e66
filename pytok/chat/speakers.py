"""The names that senders go by, and whom a name that someone typed means."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from pytok.chat.record import Message
from pytok.errors import ChatError


def speakers_of(messages: Iterable[Message]) -> dict[str, str]:
    """The name that each sender goes by: the one shown last, told apart where two have the same."""
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
    """The speaker whom *name* means: a name or sender, in any case, or how only one begins.

    *speakers* are as `speakers_of` has them. Raises ChatError that lists them.
    """
    wanted = name.casefold()
    rules: tuple[Callable[[str], bool], ...] = (
        lambda known: known == name,
        lambda known: known.casefold() == wanted,
        lambda known: bool(wanted) and known.casefold().startswith(wanted),
    )
    for fits in rules:
        found = {speaker for sender, speaker in speakers.items() if fits(sender) or fits(speaker)}
        if len(found) == 1:
            return found.pop()
        if found:
            listed = ", ".join(map(repr, sorted(found)))
            raise ChatError(f"{name!r} may be any of {listed}; write more of the name")
    listed = ", ".join(map(repr, sorted(set(speakers.values())))) or "nobody"
    raise ChatError(f"{name!r} is none of the senders: {listed}")
