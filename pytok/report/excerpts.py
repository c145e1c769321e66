"""Excerpts of a corpus, evenly spaced, and their tokens in the order of the text."""

from dataclasses import dataclass
from itertools import accumulate

from pytok.corpus import Part
from pytok.report.glyphs import Glyph, glyphs
from pytok.tokenizer import Tokenizer

EXCERPTS = 8
EXCERPT_CHARACTERS = 320
EXCERPT_LINES = 6
FIRST_DISTANCE = 1 << 10
"""Bytes between excerpts of a corpus of unknown size; it doubles as the corpus turns out larger."""


class Excerpts:
    """Takes excerpts from the parts, in order, of a corpus of *total* bytes on disk.

    They are `EXCERPTS`; for a *total* of 0, which is unknown, up to twice as many.
    """

    def __init__(self, total: int) -> None:
        self.texts: list[str] = []
        self._marks = [total * number // EXCERPTS for number in range(EXCERPTS if total else 1)]
        self._distance = 0 if total else FIRST_DISTANCE
        self._read = 0

    def add(self, part: Part[str]) -> None:
        """Take excerpts at the marks in *part*, from the start of a line if one is near."""
        text, taken = part.text, 0
        while self._marks and self._marks[0] < self._read + part.read:
            # A mark can be behind if the document before was too short for the marks in it.
            ahead = max(0, self._marks[0] - self._read)
            # Marks count bytes on disk; the text is assumed to be spread evenly over them.
            start = ahead * len(text) // part.read if ahead else 0
            line = text.find("\n", start, start + EXCERPT_CHARACTERS) + 1 if start else 0
            start = max(taken, line or start)
            if start == len(text):
                break
            taken = _end(text, start)
            lines = text[start:taken].rstrip().lstrip("\r\n").split("\n", EXCERPT_LINES)
            if excerpt := "\n".join(lines[:EXCERPT_LINES]):
                self.texts.append(excerpt)
            mark = self._marks.pop(0)
            if self._distance:
                if len(self.texts) == 2 * EXCERPTS:
                    del self.texts[1::2]
                    self._distance *= 2
                self._marks.append((mark // self._distance + 1) * self._distance)
        self._read += part.read


def _end(text: str, start: int) -> int:
    """Return the end of an excerpt from *start*: that of a word, if one is near."""
    stop = start + EXCERPT_CHARACTERS
    if stop >= len(text):
        return len(text)
    space = max(text.rfind(" ", start, stop), text.rfind("\n", start, stop))
    return space if space > start + EXCERPT_CHARACTERS // 2 else stop


@dataclass(frozen=True, slots=True)
class Span:
    """A token in an excerpt."""

    id: int
    token: bytes
    special: bool
    glyphs: tuple[Glyph, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """One token, or several tokens that have parts of the same characters."""

    spans: tuple[Span, ...]

    @property
    def split(self) -> tuple[Glyph, ...]:
        """The characters that are split over several tokens."""
        data = b"".join(span.token for span in self.spans)
        ends = set(accumulate(len(span.token) for span in self.spans))
        split, start = b"", 0
        for character in map(str.encode, data.decode()):
            stop = start + len(character)
            if not ends.isdisjoint(range(start + 1, stop)):
                split += character
            start = stop
        return glyphs(split)


def units(tokenizer: Tokenizer, text: str) -> list[Unit]:
    """Encode *text* with special tokens; group tokens that have parts of the same character."""
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
