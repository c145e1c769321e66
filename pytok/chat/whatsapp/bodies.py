"""Classification of message bodies: the sender's text, or what WhatsApp writes instead of it.

Structure decides: angle brackets, file names, the invisible U+200E before the app's own words,
repetition, and the sender. The lists of `phrases` and `sentences` then say which kind of message it
is. Where no structure is left, because Android has no mark or an editor has removed it, a list
decides alone, and the body is `Body.unsure`.
"""

import re
from typing import NamedTuple

from pytok.chat.record import Kind
from pytok.chat.whatsapp.headers import APP_MARK, MARKS, without_marks
from pytok.chat.whatsapp.phrases import (
    ATTACHED,
    CALL,
    DELETED,
    EDITED,
    MEDIA_TYPE_OF,
    OMITTED,
    SYSTEM,
)
from pytok.chat.whatsapp.sentences import LONGEST, find_sentence
from pytok.chat.whatsapp.traits import FileTraits, RawMessage, split_ending, split_note

_MARKS = rf"[{MARKS}]{{0,4}}"
_IN_BRACKETS = re.compile(rf"\A{_MARKS}<{_MARKS}([^<>\n]{{3,60}})>{_MARKS}\Z")
_ATTACHED_FILE = re.compile(rf"{_MARKS}<([^<>:：\n]{{2,30}})[:：]\s?([^<>\n]{{1,255}}\.\w{{1,5}})>")
_CAMERA_FILE = re.compile(r"\A(?:IMG|VID|AUD|PTT|STK|DOC|GIF)-\d{8}-WA\d+\.\w*\Z")
_LABEL = re.compile(rf"\A{_MARKS}\w[^\n:：]{{0,20}}[:：]\s*\Z")
_OPTION = re.compile(rf"\A{_MARKS}\w[^\n:：]{{0,20}}[:：] ")
_VOTES = re.compile(rf" \({_MARKS}\d{{1,6}} [^()\n]{{1,40}}\){_MARKS}\Z")
_MAP = re.compile(r"\Ahttps?://(?:maps\.google\.com|www\.google\.com/maps|foursquare\.com/v/)\S*\Z")
_LENGTH_OF_CALL = re.compile(r"\A[\w -]{3,40}[.,] ?\d{1,3} ?[^\W\d]{1,12}\.?\Z")
"""A call with its length, "Voice call, 12 min", of which the first words must be listed."""


class Body(NamedTuple):
    """Fields of a message that are read from its body."""

    kind: Kind
    text: str
    media: str | None = None
    edited: bool = False
    unsure: bool = False
    """Whether the wording alone says that the app has written it."""


def read_body(message: RawMessage, traits: FileTraits, *, first: bool) -> Body:
    """Classify the body of *message*; *first* marks the first message of the file.

    A mark of editing at the end is removed from the text.
    """
    body = message.body
    if message.sender is None:
        text = without_marks(body)
        return Body("call" if CALL.match(text.casefold()) else "system", text)
    edited = False
    ending = split_ending(body)
    if ending is not None and (ending.text or not _ATTACHED_FILE.search(body)):
        listed = EDITED.match(ending.phrase.casefold()) is not None
        marked = ending.marked and bool(ending.text) and not _ATTACHED_FILE.search(body)
        if listed or marked or (ending.phrase in traits.endings and ending.text):
            message, edited = message._replace(body=ending.text), True
    special = _special(message, traits, first=first)
    if special is None:
        # The mark itself is never text, whoever wrote it.
        return Body("text", message.body.lstrip(APP_MARK), edited=edited)
    return special._replace(edited=edited)


def _special(message: RawMessage, traits: FileTraits, *, first: bool) -> Body | None:
    """Classify a body if it is not ordinary text of its sender, else return None."""
    body = message.body
    # The cheap tests on characters come first: most bodies need no regex.
    if "<" in body or ")" in body or APP_MARK in body:
        media = _media(message, traits)
        if media is not None:
            return media
    if ":" in body or "：" in body:
        poll = _poll(body)
        if poll is not None:
            return poll
        if "://" in body and "\n" not in body and _MAP.match(body.rsplit(maxsplit=1)[-1]):
            return Body("location", without_marks(body))
    if not body:
        return Body("media", "", "unknown")  # view once, or a kind that is not exported
    if traits.iphone and body.startswith(APP_MARK) and "\n" not in body and len(body) <= 300:
        return _app_message(message, traits, first=first)
    return _by_wording(body, traits)


