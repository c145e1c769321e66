"""A WhatsApp text export to messages: who wrote each, and which lines it is made of."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from pytok.chat.record import Message
from pytok.chat.source import Source
from pytok.chat.whatsapp.bodies import OWN_WORDS, habits_of, read_body, without_marks
from pytok.chat.whatsapp.dates import ORDER_NAMES, Ask, DateOrder
from pytok.chat.whatsapp.headers import HEAD, TIME_FIRST, Head, find_heads
from pytok.chat.whatsapp.phrases import DELETED, LANGUAGES, OMITTED, SYSTEM

_SPACED = re.compile(r"([^\n]{1,150}?)[:：](?=\s|\Z)[ \u00a0\u202f]?")
_TIGHT = re.compile(r"([^\n:：]{1,80})[:：](?!//)[ \u00a0\u202f]?")
_QUOTES = re.compile('["“”„«»]')

SAMPLE = 5000
"""Lines in which the language of an export is looked for."""


class _Part(NamedTuple):
    """One message as it stands."""

    sender: str | None
    """The name before the colon; None where the line has none."""
    body: str


def read_export(
    text: str, name: str, *, date_order: DateOrder | None = None, ask: Ask | None = None
) -> Source:
    """Read the text of an export; *name* is its file's.

    Raises ChatError where it is none, and where nothing decides how its dates are written, unless
    *date_order* says it or *ask* answers.
    """
    lines = _lines(text)
    expected = _expected_order(lines)
    found = find_heads(lines, name=name, date_order=date_order, expected=expected, ask=ask)
    parts = list(_parts(lines, found.heads))
    names = _names(part.sender for part in parts)
    habits = habits_of(parts, iphone=bool(found.shape.open))
    messages: list[Message] = []
    for part, head in zip(parts, found.heads, strict=True):
        body = read_body(part.body, part.sender, habits, first=not messages)
        spoken = body.kind != "system" and part.sender is not None
        messages.append(
            Message(
                time=head.time,
                sender=names[part.sender] if spoken and part.sender is not None else None,
                kind=body.kind,
                text=body.text,
                edited=body.edited,
                media=body.media,
                source=name,
                line=head.number + 1,
            )
        )
    first = found.heads[0].number
    return Source(
        name=name,
        format=f"WhatsApp text, {ORDER_NAMES[found.order]}, as in {without_marks(found.example)}",
        messages=messages,
        unread=[n for n, line in enumerate(lines[:first], start=1) if without_marks(line)],
        doubtful=[number + 1 for number in found.doubtful if number > first],
        limited=True,
    )


def _lines(text: str) -> list[str]:
    """The lines of *text*; their CR stays, since it tells where messages end."""
    if "\n" not in text and "\r" in text:
        text = text.replace("\r", "\n")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _expected_order(lines: Sequence[str]) -> DateOrder | None:
    """How dates are written in the language that the app speaks in *lines*, if one is seen."""
    votes: Counter[str] = Counter()
    for line in lines[:SAMPLE]:
        head = HEAD.match(line) or TIME_FIRST.match(line)
        if head is None:
            continue
        rest = line[head.end() :].strip()
        named = _SPACED.match(rest)
        body = rest[named.end() :] if named else rest
        own = without_marks(body).strip("<>").casefold()
        match = None
        if named is None:
            match = SYSTEM.search(own)
        elif body.startswith((OWN_WORDS, "<")):
            match = OMITTED.match(own) or DELETED.match(own) or SYSTEM.search(own)
        if match is not None and match.lastgroup is not None:
            votes[match.lastgroup] += 1
    if not votes:
        return None
    return LANGUAGES[votes.most_common(1)[0][0]].order


def _parts(lines: Sequence[str], heads: Sequence[Head]) -> Iterator[_Part]:
    """Each head with the lines up to the next one."""
    spaced = sum(_SPACED.match(head.rest) is not None for head in heads)
    tight = sum(_TIGHT.match(head.rest) is not None for head in heads)
    # "Bob:Hi" in a whole file; a single line may have a colon without a space in what it says.
    pattern = _TIGHT if tight > 2 * spaced else _SPACED
    named = [pattern.match(head.rest) for head in heads]
    counts = Counter(match[1] for match in named if match is not None)
    ends = chain((head.number for head in heads[1:]), [len(lines)])
    for head, match, end in zip(heads, named, ends, strict=True):
        if match is not None and _is_no_name(match[1], counts[match[1]]):
            match = None
        body = head.rest if match is None else head.rest[match.end() :]
        if end > head.number + 1:
            body = "\n".join([body, *lines[head.number + 1 : end]]).replace("\r\n", "\n")
        yield _Part(None if match is None else match[1], body.removesuffix("\r"))


def _is_no_name(before_colon: str, count: int) -> bool:
    """Whether what stands before a colon is a notice, as in 'Ann changed the subject to "a: b"'.

    A name comes again, and has no odd quotation mark; what a notice is about is never the same.
    """
    if count > 2:
        return False
    if len(_QUOTES.findall(before_colon)) % 2:
        return True
    return len(before_colon) > 25 and SYSTEM.search(before_colon.casefold()) is not None


def _names(senders: Iterable[str | None]) -> Mapping[str, str]:
    """A clean name for each as written: no marks; no "~", which says that it was not saved."""
    written = dict.fromkeys(sender for sender in senders if sender is not None)
    clean = {sender: " ".join(without_marks(sender).split()) or sender for sender in written}
    saved = {name for name in clean.values() if not name.startswith("~")}
    names = {}
    for sender, name in clean.items():
        unsaved = name.removeprefix("~").strip()
        names[sender] = unsaved if unsaved and unsaved not in saved else name
    return names
