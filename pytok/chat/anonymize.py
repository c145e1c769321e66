"""Replacement of names, numbers, e-mail addresses and links in a history.

A name has the same substitute everywhere: as a sender, in the messages of others, in a mention. The
full name, first name and further names of a person all have the same substitute. A name that two
people have in common ("Anna" of two Annas) has a substitute of its own, since it is ambiguous.
Substitutes are assigned in the order in which people first appear, and are words that do not occur
in the history. They depend on the history alone and do not collide with any word in it.

Only what can be detected is replaced: the names of senders and chats (and *also*), and text with
the form of a number, an address, a link or a mention. Nicknames, inflected names, people who are
only mentioned in text, locations and personal facts remain. When in doubt, text is replaced: a name
that is also a word ("Will") is replaced at each occurrence of the word.

Numbers are detected by their form, not by the `phonenumbers` library. That library accepts only
numbers that exist in a given country, and would keep all others.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import regex

from pytok.chat.databases.people import UNKNOWN, UNNAMED_OWNER
from pytok.chat.record import Message

_NAMES = (
    "Robin Kim Noor Sascha Jules Mika Eden Luca Remy Toni Alex Sam Ari Charlie Dana Eli Finn Gabi"
    " Hadar Indra Jamie Kai Lou Marlo Nico Ola Perry Quinn Rowan Sasha Tal Uli Val Wren Yael Zaza"
    " Ash Bo Cleo Devi Emery Fia Gray Hollis Ilay Jona Keo Lior Maris Nuri Oren Pax Rio Shai Tove"
)
"""Gender-neutral given names. When they run out, or occur in the history, "Person 56" follows."""

_UNSPACED = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}"
_UNSPACED += r"\p{Script=Khmer}\p{Script=Myanmar}"
"""Scripts without spaces between words, in which a name has no word boundary."""
_SUFFIXED = rf"{_UNSPACED}\p{{Script=Hangul}}"
"""Scripts without a boundary after a name; Korean appends particles to it."""

_WORD = r"[\p{L}\p{M}\p{N}]"
_DOMAINS = (
    "com|org|net|info|io|co|me|app|dev|gg|tv|be|eu|de|at|ch|uk|fr|es|it|nl|pl|pt|br|mx|in|ru|tr|se"
    "|no|dk|fi|cz|gr|hu|ro|ie|ca|au|nz|jp|kr|cn|za|ar|cl|il|ly|us"
)
_PATTERNS = {
    "link": rf"(?:https?://|www\.)[^\s<>\u2068\u2069]*[^\s<>\u2068\u2069.,;:!?)'\"»”]"
    rf"|(?<![\w@.-])(?:[\p{{L}}\p{{N}}-]+\.)+(?:{_DOMAINS})\b(?:/[^\s<>]*[^\s<>.,;:!?)'\"»”])?(?!@)",
    "e-mail": r"(?<![\w.+-])[\w.+-]+@(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}",
    "number": r"(?<![\p{L}\p{N}])(?:\+|00)?[(]?\p{Nd}(?:[\s().\-/\u2010-\u2015]{0,2}\p{Nd}){6,14}"
    r"(?![\p{L}\p{N}])",
    "mention": rf"(?<=@[~\u2068\u202f\xa0]*){_WORD}[\w.]*{_WORD}",
}
_DATE_OR_AMOUNT = regex.compile(
    r"\p{Nd}{1,2}[./-]\p{Nd}{1,2}[./-]\p{Nd}{2,4}(?:[ ,]+\p{Nd}{1,2})?"  # 31.12.2024 18
    r"|\p{Nd}{4}[./-]\p{Nd}{1,2}[./-]\p{Nd}{1,2}(?:[ ,]+\p{Nd}{1,2})?"
    r"|\p{Nd}{1,3}(?:[.]\p{Nd}{3})+"  # 1.000.000
)
_PLACEHOLDER_SENDERS = frozenset({UNKNOWN, UNNAMED_OWNER})
"""Senders without a name in the source: they are kept, and not replaced in text."""
_EVERYONE = frozenset({"all", "everyone", "here", "channel"})
_COMPARED_DIGITS = 8
"""Numbers with this many last digits in common are the same, with a country code or without."""


@dataclass(frozen=True)
class Anonymized:
    """An anonymized history, and a record of the replacements."""

    messages: list[Message]
    counts: dict[str, int]
    """Number of replacements in texts, by category: name, number, e-mail, link, mention."""
    substitutes: dict[str, str]
    """Displayed name to substitute. It reverses the anonymization: do not store it with the
    history."""
    emptied: int
    """Number of system messages whose text was removed, since it names people who never write."""


def anonymize(messages: Iterable[Message], *, also: Sequence[str] = ()) -> Anonymized:
    """Replace names, numbers, e-mail addresses, links and mentions in *messages*.

    *also* lists further names to replace, such as nicknames and people who do not write. Names of
    files are reduced to their extension; sources and chats are numbered. The docstring of this
    module describes what cannot be detected.
    """
    history = list(messages)
    substitutes = _Substitutes(history, also)
    chats: dict[str, str] = {}
    sources: dict[str, str] = {}
    emptied = 0
    anonymized = []
    for message in history:
        text = substitutes.in_text(message.text)
        if message.kind == "system" and text:
            text = ""
            emptied += 1
        anonymized.append(
            replace(
                message,
                sender=None if message.sender is None else substitutes.people[message.sender],
                name=None,
                text=text,
                media=_extension_only(message.media),
                chat=_numbered(chats, "chat", message.chat) if message.chat else message.chat,
                source=_numbered(sources, "source", message.source) if message.source else "",
            )
        )
    displayed = {
        message.sender: message.author for message in history if message.sender is not None
    }
    return Anonymized(
        anonymized,
        dict(substitutes.counts),
        {str(displayed[sender]): name for sender, name in substitutes.people.items()},
        emptied,
    )


def _numbered(known: dict[str, str], prefix: str, name: str) -> str:
    return known.setdefault(name, f"{prefix} {len(known) + 1}")


def _extension_only(media: str | None) -> str | None:
    """Reduce the name of a file, which can contain a person's name; a type of media is kept."""
    if media is None or "." not in media:
        return media
    return "file" + PurePath(media).suffix