def _media(message: RawMessage, traits: FileTraits) -> Body | None:
    """Return the media of a body, attached or omitted, with its caption."""
    body = message.body
    attached = _ATTACHED_FILE.search(body)
    if attached is not None and (APP_MARK in attached[0] or attached.span() == (0, len(body))):
        caption = without_marks(body[: attached.start()] + body[attached.end() :])
        return Body("media", caption, attached[2])
    named = split_note(body)
    if named is not None and (
        _CAMERA_FILE.match(named.name)
        or named.note in traits.notes
        or ATTACHED.match(named.note.casefold())
    ):
        return Body("media", named.caption, named.name)
    bracketed = _IN_BRACKETS.match(body)
    if bracketed is not None:
        listed = OMITTED.search(bracketed[1].casefold()) is not None
        if listed or body in traits.repeated:
            return Body("media", "", media_type(bracketed[1]))
    before, mark, ending = body.rpartition(APP_MARK)
    if mark and before.strip(MARKS) and 3 <= len(ending) <= 60 and "\n" not in ending:
        return _media_after(without_marks(before), ending, message, traits)
    return None


def _media_after(before: str, ending: str, message: RawMessage, traits: FileTraits) -> Body | None:
    """Return the media of "caption ‎image omitted", if the app has written the ending."""
    marked = traits.iphone and traits.marked_heads and message.marked
    if not (marked or OMITTED.search(ending.casefold()) or find_sentence(ending)):
        return None
    if "•" in before:  # a document: its name and its length in pages
        return Body("media", "", before)
    return Body("media", before, media_type(ending))


def _poll(body: str) -> Body | None:
    """Return a poll: a label, the question, and at least two options with their votes."""
    label, *lines = body.rstrip().split("\n")
    if len(lines) < 3 or not lines[0] or not _LABEL.match(label):
        return None
    # Of a long option only the end is searched, which has the votes.
    if not all(_OPTION.match(line) and _VOTES.search(line[-60:]) for line in lines[1:]):
        return None
    options = [_OPTION.sub("", without_marks(line)) for line in lines[1:]]
    return Body("poll", "\n".join([without_marks(lines[0]), *options]))


def _app_message(message: RawMessage, traits: FileTraits, *, first: bool) -> Body:
    """Classify what an iPhone has marked as the app's words."""
    text = without_marks(message.body)
    folded = text.casefold()
    # Where the app marks the line, too, a mark in the body alone can have been pasted.
    unsure = traits.marked_heads and not message.marked and message.sender in traits.writers
    if (known := find_sentence(text)) is not None:
        kind, media = known
        return Body(kind, "" if kind in ("deleted", "media") else text, media)
    if DELETED.match(folded):
        return Body("deleted", "")
    if CALL.match(folded) or _LENGTH_OF_CALL.match(text):
        return Body("call", text)
    if OMITTED.search(folded):
        return Body("media", "", media_type(text))
    # A "sender" that never writes ordinary text is the name of the group.
    if SYSTEM.search(folded) or first or message.sender not in traits.writers:
        return Body("system", text)
    return Body("media", "", text, unsure=unsure and message.body not in traits.repeated)


def _by_wording(body: str, traits: FileTraits) -> Body | None:
    """Classify a body without any mark by its words alone."""
    if len(body) > LONGEST:
        return None
    if body in traits.notices:
        return Body("media", "", without_marks(body), unsure=True)
    if body == "null" and not traits.iphone:
        return Body("media", "", "unknown", unsure=True)
    text = without_marks(body)
    folded = text.casefold()
    known = find_sentence(text)
    if known is None and DELETED.match(folded):
        known = "deleted", None
    if known is None and _is_timed_call(folded):
        known = "call", None
    if known is None:
        return None
    kind, media = known
    return Body(kind, "" if kind in ("deleted", "media") else text, media, unsure=True)


def _is_timed_call(folded: str) -> bool:
    """Return whether *folded* is "voice call, 12 min": a listed call, and its length."""
    call, _, _ = folded.replace(",", ".").partition(".")
    return _LENGTH_OF_CALL.match(folded) is not None and CALL.match(call) is not None


def media_type(phrase: str) -> str:
    """Return the type of omitted media: "image" for "Bild weggelassen", else "media"."""
    known = find_sentence(phrase)
    if known is not None and known[1] is not None:
        return known[1]
    for word in re.findall(r"[\w-]+", phrase.casefold()):
        if word in MEDIA_TYPE_OF:
            return MEDIA_TYPE_OF[word]
        for start, media in MEDIA_TYPE_OF.items():  # languages that write no spaces
            if not start.isascii() and word.startswith(start):
                return media
    return "media"
