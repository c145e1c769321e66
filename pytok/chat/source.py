"""The result of reading one export: its messages, and the counts of everything else in it."""

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pytok.chat.record import Message, assume_utc
from pytok.errors import ChatError


class UnknownFormat(ChatError):
    """A file is not of the format that its first bytes suggest; another reader may know it."""


@dataclass(frozen=True)
class Chat:
    """One chat of an export."""

    name: str
    """Its title; within an export no two chats have the same."""
    messages: int
    """Number of messages."""
    id: str | None = None
    """Identifier of the chat, if the app has one; names need not be unique."""


@dataclass(kw_only=True)
class Source:
    """One export that was read; everything that is not in a message is recorded here."""

    name: str
    """Name of the file, without its folder."""
    format: str
    """Description of the format for the summary: "WhatsApp text, day first, ..."."""
    messages: list[Message]
    unread: list[int] = field(default_factory=list)
    """Numbers, from 1, of the lines (or entries) that belong to no message."""
    doubtful: list[int] = field(default_factory=list)
    """Numbers of the lines that look like the start of a message but were read as text."""
    separators: list[int] = field(default_factory=list)
    """Numbers of the lines that only name the day of the messages after them."""
    unsure: dict[str, list[int]] = field(default_factory=dict)
    """Lines of the messages that were taken for the app's words by their wording alone, by body."""
    warnings: list[str] = field(default_factory=list)
    chats: list[Chat] = field(default_factory=list)
    """The chats in it, if the app says which. If there are several, `Message.chat` names one."""
    one_chat: bool = False
    """Whether the user must choose one of `chats`."""
    limited: bool = False
    """Whether the app limits the number of messages in an export."""
    timeless: bool = False
    """Whether the file has no times; its messages then have made-up, increasing times."""


def join(sources: Sequence[Source], export: str) -> Source:
    """Return one source for *sources*, the parts of the export named *export*.

    Parts of the same chat, by `Source.chats`, are joined. If there are several chats,
    `Message.chat` is set; chats with the same name get their id added.
    """
    if len(sources) == 1:
        return sources[0]
    parts: dict[tuple[str | None, str], list[list[Message]]] = defaultdict(list)
    for source in sources:
        for chat, own in _by_chat(source):
            parts[chat.id, chat.name].append(own)
    shared = Counter(title for _, title in parts)
    messages: list[Message] = []
    chats: list[Chat] = []
    for (identity, title), own_parts in parts.items():
        name = f"{title} ({identity})" if shared[title] > 1 else title
        own = [message for part in own_parts for message in part]
        if len(own_parts) > 1:
            own.sort(key=lambda message: assume_utc(message.time))
        if len(parts) > 1:
            own = [replace(message, chat=name) for message in own]
        chats.append(Chat(name, len(own), identity))
        messages += own
    joined = Source(
        name=export,
        format=_format(sources, len(parts)),
        messages=messages,
        warnings=[warning for source in sources for warning in source.warnings],
        chats=chats if any(source.chats for source in sources) else [],
        limited=any(source.limited for source in sources),
        timeless=any(source.timeless for source in sources),
    )
    for source in sources:
        for body, lines in source.unsure.items():
            joined.unsure.setdefault(body, []).extend(lines)
    if len({source.name for source in sources}) == 1:
        joined.separators = [number for source in sources for number in source.separators]
        joined.unread = [number for source in sources for number in source.unread]
        joined.doubtful = [number for source in sources for number in source.doubtful]
    else:  # a number says nothing without its file
        for source in sources:
            for numbers, fate in (
                (source.unread, "could not be read"),
                (source.doubtful, "were read as text"),
            ):
                if numbers:
                    listed = _listed([str(number) for number in numbers])
                    joined.warnings.append(f"{source.name}: lines {listed} {fate}")
    return joined


def _by_chat(source: Source) -> Iterator[tuple[Chat, list[Message]]]:
    """Yield the chats of *source*, each with its messages."""
    if len(source.chats) <= 1:
        yield (source.chats or [Chat(source.name, 0)])[0], source.messages
        return
    own: dict[str | None, list[Message]] = defaultdict(list)
    for message in source.messages:
        own[message.chat].append(message)
    for chat in source.chats:
        yield chat, own[chat.name]


def _format(sources: Sequence[Source], chats: int) -> str:
    """Describe the format of several parts."""
    formats = ", ".join(dict.fromkeys(source.format for source in sources))
    files = len({source.name for source in sources})
    return (
        formats
        + (f" of {chats:,} chats" if chats > 1 else "")
        + (f" in {files:,} files" if files > 1 else "")
    )


def find_chat(chats: Sequence[Chat], wanted: str, name: str) -> Chat:
    """Return the chat *wanted*, an id or a name, among *chats* of the export *name*.

    An id wins over a name, and a name in the same case over one in another. Raises ChatError if no
    chat, or more than one, matches.
    """
    matches = (
        [chat for chat in chats if chat.id == wanted]
        or [chat for chat in chats if chat.name == wanted]
        or [chat for chat in chats if chat.name.casefold() == wanted.casefold()]
    )
    if len(matches) == 1:
        return matches[0]
    if matches:
        listed = _listed([f"{chat.name!r} ({chat.id})" for chat in matches])
        raise ChatError(
            f"{name} has {len(matches)} chats {wanted!r}: {listed}; give one's exact name or id"
        )
    near = difflib.get_close_matches(wanted, [chat.name for chat in chats], n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ChatError(f"{name} has no chat {wanted!r}{hint} (--list-chats lists all)")


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:5]) + (f" and {len(items) - 5:,} more" if len(items) > 5 else "")
