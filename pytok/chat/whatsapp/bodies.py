"""Classification of message bodies: the sender's text, or a phrase of WhatsApp for something else.

Structure decides first: angle brackets, file names, and the invisible U+200E that precedes text
written by WhatsApp itself. The phrases of `phrases` decide the rest.
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
    MEDIA_TYPE_OF,
    OMITTED,
    SYSTEM,
)

APP_MARK = "\u200e"
"""Mark before text that the app writes, almost always present on an iPhone."""

_MARK = re.compile(f"[{MARKS}]")
_IN_BRACKETS = re.compile(rf"[{MARKS}]*<[{MARKS}]*([^<>\n]{{3,60}})>[{MARKS}]*\Z")
_LAST_BRACKETS = re.compile(rf"(?:\A|\s)([{MARKS}]*)<[{MARKS}]*([^<>\n]{{4,60}})>[{MARKS}]*\Z")
_ATTACHED_FILE = re.compile(rf"[{MARKS}]*<([^<>:：\n]{{2,30}})[:：]\s?([^<>\n]+\.\w{{1,5}})>")
_FILE_AND_NOTE = re.compile(rf"[{MARKS}]*([^\n]*?\.\w{{0,8}}) \(([^()\n]+)\)(?:\n|\Z)")
_CAMERA_FILE = re.compile(r"(IMG|VID|AUD|PTT|STK|DOC|GIF)-\d{8}-WA\d+\.\w*\Z")
_APP_ENDING = re.compile(f"{APP_MARK}([^{APP_MARK}\n]{{3,60}})\\Z")
_POLL = re.compile(
    rf"[{MARKS}]*\w[^\n:：]{{0,20}}[:：]\s*\n[^\n]+"
    rf"(?:\n[{MARKS}]*\w[^\n:：]{{0,20}}[:：] [^\n]* \([{MARKS}]*\d+ [^()\n]+\)){{2,}}\s*\Z"
)
_OPTION = re.compile(rf"^[{MARKS}]*\w[^\n:：]{{0,20}}[:：] ", re.MULTILINE)
_LOCATION = re.compile(
    rf"[{MARKS}]*(?:[^\n:]{{1,30}}: ?)?[^\n]*https?://(?:maps\.google\.com|www\.google\.com/maps)\S*\Z"
)


class Body(NamedTuple):
    """Fields of a message that are read from its body."""

    kind: Kind
    text: str
    media: str | None = None
    edited: bool = False


@dataclass(frozen=True)
class FileTraits:
    """Properties of a file as a whole that help to classify single bodies."""

    repeated: frozenset[str]
    """Bodies in the form of the app's phrases that occur at least three times."""
    writers: frozenset[str]
    """Senders with at least one ordinary message."""
    iphone: bool
    """Whether headers are in brackets."""


def find_traits(bodies: Iterable[tuple[str | None, str]], *, iphone: bool) -> FileTraits:
    """Collect the traits of a file from its pairs of sender and body."""
    phrases: Counter[str] = Counter()
    writers = set()
    for sender, body in bodies:
        if body.startswith(APP_MARK) or (body.startswith("<") and body.endswith(">")):
            if len(body) <= 80:
                phrases[body] += 1
        elif sender is not None:
            writers.add(sender)
    repeated = frozenset(phrase for phrase, count in phrases.items() if count >= 3)
    return FileTraits(repeated, frozenset(writers), iphone)


def read_body(body: str, sender: str | None, traits: FileTraits, *, first: bool) -> Body:
    """Classify *body*; *sender* is None for a line without a name, *first* marks the first message.

    A mark of editing at the end is removed from the text.
    """
    if sender is None:
        text = without_marks(body)
        call = CALL.match(text.casefold())
        return Body("call" if call else "system", text)
    edited = False
    if body.endswith(">") and (ending := _LAST_BRACKETS.search(body)) is not None:
        before = body[: ending.start()]
        if EDITED.match(ending[2].casefold()) or (
            APP_MARK in ending[1] and before and not _ATTACHED_FILE.search(body)
        ):
            body, edited = before, True
    special = _special(body, sender, traits, first=first)
    if special is None:
        return Body("text", body, edited=edited)
    return special._replace(edited=edited)


def without_marks(text: str) -> str:
    """Remove the invisible characters that control the direction of writing, and outer spaces."""
    return _MARK.sub("", text).strip()


def _special(body: str, sender: str, traits: FileTraits, *, first: bool) -> Body | None:
    """Classify *body* if it is not ordinary text of its sender, else return None."""
    # The cheap tests on characters come first: most bodies need no regex.
    if "<" in body or ")" in body or APP_MARK in body:
        media = _media(body, traits)
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
    if not body or (body == "null" and not traits.iphone):
        return Body("media", "", "unknown")  # view once, or a kind that is not exported
    if traits.iphone and body.startswith(APP_MARK):
        return _app_message(body, sender, traits, first=first)
    return None


def _media(body: str, traits: FileTraits) -> Body | None:
    """Return the media of *body*, attached or omitted, with its caption."""
    attached = _ATTACHED_FILE.search(body)
    if attached is not None and (APP_MARK in attached[0] or attached.span() == (0, len(body))):
        caption = without_marks(body[: attached.start()] + body[attached.end() :])
        return Body("media", caption, attached[2])
    named = _FILE_AND_NOTE.match(body)
    if named is not None and (_CAMERA_FILE.match(named[1]) or ATTACHED.match(named[2].casefold())):
        return Body("media", body[named.end() :], named[1])
    bracketed = _IN_BRACKETS.match(body)
    if bracketed is not None and (
        OMITTED.match(bracketed[1].casefold()) or body in traits.repeated
    ):
        return Body("media", "", _media_type(bracketed[1]))
    ending = _APP_ENDING.search(body)
    if ending is not None and OMITTED.match(ending[1].casefold()):
        before = without_marks(body[: ending.start()])
        if "•" in before:  # a document: its name and its length in pages
            return Body("media", "", before)
        return Body("media", before, _media_type(ending[1]))
    return None


def _app_message(body: str, sender: str, traits: FileTraits, *, first: bool) -> Body | None:
    """Classify text of the app that has a sender; return None if the sender can have written it."""
    text = without_marks(body)
    folded = text.casefold()
    if CALL.match(folded):
        return Body("call", text)
    # A "sender" that never writes ordinary text is the name of the group.
    if SYSTEM.search(folded) or first or sender not in traits.writers:
        return Body("system", text)
    return Body("media", "", text) if body in traits.repeated else None


def _media_type(phrase: str) -> str:
    """Return the type of omitted media: "image" for "Bild weggelassen", else "media"."""
    for word in re.findall(r"[\w-]+", phrase.casefold()):
        if word in MEDIA_TYPE_OF:
            return MEDIA_TYPE_OF[word]
        for start, media_type in MEDIA_TYPE_OF.items():  # languages that write no spaces
            if not start.isascii() and word.startswith(start):
                return media_type
    return "media"
