"""Replacement in one text: what is found in it, in the order of certainty, then the names."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import regex

from pytok.chat.anonymize.identifiers import addresses, codes, coordinates, handles
from pytok.chat.anonymize.links import e_mails, links, secrets
from pytok.chat.anonymize.numbers import Span, accounts, numbers
from pytok.chat.anonymize.plain import IGNORED, plain
from pytok.chat.anonymize.postal import postal_addresses
from pytok.chat.anonymize.scripts import MAX_WORD, WORD
from pytok.chat.anonymize.substitutes import Substitutes


class _Finder(NamedTuple):
    """A search in a plain text, and what a text must have before it is searched."""

    needs: "re.Pattern[str]"
    find: Callable[[str], Iterator[Span]]


_FINDERS = (
    _Finder(re.compile(r"[^\s.:@][.:@][^\s.:@]|://"), links),
    _Finder(re.compile(r"@|[\[({] ?(?:at|ät|arroba) ?[\])}]|(?-i: AT )", re.IGNORECASE), e_mails),
    _Finder(
        re.compile(
            r"[:=是]|[^\W\d_] ?[0-9]|[0-9] (?:is|ist) ",
            re.IGNORECASE,
        ),
        secrets,
    ),
    _Finder(re.compile("#[0-9]{4}|[:=]"), handles),
    _Finder(re.compile("[A-Za-z]{2}[0-9]{2}"), accounts),
    _Finder(re.compile(r"[0-9][.,][0-9]{3}|°|///|[0-9A-Z]\+[0-9A-Z]", re.IGNORECASE), coordinates),
    _Finder(re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.|:[0-9A-Fa-f]*:"), addresses),
    _Finder(re.compile("[0-9]"), postal_addresses),
    _Finder(re.compile("[0-9][A-Za-z:-]|[0-9] [A-D]"), codes),
    _Finder(re.compile("[0-9〇零○一二三四五六七八九]"), numbers),
)
_ISOLATED = regex.compile("@[~\u202f\xa0]*\u2068([^\u2069\n]{1,100})\u2069")
"""A mention, as WhatsApp writes it."""
_MENTION = regex.compile(
    rf"(?<![\p{{L}}\p{{N}}.+%-])@[~ {IGNORED}]{{0,4}}+"
    r"(?:(\+?[0-9](?:[ ().\-]{0,2}[0-9]){6,14}(?![0-9]))"
    r"|([\p{L}\p{M}\p{N}_][\p{L}\p{M}\p{N}_.\-]{0,63}+))"
)
_OF_HANDLES = regex.compile(r"[\p{N}_.\-]")
"""Characters of names of accounts that are in no name of a person."""
_EVERYONE = frozenset(
    {"all", "everyone", "here", "channel", "alle", "todos", "tous", "所有人", "全体"}
)
_LONGEST_UNSPACED = 12
"""Letters of a mention in a script without spaces; longer ones are a sentence."""


def replace_in(text: str, substitutes: Substitutes, counts: Counter[str]) -> str:
    """Return *text* with substitutes, and add to *counts* what was replaced, by kind."""
    if not text:
        return text
    found = sorted(_spans(text, substitutes))
    pieces = []
    position = 0
    for start, end, kind, value in [*found, Span(len(text), len(text), "", "")]:
        between = text[position:start]
        done = 0
        for hit in substitutes.names.find(between):
            pieces += [between[done : hit.start], hit.before, hit.substitute, hit.after]
            done = hit.end
            counts["name"] += 1
        pieces.append(between[done:])
        if kind:
            counts[kind] += 1
            is_person = kind == "mention"
            pieces.append(
                substitutes.of_person(value) if is_person else substitutes.of(kind, value)
            )
        position = end
    return "".join(pieces)


def _spans(text: str, substitutes: Substitutes) -> list[Span]:
    """Return everything in *text* but names, without overlaps."""
    shown = plain(text)
    found: list[Span] = []
    for step, (needs, find) in enumerate(_FINDERS):
        if step == 2 and "@" in shown:
            mentions = list(_mentions(text, shown, substitutes))
            found += mentions
            shown = _masked(shown, mentions)
        if needs.search(shown):
            spans = list(find(shown))
            found += spans
            shown = _masked(shown, spans)
    return found


def _masked(shown: str, spans: list[Span]) -> str:
    """Return *shown* with line ends instead of *spans*, so that nothing is found in them again."""
    if not spans:
        return shown
    pieces = []
    position = 0
    for span in spans:
        pieces += [shown[position : span.start], "\n" * (span.end - max(position, span.start))]
        position = span.end
    return "".join([*pieces, shown[position:]])


def _mentions(text: str, shown: str, substitutes: Substitutes) -> Iterator[Span]:
    """Yield the mentions of people in *text*, without the @ and the marks around them.

    A mention of letters alone that starts with a name is left to the search for names, which finds
    the longest one: "@Anna Huber".
    """
    end = 0
    isolated = {match.start(1): match for match in _ISOLATED.finditer(text)}
    for match in _MENTION.finditer(shown):
        group = 1 if match[1] else 2
        start = match.start(group)
        if start < end:
            continue
        if start in isolated:
            end = isolated[start].end(1)
            yield Span(start, end, "mention", text[start:end])
            continue
        end = start + len(match[group].rstrip("._-"))
        handle = text[start:end]
        if handle.casefold() in _EVERYONE or (
            group == 2 and _is_plain_name(text, start, handle, substitutes)
        ):
            continue
        yield Span(start, end, "mention", handle)


def _is_plain_name(text: str, start: int, handle: str, substitutes: Substitutes) -> bool:
    unspaced = WORD.match(handle)
    if unspaced is not None and unspaced["unspaced"] and len(handle) > _LONGEST_UNSPACED:
        return True
    if not handle or _OF_HANDLES.search(handle):
        return not handle
    hits = substitutes.names.find(text[start : start + 2 * MAX_WORD])
    return bool(hits) and hits[0].start == 0
