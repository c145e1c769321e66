"""Stretches of a corpus, evenly spread, and their tokens, to be shown side by side."""

from dataclasses import dataclass
from itertools import accumulate

from pytok.corpus import Part
from pytok.report.glyphs import Glyph, glyphs
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

    def add(self, part: Part[str]) -> None:
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
