"""Names, numbers, e-mail addresses and links of a history, replaced by others.

The same name has the same substitute everywhere: as a sender, in what others write, in a mention.
A person's full name, first name and further names all become his one substitute; a word that two
people share ("Anna" of two Annas) has one of its own, since nothing tells who is meant. Substitutes
are given out in the order in which people first appear, and are words that the history does not
have, so they depend on the history alone and collide with nothing in it.

What is replaced is what can be found: names that senders and chats have (and *also*), and what
looks like a number, an address, a link or a mention. Nicknames, inflected names, people who are
only talked about, places, and what one tells of oneself stay. Too much is replaced rather than too
little: a name that is a word ("Will") goes wherever the word stands.

Numbers are found by their shape, not by the `phonenumbers` library: it knows which numbers exist,
given a country, and would leave those that do not, or are of a country that nobody named.
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
"""Given names of no one gender; past them, and where the history has them, "Person 56"."""

_JOINED = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}"
_JOINED += r"\p{Script=Khmer}\p{Script=Myanmar}"
"""Scripts that put no space between words, so that a name has no end to look for."""
_ENDINGS = rf"{_JOINED}\p{{Script=Hangul}}"
"""Korean writes particles on to a name."""

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
_NO_NUMBER = regex.compile(
    r"\p{Nd}{1,2}[./-]\p{Nd}{1,2}[./-]\p{Nd}{2,4}(?:[ ,]+\p{Nd}{1,2})?"  # 31.12.2024 18
    r"|\p{Nd}{4}[./-]\p{Nd}{1,2}[./-]\p{Nd}{1,2}(?:[ ,]+\p{Nd}{1,2})?"
    r"|\p{Nd}{1,3}(?:[.]\p{Nd}{3})+"  # 1.000.000
)
_NO_NAMES = frozenset({UNKNOWN, UNNAMED_OWNER})
"""What stands for a sender whom the source does not name: it stays, and is replaced nowhere."""
_EVERYONE = frozenset({"all", "everyone", "here", "channel"})
_SAME_DIGITS = 8
"""Numbers with so many last digits in common are one, with the country's code or without."""


@dataclass(frozen=True)
class Anonymised:
    """A history without what was found, and what that was."""

    messages: list[Message]
    counts: dict[str, int]
    """How often something was replaced in texts, by sort: name, number, e-mail, link, mention."""
    substitutes: dict[str, str]
    """Who is now called what, by the name shown. It tells all; it is not for the history's file."""
    emptied: int
    """System lines without their text now: they name people who never write."""


def anonymise(messages: Iterable[Message], *, also: Sequence[str] = ()) -> Anonymised:
    """Replace names, numbers, e-mail addresses, links and mentions in *messages*.

    *also* are more names to replace: nicknames, people who do not write. Files keep their ending
    only, sources and chats become a number. `Anonymised` says what was replaced, and the head of
    this file what cannot be promised.
    """
    history = list(messages)
    substitutes = _Substitutes(history, also)
    chats: dict[str, str] = {}
    sources: dict[str, str] = {}
    emptied = 0
    made = []
    for message in history:
        text = substitutes.in_text(message.text)
        if message.kind == "system" and text:
            text = ""
            emptied += 1
        made.append(
            replace(
                message,
                sender=None if message.sender is None else substitutes.people[message.sender],
                name=None,
                text=text,
                media=_file(message.media),
                chat=_numbered(chats, "chat", message.chat) if message.chat else message.chat,
                source=_numbered(sources, "source", message.source) if message.source else "",
            )
        )
    shown = {message.sender: message.author for message in history if message.sender is not None}
    return Anonymised(
        made,
        dict(substitutes.counts),
        {str(shown[sender]): name for sender, name in substitutes.people.items()},
        emptied,
    )


def _numbered(known: dict[str, str], sort: str, name: str) -> str:
    return known.setdefault(name, f"{sort} {len(known) + 1}")


def _file(media: str | None) -> str | None:
    """Only how a file's name ends: the rest may be anybody's name. What was left out stays."""
    if media is None or "." not in media:
        return media
    return "file" + PurePath(media).suffix


