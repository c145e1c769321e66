"""Messages from a WhatsApp text export: header, sender, and body of each."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple

from pytok.chat.merging import merge
from pytok.chat.record import Message
from pytok.chat.source import Source
from pytok.chat.whatsapp.bodies import read_body
from pytok.chat.whatsapp.dates import ORDER_NAMES, AskDateOrder, DateOrder
from pytok.chat.whatsapp.days import find_day_lines
from pytok.chat.whatsapp.headers import (
    APP_MARK,
    DATE_FIRST,
    TIME_FIRST,
    FileHeaders,
    Header,
    find_candidates,
    find_headers,
    without_marks,
)
from pytok.chat.whatsapp.parts import find_parts, find_runs
from pytok.chat.whatsapp.phrases import DELETED, LANGUAGES, OMITTED, SYSTEM
from pytok.chat.whatsapp.traits import RawMessage, find_traits
from pytok.errors import ChatError

_SPACED_NAME = re.compile(r"([^\n]{1,150}?)[:：](?=\s|\Z)[ \u00a0\u202f]?")
_UNSPACED_NAME = re.compile(r"([^\n:：]{1,80})[:：](?!//)[ \u00a0\u202f]?")

LANGUAGE_SAMPLE = 5000
"""Number of lines that are searched for the language of an export."""

LONG_PASTE = 10
"""Lines in a row that look like headers and were read as text, from which they are warned of."""


@dataclass(frozen=True)
class _Context:
    """What all parts of a file have in common."""

    lines: Sequence[str]
    name: str
    date_order: DateOrder | None
    ask: AskDateOrder | None


def read_export(
    text: str, name: str, *, date_order: DateOrder | None = None, ask: AskDateOrder | None = None
) -> Source:
    """Read the text of an export; *name* is the name of its file.

    The messages have the order of the file, which is that of the phone: in autumn an hour of local
    time occurs twice. Exports that were joined in one file are merged.

    Raises ChatError if it is not an export, or if the order of its dates is ambiguous and neither
    *date_order* nor *ask* is given.
    """
    context = _Context(_lines(text), name, date_order, ask)
    exports = _find_exports(context.lines)
    parts = [_read_part(context, export) for export in exports]
    source = parts[0]
    messages = [message for part in parts for message in part.messages]
    if not any(each.sender or SYSTEM.search(each.text.casefold()) for each in messages):
        raise ChatError(
            f"{name}: no line has a sender, as in 'Ann: hi' after the time, so this is not a text "
            "of WhatsApp; if the app can export JSON, too, give that"
        )
    for part in parts[1:]:
        source.unread += part.unread
        source.doubtful += part.doubtful
        source.separators += part.separators
        for body, numbers in part.unsure.items():
            source.unsure.setdefault(body, []).extend(numbers)
    source.warnings += _paste_warnings(name, source.doubtful)
    runs = [run for part in parts for run in _runs(part.messages)]
    source.messages = runs[0]
    if len(runs) > 1:
        later = ", ".join(f"line {run[0].line}" for run in runs[1:5])
        source.warnings.append(
            f"{name}: {len(runs)} exports in one file; the next one begins at {later}. They were "
            "merged, as if they were files of their own"
        )
        source.messages = merge(runs).messages
    return source


@dataclass
class _Export:
    """One export in a file."""

    begin: int
    end: int
    """Numbers of its first line and of the one after its last."""
    candidates: dict[int, re.Match[str]]
    """Lines that look like headers, by number."""


def _find_exports(lines: Sequence[str]) -> list[_Export]:
    candidates = find_candidates(lines)
    begins = find_parts(candidates, lines)
    if not begins:
        return [_Export(0, len(lines), candidates)]
    return [
        _Export(begin, end, {n: match for n, match in candidates.items() if begin <= n < end})
        for begin, end in pairwise([0, *begins, len(lines)])
    ]


def _read_part(context: _Context, export: _Export) -> Source:
    """Read one export; its candidates are dropped, since they take more memory than messages."""
    lines, name, begin, end = context.lines, context.name, export.begin, export.end
    found = find_headers(
        lines,
        export.candidates,
        name=name,
        date_order=context.date_order,
        expected=_expected_order(lines[begin:end]),
        ask=context.ask,
    )
    export.candidates = {}
    days = find_day_lines(lines, found.headers)
    raw_messages = list(_raw_messages(lines, found.headers, days, end))
    first = found.headers[0].number
    source = Source(
        name=name,
        format=f"WhatsApp text, {ORDER_NAMES[found.order]}, as in {without_marks(found.example)}",
        messages=[],
        unread=[n for n in range(begin + 1, first + 1) if without_marks(lines[n - 1])],
        doubtful=[number + 1 for number in found.doubtful if number > first],
        separators=sorted(number + 1 for number in days),
        limited=True,
    )
    _add_messages(source, raw_messages, found)
    return source


def _add_messages(source: Source, raw_messages: Sequence[RawMessage], found: FileHeaders) -> None:
    """Classify *raw_messages*, and add them to *source*."""
    names = _clean_names(raw.sender for raw in raw_messages)
    iphone = bool(found.shape.open) or found.shape.close in (":", "：")
    traits = find_traits(raw_messages, iphone=iphone)
    for raw, header in zip(raw_messages, found.headers, strict=True):
        body = read_body(raw, traits, first=not source.messages)
        has_sender = body.kind != "system" and raw.sender is not None
        message = Message(
            time=header.time,
            sender=names[raw.sender] if has_sender and raw.sender is not None else None,
            kind=body.kind,
            text=body.text,
            edited=body.edited,
            media=body.media,
            source=source.name,
            line=header.number + 1,
        )
        source.messages.append(message)
        if body.unsure:
            source.unsure.setdefault(without_marks(raw.body), []).append(header.number + 1)


def _runs(messages: list[Message]) -> list[list[Message]]:
    """Split *messages* where a joined export begins; sort them if they have no order at all."""
    steps = [
        (after.time > before.time) - (after.time < before.time)
        for before, after in pairwise(messages)
    ]
    if sum(steps) < 0:  # the newest message is the first one
        messages = messages[::-1]
    begins = find_runs([message.time for message in messages])
    if begins is None:
        return [sorted(messages, key=lambda message: message.time)]
    return [
        messages[begin:end]
        for begin, end in zip([0, *begins], [*begins, len(messages)], strict=True)
    ]


def _paste_warnings(name: str, doubtful: Sequence[int]) -> Iterator[str]:
    """Warn of many lines of text that look like headers."""
    if len(doubtful) >= LONG_PASTE:
        yield (
            f"{name}: {len(doubtful):,} lines from {doubtful[0]} to {doubtful[-1]} look like "
            "messages of another export and were read as text of a message. If they are an export, "
            "give it as a file of its own"
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
            match = OMITTED.search(phrase[:100]) or DELETED.match(phrase) or SYSTEM.search(phrase)
        if match is not None and match.lastgroup is not None:
            votes[match.lastgroup] += 1
    if not votes:
        return None
    return LANGUAGES[votes.most_common(1)[0][0]].order


def _raw_messages(
    lines: Sequence[str], headers: Sequence[Header], days: frozenset[int], last: int
) -> Iterator[RawMessage]:
    """Yield the message of each header, with the lines up to the next one or *last*."""
    spaced = sum(_SPACED_NAME.match(header.rest) is not None for header in headers)
    unspaced = sum(_UNSPACED_NAME.match(header.rest) is not None for header in headers)
    # "Bob:Hi" must be the form of the entire file: text can have a colon without a space anywhere.
    pattern = _UNSPACED_NAME if unspaced > 2 * spaced else _SPACED_NAME
    named = [pattern.match(header.rest) for header in headers]
    counts = Counter(match[1] for match in named if match is not None)
    ends = chain((header.number for header in headers[1:]), [last])
    for header, match, end in zip(headers, named, ends, strict=True):
        if match is not None and _is_notice(match[1], header.rest[match.end() :], counts[match[1]]):
            match = None
        body = header.rest if match is None else header.rest[match.end() :]
        if end - 1 in days or end == last:  # empty lines that end no message
            end -= end - 1 in days
            while end > header.number + 1 and not lines[end - 1].strip():
                end -= 1
        if end > header.number + 1:
            body = "\n".join([body, *lines[header.number + 1 : end]]).replace("\r\n", "\n")
        sender = None if match is None else match[1]
        yield RawMessage(sender, body.removesuffix("\r"), header.marked)


_QUOTES = frozenset('"„‚')
"""Quotation marks that Unicode does not list among those that begin or end a quotation."""


def _is_notice(before_colon: str, after_colon: str, count: int) -> bool:
    """Return whether *before_colon* is from a notice, as in 'Ann changed the subject to "a: b"'.

    A name occurs repeatedly, and no quotation begins in it that ends after the colon; the subject
    of a notice varies.
    """
    if count > 2:
        return False
    before, after = _count_marks(before_colon), _count_marks(after_colon)
    if before.quotes % 2 and after.quotes:
        return True
    if before.opening > before.closing and after.closing > after.opening:
        return True
    return len(before_colon) > 25 and SYSTEM.search(before_colon.casefold()) is not None


class _Marks(NamedTuple):
    """Numbers of quotation marks and brackets. Which of “ and » begins depends on the language."""

    quotes: int
    opening: int
    closing: int


def _count_marks(text: str) -> _Marks:
    """Count the quotation marks and brackets in *text*, apart from apostrophes within words."""
    quotes = opening = closing = 0
    spaced = f" {text[:500]} "
    for before, character, after in zip(spaced, spaced[1:], spaced[2:], strict=False):
        category = unicodedata.category(character)
        if character in _QUOTES or category in ("Pi", "Pf"):
            quotes += character != "’" or not (before.isalnum() and after.isalnum())
        else:
            opening += category == "Ps"
            closing += category == "Pe"
    return _Marks(quotes, opening, closing)


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
