"""What a message is: its own words, or what WhatsApp puts in the place of a picture or a call.

Structure first: angle brackets, the invisible U+200E that WhatsApp writes before its own words, the
names of files; then the words of `phrases`.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pytok.chat.record import Kind
from pytok.chat.whatsapp.headers import MARKS
from pytok.chat.whatsapp.phrases import (
    ATTACHED,
    CALL,
    CALL_ALONE,
    DELETED,
    EDITED,
    NOUN_OF,
    OMITTED,
    SYSTEM,
)

OWN_WORDS = "\u200e"
"""Stands before what the app itself says, on an iPhone nearly always."""

_MARK = re.compile(f"[{MARKS}]")
_IN_BRACKETS = re.compile(rf"[{MARKS}]*<[{MARKS}]*([^<>\n]{{3,60}})>[{MARKS}]*\Z")
_LAST_BRACKETS = re.compile(rf"(?:\A|\s)([{MARKS}]*)<[{MARKS}]*([^<>\n]{{4,60}})>[{MARKS}]*\Z")
_ATTACHED_FILE = re.compile(rf"[{MARKS}]*<([^<>:：\n]{{2,30}})[:：]\s?([^<>\n]+\.\w{{1,5}})>")
_FILE_AND_NOTE = re.compile(rf"[{MARKS}]*([^\n]*?\.\w{{0,8}}) \(([^()\n]+)\)(?:\n|\Z)")
_CAMERA_FILE = re.compile(r"(IMG|VID|AUD|PTT|STK|DOC|GIF)-\d{8}-WA\d+\.\w*\Z")
_OWN_END = re.compile(f"{OWN_WORDS}([^{OWN_WORDS}\n]{{3,60}})\\Z")
_POLL = re.compile(
    rf"[{MARKS}]*\w[^\n:：]{{0,20}}[:：]\s*\n[^\n]+"
    rf"(?:\n[{MARKS}]*\w[^\n:：]{{0,20}}[:：] [^\n]* \([{MARKS}]*\d+ [^()\n]+\)){{2,}}\s*\Z"
)
_OPTION = re.compile(rf"^[{MARKS}]*\w[^\n:：]{{0,20}}[:：] ", re.MULTILINE)
_LOCATION = re.compile(
    rf"[{MARKS}]*(?:[^\n:]{{1,30}}: ?)?[^\n]*https?://(?:maps\.google\.com|www\.google\.com/maps)\S*\Z"
)


class Body(NamedTuple):
    """The fields of a message that its body tells."""

    kind: Kind
    text: str
    media: str | None = None
    edited: bool = False


@dataclass(frozen=True)
class Habits:
    """What is seen only over the whole file."""

    repeated: frozenset[str]
    """Bodies of the app's form that occur again and again."""
    talkers: frozenset[str]
    """Who has at least one message of ordinary words."""
    iphone: bool
    """Whether heads are in brackets."""


def habits_of(bodies: Iterable[tuple[str | None, str]], *, iphone: bool) -> Habits:
    """What all *bodies* of a file, each with its sender, have in common."""
    forms: Counter[str] = Counter()
    talkers = set()
    for sender, body in bodies:
        if body.startswith(OWN_WORDS) or (body.startswith("<") and body.endswith(">")):
            if len(body) <= 80:
                forms[body] += 1
        elif sender is not None:
            talkers.add(sender)
    repeated = frozenset(form for form, count in forms.items() if count >= 3)
    return Habits(repeated, frozenset(talkers), iphone)


def read_body(body: str, sender: str | None, habits: Habits, *, first: bool) -> Body:
    """What *body* is; *sender* is None where the line has no name, *first* opens a file."""
    if sender is None:
        shown = without_marks(body)
        call = CALL.match(shown.casefold())
        return Body("call" if call else "system", shown)
    edited = False
    if body.endswith(">") and (ending := _LAST_BRACKETS.search(body)) is not None:
        before = body[: ending.start()]
        if EDITED.match(ending[2].casefold()) or (
            OWN_WORDS in ending[1] and before and not _ATTACHED_FILE.search(body)
        ):
            body, edited = before, True
    what = _special(body, sender, habits, first=first)
    if what is None:
        return Body("text", body, edited=edited)
    return what._replace(edited=edited)


def without_marks(text: str) -> str:
    """*text* without the characters that only say in which direction to write."""
    return _MARK.sub("", text).strip()


def _special(body: str, sender: str, habits: Habits, *, first: bool) -> Body | None:
    """What *body* is, if not its sender's own words."""
    if "<" in body or ")" in body or OWN_WORDS in body:
        media = _media(body, habits)
        if media is not None:
            return media
    if len(body) < 100:
        folded = without_marks(body).casefold()
        if DELETED.match(folded):
            return Body("deleted", "")
        if CALL_ALONE.match(folded):
            return Body("call", without_marks(body))
    if ":" in body or "：" in body:
        if _POLL.match(body):
            return Body("poll", _OPTION.sub("", without_marks(body.split("\n", 1)[1])))
        if "://" in body and _LOCATION.match(body):
            return Body("location", without_marks(body))
    if not body or (body == "null" and not habits.iphone):
        return Body("media", "", "unknown")  # seen once, or of a kind that is not exported
    if habits.iphone and body.startswith(OWN_WORDS):
        return _own_words(body, sender, habits, first=first)
    return None


def _media(body: str, habits: Habits) -> Body | None:
    """What was sent with or in place of words, with its caption."""
    attached = _ATTACHED_FILE.search(body)
    if attached is not None and (OWN_WORDS in attached[0] or attached.span() == (0, len(body))):
        caption = without_marks(body[: attached.start()] + body[attached.end() :])
        return Body("media", caption, attached[2])
    named = _FILE_AND_NOTE.match(body)
    if named is not None and (_CAMERA_FILE.match(named[1]) or ATTACHED.match(named[2].casefold())):
        return Body("media", body[named.end() :], named[1])
    whole = _IN_BRACKETS.match(body)
    if whole is not None and (OMITTED.match(whole[1].casefold()) or body in habits.repeated):
        return Body("media", "", _noun(whole[1]))
    end = _OWN_END.search(body)
    if end is not None and OMITTED.match(end[1].casefold()):
        before = without_marks(body[: end.start()])
        if "•" in before:  # a document: its name and how long it is
            return Body("media", "", before)
        return Body("media", before, _noun(end[1]))
    return None


def _own_words(body: str, sender: str, habits: Habits, *, first: bool) -> Body | None:
    """What the app says with a sender before it; None if it may as well be the sender's words."""
    shown = without_marks(body)
    folded = shown.casefold()
    if CALL.match(folded):
        return Body("call", shown)
    if SYSTEM.search(folded) or first or sender not in habits.talkers:
        return Body("system", shown)
    return Body("media", "", shown) if body in habits.repeated else None


def _noun(phrase: str) -> str:
    """What was left out: "image" of "Bild weggelassen", "media" of "Media omitted"."""
    for word in re.findall(r"[\w-]+", phrase.casefold()):
        if word in NOUN_OF:
            return NOUN_OF[word]
        for start, noun in NOUN_OF.items():  # languages that write no spaces
            if not start.isascii() and word.startswith(start):
                return noun
    return "media"
