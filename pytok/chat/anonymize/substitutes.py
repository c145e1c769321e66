"""Substitutes: each person, number, address and link of a history has one, everywhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import regex

from pytok.chat.anonymize.names import Names
from pytok.chat.anonymize.parts import Part, parts
from pytok.chat.anonymize.plain import digits
from pytok.chat.anonymize.scripts import fold
from pytok.chat.databases.people import UNKNOWN, UNNAMED_OWNER

NAMES = (
    "Robin Kim Noor Sascha Jules Mika Eden Luca Remy Toni Alex Sam Ari Charlie Dana Eli Finn Gabi"
    " Hadar Indra Jamie Kai Lou Marlo Nico Ola Perry Quinn Rowan Sasha Tal Uli Val Wren Yael Zaza"
    " Ash Bo Cleo Devi Emery Fia Gray Hollis Ilay Jona Keo Lior Maris Nuri Oren Pax Rio Shai Tove"
)
"""Gender-neutral given names. When they run out, or occur in the history, "Person 56" follows."""
PLACEHOLDERS = frozenset({UNKNOWN, UNNAMED_OWNER})
"""Senders without a name in the source: they are kept, and not replaced in texts."""
_PATTERNS = {
    "number": "+999 {:06}",  # no country has this code
    "card": "card {}",
    "account": "account {}",
    "code": "code {}",
    "IP": "192.0.2.{}",  # reserved for documentation
    "position": "position {}",
    "address": "address {}",
    "link": "https://example.com/{}",
    "e-mail": "person{}@example.org",
    "password": "password {}",
}
_WORDS = re.compile("[A-Za-z]+")
_LETTER = regex.compile(r"\p{L}")
_NUMBERED = re.compile("person +([0-9]+)", re.IGNORECASE)
_COMPARED_DIGITS = 8
"""Numbers with this many last digits in common are the same, with a country code or without."""


class Substitutes:
    """The substitutes of a history."""

    def __init__(
        self, people: Mapping[str, Sequence[str]], also: Sequence[str], texts: Iterable[str]
    ) -> None:
        """*people* maps each sender to all names of the sender; *also* are names of others."""
        self._assigned: dict[tuple[str, str], str] = {}
        self._count: Counter[str] = Counter()
        self._mentioned: dict[str, str] = {}
        self._unused = _unused(texts, [*people.values(), also])
        self.people = {
            sender: sender if sender in PLACEHOLDERS else next(self._unused) for sender in people
        }
        """Sender to substitute."""
        for sender, substitute in self.people.items():
            if len(number := digits(sender).lstrip("0")) >= 7:
                self._mentioned[number[-_COMPARED_DIGITS:]] = substitute
        self.names = Names(self._parts(people, also))

    def _parts(
        self, people: Mapping[str, Sequence[str]], also: Sequence[str]
    ) -> dict[Part, tuple[str, bool]]:
        """Map all parts of names to substitutes; a part of several people has one of its own."""
        owners: dict[Part, set[str]] = {}
        in_capitals: dict[Part, bool] = {}
        for sender, names in people.items():
            for name in names:
                for part, capitals in parts(name):
                    owners.setdefault(part, set()).add(self.people[sender])
                    in_capitals[part] = in_capitals.get(part, True) and capitals
        found = {
            part: (names.pop() if len(names) == 1 else next(self._unused), in_capitals[part])
            for part, names in owners.items()
        }
        # A further name with a known part, such as "Anna K.", belongs to that person.
        for name in also:
            each = list(parts(name))
            known = [found[part][0] for part, _ in each if part in found]
            substitute = known[0] if known else next(self._unused) if each else ""
            for part, capitals in each:
                found.setdefault(part, (substitute, capitals))
        return found

    def of(self, kind: str, value: str) -> str:
        """Return the substitute of *value*, which is not a person."""
        if kind == "number":
            value = value.lstrip("0")[-_COMPARED_DIGITS:]
        if (kind, value) not in self._assigned:
            self._count[kind] += 1
            self._assigned[kind, value] = _PATTERNS[kind].format(self._count[kind])
        return self._assigned[kind, value]

    def of_person(self, mention: str) -> str:
        """Return the substitute of a mentioned person: a number, a name, or that of an account."""
        number = digits(mention).lstrip("0")
        is_number = len(number) >= 7 and _LETTER.search(mention) is None
        key = number[-_COMPARED_DIGITS:] if is_number else fold(mention)
        if key not in self._mentioned:
            known = None if is_number else self.names.substitute(mention)
            self._mentioned[key] = known or next(self._unused)
        return self._mentioned[key]


def _unused(texts: Iterable[str], names: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield names that occur neither in *texts* nor in *names*."""
    words: set[str] = set()
    numbered: set[str] = set()
    for text in (*texts, *(name for aliases in names for name in aliases)):
        words.update(_WORDS.findall(text))
        if "erson" in text or "ERSON" in text:
            numbered.update(_NUMBERED.findall(text))
    taken = {word.lower() for word in words}
    yield from (name for name in NAMES.split() if name.lower() not in taken)
    number = len(NAMES.split())
    while True:
        number += 1
        if str(number) not in numbered:
            yield f"Person {number}"
