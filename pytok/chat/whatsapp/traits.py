"""Properties of a text export as a whole: what repetition, marks and senders say about its bodies.

The app writes the same few phrases again and again, and a person hardly ever the same bytes.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pytok.chat.whatsapp.headers import APP_MARK, MARKS
from pytok.chat.whatsapp.sentences import LONGEST, words_of

REPEATED = 3
"""Occurrences from which a phrase in the form of the app's is the app's."""

LEAST_MESSAGES = 100
"""Messages from which the words of a chat are known well enough to say that a phrase has none."""


MOST_NOTICES = 0.25
"""Fraction of the messages that sentences of the app can be; more are the sayings of people."""


class RawMessage(NamedTuple):
    """Sender and body of a message, as written."""

    sender: str | None
    """Name before the colon; None if the line has none."""
    body: str
    marked: bool = False
    """Whether the line begins with the mark of the app's own messages."""


@dataclass(frozen=True)
class FileTraits:
    """Properties of a file as a whole that help to classify single bodies."""

    iphone: bool
    """Whether headers are those of an iPhone, which marks what the app writes."""
    marked_heads: bool
    """Whether some headers begin with the mark, and others do not."""
    writers: frozenset[str]
    """Senders with at least one ordinary message."""
    repeated: frozenset[str]
    """Bodies in the form of the app's phrases that occur at least three times."""
    endings: frozenset[str]
    """Phrases in angle brackets that end at least three different texts."""
    notes: frozenset[str]
    """Phrases in parentheses that follow the names of at least three files."""
    notices: frozenset[str] = field(default=frozenset())
    """Bodies without a mark that are always the same, and whose words occur in no other body."""


def find_traits(messages: Sequence[RawMessage], *, iphone: bool) -> FileTraits:
    """Collect the traits of a file from its messages."""
    phrases: Counter[str] = Counter()
    endings: dict[str, set[str]] = defaultdict(set)
    notes: dict[str, set[str]] = defaultdict(set)
    writers = set()
    plain: Counter[str] = Counter()
    for sender, body, _ in messages:
        if body.startswith(APP_MARK) or (body.startswith("<") and body.endswith(">")):
            if len(body) <= LONGEST:
                phrases[body] += 1
        elif sender is not None:
            writers.add(sender)
            if len(body) <= LONGEST:
                plain[body] += 1
        if (ended := split_ending(body)) is not None and ended.text and len(endings) < 1000:
            endings[ended.phrase].add(ended.text[-LONGEST:])
        if (named := split_note(body)) is not None and len(notes) < 1000:
            notes[named.note].add(named.name[-LONGEST:])
    marked = sum(message.marked for message in messages)
    return FileTraits(
        iphone=iphone,
        marked_heads=0 < marked < len(messages),
        writers=frozenset(writers),
        repeated=frozenset(phrase for phrase, count in phrases.items() if count >= REPEATED),
        endings=frozenset(each for each, texts in endings.items() if len(texts) >= REPEATED),
        notes=frozenset(each for each, names in notes.items() if len(names) >= REPEATED),
        notices=_notices(plain, (body for _, body, _ in messages), len(messages)),
    )


class Ending(NamedTuple):
    """A body that ends in angle brackets."""

    text: str
    phrase: str
    """What is in the brackets, without marks."""
    marked: bool
    """Whether the mark of the app's own text is before the brackets."""


def split_ending(body: str) -> Ending | None:
    """Split "text <phrase>"; return None for another form."""
    end = body.rstrip(MARKS)
    if not end.endswith(">"):
        return None
    begin = end.rfind("<")
    phrase = end[begin + 1 : -1].strip(MARKS)
    before = end[:begin].rstrip(MARKS)
    if begin < 0 or not 4 <= len(phrase) <= 60 or "\n" in phrase or ">" in phrase:
        return None
    if before and not before[-1].isspace():
        return None
    return Ending(before[:-1], phrase, APP_MARK in end[len(before) : begin])


class Note(NamedTuple):
    """A body that begins with the name of a file and a note in parentheses."""

    name: str
    note: str
    caption: str


def split_note(body: str) -> Note | None:
    """Split "IMG-1.jpg (file attached)", and a caption on further lines; else return None."""
    line, _, caption = body.partition("\n")
    if not line.endswith(")"):
        return None
    name, found, note = line[:-1].rpartition(" (")
    name = name.strip(MARKS)
    dot = name.rfind(".")
    if not found or dot < 0 or not note or ")" in note or len(name) - dot > 9:
        return None
    if not all(character.isalnum() or character == "_" for character in name[dot + 1 :]):
        return None
    return Note(name, note, caption)


def _is_unlike_notices(character: str) -> bool:
    """Return whether no notice has *character*: a digit, an emoji, or a mark of a question."""
    return character in "?!？！؟¿¡" or unicodedata.category(character) in ("Nd", "So", "Sk")


def _notices(plain: Counter[str], bodies: Iterable[str], messages: int) -> frozenset[str]:
    """Return the bodies that only an app can write, in a language that no list has.

    A notice has at least three words, begins like a sentence, neither asks nor exclaims, has no
    emoji, occurs at least three times, and its words occur in no other body. A person who says
    something often says it in other words, too. If much of the chat repeats itself, nothing follows
    from repetition.
    """
    if messages < LEAST_MESSAGES:
        return frozenset()
    words: dict[str, set[str]] = {}
    for body, count in plain.items():
        if count >= REPEATED and not body[:1].islower() and body.replace(" ", "").isprintable():
            own = set(words_of(body))
            if len(own) >= 3 and not any(map(_is_unlike_notices, body)):
                words[body] = own
    if sum(plain[body] for body in words) > MOST_NOTICES * messages:
        return frozenset()
    shared: Counter[str] = Counter(word for own in words.values() for word in own)
    known = set(shared)
    for body in bodies:
        if known and body not in words:
            known.difference_update(words_of(body))
    return frozenset(body for body, own in words.items() if own <= known)