class _Substitutes:
    """The substitute of each name, number, address and link of a history."""

    def __init__(self, history: Sequence[Message], also: Sequence[str]) -> None:
        self.counts: Counter[str] = Counter()
        self._assigned: dict[tuple[str, str], str] = {}
        self._mentions: dict[str, str] = {}
        names = self._names(history)
        self._unused = _unused_names(history, [*names.values(), also])
        self.people = {
            sender: sender if sender in _PLACEHOLDER_SENDERS else next(self._unused)
            for sender in names
        }
        """Sender to substitute."""
        # A part of a name that several people have in common gets a substitute of its own.
        owners: dict[str, set[str]] = {}
        for sender, aliases in names.items():
            for name in aliases:
                for part in _parts(name):
                    owners.setdefault(_key(part), set()).add(self.people[sender])
            if len(digits := _digits(sender)) >= 7:
                self._mentions[digits[-_COMPARED_DIGITS:]] = self.people[sender]
        self._by_name = {
            part: substitutes.pop() if len(substitutes) == 1 else next(self._unused)
            for part, substitutes in owners.items()
        }
        # A further name with a known part, such as "Anna K.", belongs to that person.
        for name in also:
            known = [self._by_name[_key(part)] for part in _parts(name)
                     if _key(part) in self._by_name]  # fmt: skip
            substitute = known[0] if known else next(self._unused)
            for part in _parts(name):
                self._by_name.setdefault(_key(part), substitute)
        self._pattern = self._compile([*names.values(), also])

    @staticmethod
    def _names(history: Sequence[Message]) -> dict[str, list[str]]:
        """Map each sender, in the order of appearance, to all names of that sender."""
        names: dict[str, dict[str, None]] = {}
        for message in history:
            if message.sender is not None:
                known = {} if message.sender in _PLACEHOLDER_SENDERS else {message.sender: None}
                aliases = names.setdefault(message.sender, known)
                if message.name:
                    aliases[message.name] = None
        return {sender: list(aliases) for sender, aliases in names.items()}

    @staticmethod
    def _compile(names: Iterable[Sequence[str]]) -> "regex.Pattern[str]":
        spellings = {
            spelling
            for aliases in names
            for name in aliases
            for part in _parts(name)
            for spelling in (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        }
        # The longest first, so that "Anna Maria" does not match as "Anna".
        longest_first = sorted(spellings, key=lambda part: (-len(part), part))
        bounded = [_bounded(part) for part in longest_first]
        patterns = {
            "link": _PATTERNS["link"],
            "email": _PATTERNS["e-mail"],
            **({"name": "|".join(bounded)} if bounded else {}),
            "number": _PATTERNS["number"],
            "mention": _PATTERNS["mention"],
        }
        joined = "|".join(f"(?P<{category}>{pattern})" for category, pattern in patterns.items())
        return regex.compile(joined, regex.IGNORECASE)

    def in_text(self, text: str) -> str:
        """Replace every match in *text*."""
        return self._pattern.sub(self._substitute, text) if text else text

    def _substitute(self, match: "regex.Match[str]") -> str:
        found: str = match[0]
        category = match.lastgroup
        if category == "name":
            substitute = self._by_name[_key(found)]
        elif category == "link":
            substitute = self._nth(category, found, "https://example.com/{}")
        elif category == "email":
            substitute = self._nth(category, found.casefold(), "person{}@example.org")
            category = "e-mail"
        elif category == "number":
            mentioned = match.string[: match.start()].rstrip("\u2068\u202f\xa0~").endswith("@")
            if _DATE_OR_AMOUNT.fullmatch(found):
                return found
            digits = _digits(found)[-_COMPARED_DIGITS:]
            if mentioned:
                category, substitute = "mention", self._mentioned(digits)
            else:
                # +999 is not assigned to any country.
                substitute = self._nth(category, digits, "+999 {:06}")
        elif found.casefold() in _EVERYONE:
            return found
        else:
            category, substitute = "mention", self._mentioned(_key(found))
        self.counts[category] += 1
        return substitute

    def _mentioned(self, key: str) -> str:
        """Return the substitute of a mentioned person, by number or by name."""
        if key not in self._mentions:
            self._mentions[key] = next(self._unused)
        return self._mentions[key]

    def _nth(self, category: str, found: str, pattern: str) -> str:
        """Return *pattern* with the number of *found* within its category, counted from 1."""
        if (category, found) not in self._assigned:
            number = 1 + sum(each == category for each, _ in self._assigned)
            self._assigned[category, found] = pattern.format(number)
        return self._assigned[category, found]


def _parts(name: str) -> Iterator[str]:
    """Yield the names by which texts can refer to a person with the full name *name*.

    These are *name* itself, its first word, and further words that do not start with a lower-case
    letter: of "Anna from work" not "from" and "work".
    """
    clean = name.strip("~\u2068\u2069\u202a\u202c\u202f\xa0 ")
    if regex.search(r"\p{L}", clean):
        yield clean
    words = regex.findall(r"[\p{L}\p{M}]+(?:['’-][\p{L}\p{M}]+)*", clean)
    for index, word in enumerate(words):
        if len(word) >= 2 and (index == 0 or (len(word) > 2 and not word[0].islower())):
            yield word


def _bounded(name: str) -> str:
    """Return a pattern for *name* between word boundaries, with any whitespace for its spaces."""
    before = rf"(?<!{_WORD})" if not regex.match(f"[{_UNSPACED}]", name) else ""
    after = rf"(?!{_WORD})" if not regex.search(rf"[{_SUFFIXED}]\p{{M}}*$", name) else ""
    return before + r"\s+".join(regex.escape(part) for part in name.split()) + after


def _key(name: str) -> str:
    """Normalize *name*, so that all spellings matched by one pattern have the same key."""
    folded = unicodedata.normalize("NFC", " ".join(name.split())).casefold()
    return unicodedata.normalize("NFC", folded.replace("ı", "i").replace("i\u0307", "i"))


def _digits(text: str) -> str:
    """Return the digits of *text*, of any script, as ASCII, without leading zeros."""
    return "".join(str(unicodedata.digit(c)) for c in text if c.isdecimal()).lstrip("0")


def _unused_names(history: Sequence[Message], names: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield names that occur neither in the texts of the history nor in *names*."""
    taken: set[str] = set()
    for message in history:
        taken.update(regex.findall(r"[\p{L}\p{M}]+", message.text.casefold()))
    for aliases in names:
        for name in aliases:
            taken.update(regex.findall(r"[\p{L}\p{M}]+", name.casefold()))
    yield from (name for name in _NAMES.split() if name.casefold() not in taken)
    numbers = {int(_digits(n)) for m in history for n in regex.findall(r"\p{Nd}{1,6}", m.text)
               if _digits(n)}  # fmt: skip
    number = len(_NAMES.split())
    while True:
        number += 1
        if number not in numbers:
            yield f"Person {number}"
