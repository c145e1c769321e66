"""Numbers of people: to call, of cards, of accounts, of customers; whatever has seven digits.

A number is a chain of groups of digits, with up to four spaces or signs between two of them, in any
script, and beside letters too. No list says which numbers exist: `phonenumbers` knows those, and
would keep all others. Instead, `pytok.chat.anonymize.harmless` says which chains are none.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pytok.chat.anonymize import context
from pytok.chat.anonymize.checks import IBAN_LENGTHS, is_card, is_iban
from pytok.chat.anonymize.harmless import dates, is_harmless
from pytok.chat.anonymize.plain import IGNORED

MIN_DIGITS, MIN_DIGITS_TO_CALL = 7, 5
"""Digits of a number of a person, and after a word such as "Tel."."""

_DIGITS = re.compile(rf"[0-9](?:{IGNORED}?[0-9])*")
_SIGN = rf"(?:[^\w\n,:;=<>%°+@!?\"#&×÷^…、。{{}}$|{IGNORED}]|[_ー])"
_BETWEEN = re.compile(rf"{IGNORED}*(?:{_SIGN}{IGNORED}*){{1,4}}|{IGNORED}+|\|")
_WIDE = re.compile(r" [-/|·] ")
_CHINESE = re.compile("[〇零○一二三四五六七八九]{7,}")
_PLUS = re.compile(rf"\(?\+[({IGNORED} ]{{0,3}}\Z|\([{IGNORED} ]?\Z")
"""Before a number: a plus sign, and a bracket."""
_CARD = re.compile("(?:[0-9]{4,}[^0-9]{0,3}){1,4}[0-9]{1,7}|[0-9]{13,}")
_IBAN = re.compile("[A-Za-z]{2}[0-9]{2}")


class Span(NamedTuple):
    """A part of a text that is replaced."""

    start: int
    end: int
    kind: str
    value: str
    """What is the same for all spellings of it."""


def numbers(plain: str) -> Iterator[Span]:
    """Yield the numbers in the *plain* text."""
    for start, end in _chains(plain):
        yield from _in_chain(plain, start, end)
    for match in _CHINESE.finditer(plain):
        yield Span(*match.span(), "number", match[0])


def accounts(plain: str) -> Iterator[Span]:
    """Yield the bank accounts (IBANs) in the *plain* text, also beside letters."""
    end = 0
    for match in _IBAN.finditer(plain):
        length = IBAN_LENGTHS.get(match[0][:2].upper())
        if length is None or match.start() < end:
            continue
        position, account = match.start(), ""
        for position in range(match.start(), min(len(plain), match.start() + 3 * length)):
            character = plain[position]
            if character.isascii() and character.isalnum():
                account += character.upper()
            elif character not in f" -.{IGNORED}":
                break
            if len(account) == length:
                break
        if len(account) == length and is_iban(account):
            end = position + 1
            yield Span(match.start(), end, "account", account)


def _chains(plain: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each chain of groups of digits."""
    start = end = -1
    for match in _DIGITS.finditer(plain):
        if start >= 0 and not _BETWEEN.fullmatch(plain, end, match.start()):
            yield start, end
            start = match.start()
        start = match.start() if start < 0 else start
        end = match.end()
    if start >= 0:
        yield start, end


def _in_chain(plain: str, start: int, end: int) -> Iterator[Span]:
    """Yield the numbers in a chain, which can also have dates."""
    if end - start < MIN_DIGITS_TO_CALL:
        return
    before = plain[max(0, start - context.WIDTH) : start].replace(IGNORED, "")
    word = before.rstrip("+( ")
    is_called = context.WORD.search(word) is not None and context.PHONE.search(word) is not None
    seen = plain[start:end]
    if IGNORED in seen:  # marks within a number: it is a date as a whole, or not at all
        seen = seen.replace(IGNORED, "")
        spans = [(0, end - start)] if list(dates(seen)) == [(0, len(seen))] else []
    else:
        spans = [] if is_called or before.endswith("+") else list(dates(seen))
    for left, right in _without(spans, start, end):
        for piece in _split(plain, left, right):
            yield from _in_piece(plain, *piece, is_called=is_called)


def _without(spans: Iterable[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield what of *start* to *end* is in none of *spans*, which count from *start*."""
    position = start
    for span_start, span_end in spans:
        yield position, start + span_start
        position = start + span_end
    yield position, end


def _split(plain: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Split numbers with a wide sign between them, as in 0664 1234567 / 0664 7654321."""
    first = position = start
    remaining = sum(map(str.isdigit, plain[start:end]))
    count = 0
    for match in _WIDE.finditer(plain, start, end):
        passed = sum(map(str.isdigit, plain[position : match.start()]))
        position = match.end()
        count += passed
        remaining -= passed
        if count >= MIN_DIGITS <= remaining:
            yield first, match.start()
            first, count = position, 0
    yield first, end


def _in_piece(plain: str, start: int, end: int, *, is_called: bool) -> Iterator[Span]:
    """Yield the number from *start* to *end*, if it has enough digits and is not harmless."""
    value = re.sub("[^0-9]", "", plain[start:end])
    if len(value) < (MIN_DIGITS_TO_CALL if is_called else MIN_DIGITS):
        return
    while not "0" <= plain[start] <= "9":
        start += 1
    while not "0" <= plain[end - 1] <= "9":
        end -= 1
    before = plain[max(0, start - context.WIDTH) : start]
    after = plain[end : end + context.WIDTH].replace(IGNORED, "")
    number = plain[start:end].replace(IGNORED, "")
    kind = "card" if is_card(value) and _CARD.fullmatch(number) else "number"
    if kind == "number" and is_harmless(number, before.replace(IGNORED, ""), after):
        return
    sign = _PLUS.search(before)
    if sign is not None and ("+" in sign[0] or ")" in number):
        start -= len(sign[0].lstrip("(") if ")" not in number else sign[0])
    yield Span(start, end, kind, value)
