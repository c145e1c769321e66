"""Stretches of a corpus, evenly spread, to be shown token by token; how a token is shown.

A text must not command the page: what is invisible or turns the writing direction is named, and
bytes that are no whole character are shown in hexadecimal.
"""

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple
from unicodedata import category

from pytok.corpus import Part
from pytok.tokenizer import Tokenizer

EXCERPTS = 8
EXCERPT_CHARACTERS = 320
EXCERPT_LINES = 6


class Excerpts:
    """Takes `EXCERPTS` stretches from the parts of a corpus of *total* bytes on disk, in order."""

    def __init__(self, total: int) -> None:
        self.texts: list[str] = []
        self._marks = [total * number // EXCERPTS for number in range(EXCERPTS)]
        self._read = 0

    def add(self, part: Part) -> None:
        """Take what the next marks fall on; it begins with a line where there is one near."""
        text, taken = part.text, 0
        while self._marks and self._marks[0] < self._read + part.read:
            # Behind, if a short document could not serve all the marks that fell on its block.
            ahead = max(0, self._marks[0] - self._read)
            start = ahead * len(text) // part.read if ahead else 0
            line = text.find("\n", start, start + EXCERPT_CHARACTERS) + 1 if start else 0
            start = max(taken, line or start)
            if start == len(text):
                break
            taken = _end(text, start)
            lines = text[start:taken].rstrip().lstrip("\r\n").split("\n", EXCERPT_LINES)
            if excerpt := "\n".join(lines[:EXCERPT_LINES]):
                self.texts.append(excerpt)
            self._marks.pop(0)
        self._read += part.read


def _end(text: str, start: int) -> int:
    """Where an excerpt from *start* ends: with a word, if there is one near."""
    stop = start + EXCERPT_CHARACTERS
    if stop >= len(text):
        return len(text)
    space = max(text.rfind(" ", start, stop), text.rfind("\n", start, stop))
    return space if space > start + EXCERPT_CHARACTERS // 2 else stop


class Glyph(NamedTuple):
    """A stretch of a token as it is shown."""

    kind: str
    """``text``; ``byte``, in hexadecimal; or ``name``, of what cannot be seen."""
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A token in an excerpt."""

    id: int
    token: bytes
    special: bool
    glyphs: tuple[Glyph, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """A token, or the several tokens that one character, or more, is split over."""

    spans: tuple[Span, ...]

    @property
    def split(self) -> tuple[Glyph, ...]:
        """The characters that are split; none in a single token."""
        spelled = b"".join(span.token for span in self.spans)
        ends = set(accumulate(len(span.token) for span in self.spans))
        split, start = b"", 0
        for character in map(str.encode, spelled.decode()):
            stop = start + len(character)
            if not ends.isdisjoint(range(start + 1, stop)):
                split += character
            start = stop
        return glyphs(split)


def units(tokenizer: Tokenizer, text: str) -> list[Unit]:
    """The tokens of *text*, those together that share a character. Special tokens are found."""
    found: list[Unit] = []
    spans: list[Span] = []
    for id in tokenizer.encode(text, allowed_special="all"):
        token = tokenizer.decode_single_token_bytes(id)
        special = tokenizer.is_special_token(id)
        spans.append(Span(id, token, special, glyphs(token, spaces=True)))
        try:
            b"".join(span.token for span in spans).decode()
        except UnicodeDecodeError:
            continue
        found.append(Unit(tuple(spans)))
        spans = []
    return found


_RUN = 8
"""So many of a character in a row are shown; more are counted."""

_BASE = "◌"
"""Carries a combining mark that has lost its letter, as in the Unicode Standard's own charts."""

_RUNS = re.compile(rf"(.)\1{{{_RUN},}}|.", re.S)
_NAMES = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}


def glyphs(token: bytes, *, spaces: bool = False) -> tuple[Glyph, ...]:
    r"""*token* as it is shown: alone, or with *spaces* that stay themselves, in a text.

    >>> [glyph.text for glyph in glyphs(" é\n".encode() + b"\xe2\x80")]
    ['␣', 'é', '⏎', 'e2', '80']
    """
    shown: list[Glyph] = []
    for match in _RUNS.finditer(token.decode("utf-8", "surrogateescape")):
        text, repeats = match[0], match[1] is not None and not spaces
        shown += [_glyph(character, spaces) for character in (text[:_RUN] if repeats else text)]
        if repeats:
            shown.append(Glyph("name", f"×{len(text):,}"))
    joined: list[Glyph] = []
    if shown and not spaces and category(shown[0].text[0]).startswith("M"):
        joined.append(Glyph("text", _BASE))
    for kind, text in shown:
        if joined and kind == joined[-1].kind == "text":
            joined[-1] = Glyph("text", joined[-1].text + text)
        else:
            joined.append(Glyph(kind, text))
    return tuple(joined)


def _glyph(character: str, spaces: bool) -> Glyph:
    if "\udc80" <= character <= "\udcff":
        return Glyph("byte", f"{ord(character) - 0xDC00:02x}")
    if spaces and character == " ":
        return Glyph("text", character)
    if character in _NAMES:
        return Glyph("name", _NAMES[character] + ("\n" if spaces and character == "\n" else ""))
    if not character.isprintable():
        return Glyph("name", f"U+{ord(character):04X}")
    return Glyph("text", character)