class _Substitutes:
    """What each name, number ... becomes."""

    def __init__(self, history: Sequence[Message], also: Sequence[str]) -> None:
        self.counts: Counter[str] = Counter()
        self._given: dict[tuple[str, str], str] = {}
        self._numbers_of: dict[str, str] = {}
        names = self._names(history)
        self._free = _free_names(history, [*names.values(), also])
        self.people = {
            sender: sender if sender in _NO_NAMES else next(self._free) for sender in names
        }
        """Sender to substitute."""
        owners: dict[str, set[str]] = {}
        for sender, called in names.items():
            for name in called:
                for part in _parts(name):
                    owners.setdefault(_key(part), set()).add(self.people[sender])
            if len(digits := _digits(sender)) >= 7:
                self._numbers_of[digits[-_SAME_DIGITS:]] = self.people[sender]
        self._by_name = {
            part: substitutes.pop() if len(substitutes) == 1 else next(self._free)
            for part, substitutes in owners.items()
        }
        for name in also:
            known = [self._by_name[_key(part)] for part in _parts(name)
                     if _key(part) in self._by_name]  # fmt: skip
            one = known[0] if known else next(self._free)
            for part in _parts(name):
                self._by_name.setdefault(_key(part), one)
        self._pattern = self._compiled([*names.values(), also])

    @staticmethod
    def _names(history: Sequence[Message]) -> dict[str, list[str]]:
        """Each sender, in the order of appearance, to all that he is called."""
        names: dict[str, dict[str, None]] = {}
        for message in history:
            if message.sender is not None:
                known = {} if message.sender in _NO_NAMES else {message.sender: None}
                called = names.setdefault(message.sender, known)
                if message.name:
                    called[message.name] = None
        return {sender: list(called) for sender, called in names.items()}

    @staticmethod
    def _compiled(names: Iterable[Sequence[str]]) -> "regex.Pattern[str]":
        spelt = {
            spelling
            for called in names
            for name in called
            for part in _parts(name)
            for spelling in (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        }
        # The longest first, so that "Anna Maria" is not "Anna" and a rest.
        bounded = [_bounded(part) for part in sorted(spelt, key=lambda part: (-len(part), part))]
        patterns = {
            "link": _PATTERNS["link"],
            "email": _PATTERNS["e-mail"],
            **({"name": "|".join(bounded)} if bounded else {}),
            "number": _PATTERNS["number"],
            "mention": _PATTERNS["mention"],
        }
        joined = "|".join(f"(?P<{sort}>{pattern})" for sort, pattern in patterns.items())
        return regex.compile(joined, regex.IGNORECASE)

    def in_text(self, text: str) -> str:
        """*text* with all that is found replaced."""
        return self._pattern.sub(self._substitute, text) if text else text

    def _substitute(self, match: "regex.Match[str]") -> str:
        found: str = match[0]
        sort = match.lastgroup
        if sort == "name":
            name = self._by_name[_key(found)]
        elif sort == "link":
            name = self._nth(sort, found, "https://example.com/{}")
        elif sort == "email":
            sort, name = "e-mail", self._nth(sort, found.casefold(), "person{}@example.org")
        elif sort == "number":
            mentioned = match.string[: match.start()].rstrip("\u2068\u202f\xa0~").endswith("@")
            if _NO_NUMBER.fullmatch(found):
                return found
            digits = _digits(found)[-_SAME_DIGITS:]
            if mentioned:
                sort, name = "mention", self._mentioned(digits)
            else:
                # +999 is no country's.
                name = self._nth(sort, digits, "+999 {:06}")
        elif found.casefold() in _EVERYONE:
            return found
        else:
            sort = "mention"
            name = self._mentioned(_key(found))
        self.counts[sort] += 1
        return name

    def _mentioned(self, who: str) -> str:
        if who not in self._numbers_of:
            self._numbers_of[who] = next(self._free)
        return self._numbers_of[who]

    def _nth(self, sort: str, found: str, pattern: str) -> str:
        if (sort, found) not in self._given:
            number = 1 + sum(each == sort for each, _ in self._given)
            self._given[sort, found] = pattern.format(number)
        return self._given[sort, found]


def _parts(name: str) -> Iterator[str]:
    """What a person called *name* may be called in a text, *name* first.

    The first word, and further ones that begin with a capital letter, or have none: not the "from
    work" of "Anna from work".
    """
    clean = name.strip("~\u2068\u2069\u202a\u202c\u202f\xa0 ")
    if regex.search(r"\p{L}", clean):
        yield clean
    words = regex.findall(r"[\p{L}\p{M}]+(?:['’-][\p{L}\p{M}]+)*", clean)
    for place, word in enumerate(words):
        if len(word) >= 2 and (place == 0 or (len(word) > 2 and not word[0].islower())):
            yield word


def _bounded(name: str) -> str:
    """A pattern for *name*, where no word goes on on either side; spaces in it may be any."""
    before = rf"(?<!{_WORD})" if not regex.match(f"[{_JOINED}]", name) else ""
    after = rf"(?!{_WORD})" if not regex.search(rf"[{_ENDINGS}]\p{{M}}*$", name) else ""
    return before + r"\s+".join(regex.escape(part) for part in name.split()) + after


def _key(name: str) -> str:
    """Equal for spellings of one name that the pattern matches."""
    folded = unicodedata.normalize("NFC", " ".join(name.split())).casefold()
    return unicodedata.normalize("NFC", folded.replace("ı", "i").replace("i\u0307", "i"))


def _digits(text: str) -> str:
    """The digits of *text*, of any script, as ASCII; without zeros before them."""
    return "".join(str(unicodedata.digit(c)) for c in text if c.isdecimal()).lstrip("0")


def _free_names(history: Sequence[Message], names: Iterable[Sequence[str]]) -> Iterator[str]:
    """Names that are no word of the history, nor of the names in it."""
    taken: set[str] = set()
    for message in history:
        taken.update(regex.findall(r"[\p{L}\p{M}]+", message.text.casefold()))
    for called in names:
        for name in called:
            taken.update(regex.findall(r"[\p{L}\p{M}]+", name.casefold()))
    yield from (name for name in _NAMES.split() if name.casefold() not in taken)
    numbers = {int(_digits(n)) for m in history for n in regex.findall(r"\p{Nd}{1,6}", m.text)
               if _digits(n)}  # fmt: skip
    number = len(_NAMES.split())
    while True:
        number += 1
        if number not in numbers:
            yield f"Person {number}"
