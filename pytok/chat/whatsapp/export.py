"""Messages from a WhatsApp text export: header, sender, and body of each."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from pytok.chat.record import Message
from pytok.chat.source import Source
from pytok.chat.whatsapp.bodies import APP_MARK, find_traits, read_body, without_marks
from pytok.chat.whatsapp.dates import ORDER_NAMES, AskDateOrder, DateOrder
from pytok.chat.whatsapp.headers import DATE_FIRST, TIME_FIRST, Header, find_headers
from pytok.chat.whatsapp.phrases import DELETED, LANGUAGES, OMITTED, SYSTEM

_SPACED_NAME = re.compile(r"([^\n]{1,150}?)[:：](?=\s|\Z)[ \u00a0\u202f]?")
_UNSPACED_NAME = re.compile(r"([^\n:：]{1,80})[:：](?!//)[ \u00a0\u202f]?")
_QUOTES = re.compile('["“”„«»]')

LANGUAGE_SAMPLE = 5000
"""Number of lines that are searched for the language of an export."""


class _RawMessage(NamedTuple):
    """Sender and body of a message, as written."""

    sender: str | None
    """Name before the colon; None if the line has none."""
    body: str


def read_export(
    text: str, name: str, *, date_order: DateOrder | None = None, ask: AskDateOrder | None = None
) -> Source:
    """Read the text of an export; *name* is the name of its file.

    Raises ChatError if it is not an export, or if the order of its dates is ambiguous and neither
    *date_order* nor *ask* is given.
    """
    lines = _lines(text)
    expected = _expected_order(lines)
    found = find_headers(lines, name=name, date_order=date_order, expected=expected, ask=ask)
    raw_messages = list(_raw_messages(lines, found.headers))
    names = _clean_names(raw.sender for raw in raw_messages)
    traits = find_traits(raw_messages, iphone=bool(found.shape.open))
    messages: list[Message] = []
    for raw, header in zip(raw_messages, found.headers, strict=True):
        body = read_body(raw.body, raw.sender, traits, first=not messages)
        has_sender = body.kind != "system" and raw.sender is not None
        messages.append(
            Message(
                time=header.time,
                sender=names[raw.sender] if has_sender and raw.sender is not None else None,
                kind=body.kind,
                text=body.text,
                edited=body.edited,
                media=body.media,
                source=name,
                line=header.number + 1,
            )
        )
    first = found.headers[0].number
    return Source(
        name=name,
        format=f"WhatsApp text, {ORDER_NAMES[found.order]}, as in {without_marks(found.example)}",
        messages=messages,
        unread=[n for n, line in enumerate(lines[:first], start=1) if without_marks(line)],
        doubtful=[number + 1 for number in found.doubtful if number > first],
        limited=True,
    )


def _lines(text: str) -> list[str]:
    """Split *text* into lines; they keep a CR, which indicates the end of a message."""
    if "\n" not in text and "\r" in text:
        text = text.replace("\r", "\n")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _expected_order(lines: Sequence[str]) -> DateOrder | None:
    """Return the usual order of dates in the language of the app's phrases in *lines*, if any."""
    votes: Counter[str] = Counter()
    for line in lines[:LANGUAGE_SAMPLE]:
        header = DATE_FIRST.match(line) or TIME_FIRST.match(line)
        if header is None:
            continue
        rest = line[header.end() :].strip()
        named = _SPACED_NAME.match(rest)
        body = rest[named.end() :] if named else rest
        phrase = without_marks(body).strip("<>").casefold()
        match = None
        if named is None:
            match = SYSTEM.search(phrase)
        elif body.startswith((APP_MARK, "<")):
            match = OMITTED.match(phrase) or DELETED.match(phrase) or SYSTEM.search(phrase)
        if match is not None and match.lastgroup is not None:
            votes[match.lastgroup] += 1
    if not votes:
        return None
    return LANGUAGES[votes.most_common(1)[0][0]].order


def _raw_messages(lines: Sequence[str], headers: Sequence[Header]) -> Iterator[_RawMessage]:
    """Yield the message of each header, with the lines up to the next one."""
    spaced = sum(_SPACED_NAME.match(header.rest) is not None for header in headers)
    unspaced = sum(_UNSPACED_NAME.match(header.rest) is not None for header in headers)
    # "Bob:Hi" must be the form of the entire file: text can have a colon without a space anywhere.
    pattern = _UNSPACED_NAME if unspaced > 2 * spaced else _SPACED_NAME
    named = [pattern.match(header.rest) for header in headers]
    counts = Counter(match[1] for match in named if match is not None)
    ends = chain((header.number for header in headers[1:]), [len(lines)])
    for header, match, end in zip(headers, named, ends, strict=True):
        if match is not None and _is_notice(match[1], counts[match[1]]):
            match = None
        body = header.rest if match is None else header.rest[match.end() :]
        if end > header.number + 1:
            body = "\n".join([body, *lines[header.number + 1 : end]]).replace("\r\n", "\n")
        yield _RawMessage(None if match is None else match[1], body.removesuffix("\r"))


def _is_notice(before_colon: str, count: int) -> bool:
    """Return whether *before_colon* is from a notice, as in 'Ann changed the subject to "a: b"'.

    A name occurs repeatedly and has no unbalanced quotation mark; the subject of a notice varies.
    """
    if count > 2:
        return False
    if len(_QUOTES.findall(before_colon)) % 2:
        return True
    return len(before_colon) > 25 and SYSTEM.search(before_colon.casefold()) is not None


def _clean_names(senders: Iterable[str | None]) -> Mapping[str, str]:
    """Map names as written to names without marks and without "~", the sign of an unsaved contact.

    The "~" is kept if a saved contact has the same name.
    """
    written = dict.fromkeys(sender for sender in senders if sender is not None)
    clean = {sender: " ".join(without_marks(sender).split()) or sender for sender in written}
    saved = {name for name in clean.values() if not name.startswith("~")}
    names = {}
    for sender, name in clean.items():
        unsaved = name.removeprefix("~").strip()
        names[sender] = unsaved if unsaved and unsaved not in saved else name
    return names
