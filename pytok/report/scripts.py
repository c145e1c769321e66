"""Compression of a corpus by script: Latin, Han, Devanagari and so on.

Scripts are those of Unicode Standard Annex 24. Spaces, digits, punctuation and emoji, which belong
to no script, count with the script before them in the document, as the annex suggests. A token that
spans two scripts is divided between them by its bytes, so the rows add up to the corpus.

Words are those of Annex 29 without its rarer rules: sequences of letters, digits and underscores,
with single apostrophes, full stops or commas between two of them. Words are not counted in scripts
written without spaces (Han, Hiragana, Thai, ...), which the annex leaves to dictionaries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import regex
from fontTools.unicodedata import Scripts

Numbers = npt.NDArray[np.int64]

NO_SCRIPT = "no script"
"""Row of the characters before the first letter of a document."""

FLUSH_CHARACTERS = 1 << 20
"""Characters per batch: numpy's overhead per call is negligible, and its arrays take 50 MB."""

_CODES = 0x110000
_END = 0xD800
"""Separator of documents, a surrogate: valid text contains none."""

# The class of a character in the rules for words of Annex 29: see `_classes`.
_OTHER, _WORD, _JOINER, _IGNORED, _LETTER = range(5)


@dataclass(frozen=True, slots=True)
class ScriptUse:
    """The part of a corpus in one script, and the number of its tokens."""

    script: str
    characters: int
    bytes: int
    tokens: float
    """Not an integer, since a token can span two scripts."""
    words: int | None
    """``None`` for scripts that are written without spaces."""

    @property
    def bytes_per_token(self) -> float:
        """Compression; higher is better."""
        return self.bytes / self.tokens

    @property
    def tokens_per_character(self) -> float:
        """Tokens per character; lower is better, and characters of 1 and 3 bytes are comparable."""
        return self.tokens / self.characters

    @property
    def tokens_per_word(self) -> float | None:
        """Fertility; ``None`` if words are not counted."""
        return self.tokens / self.words if self.words else None


class _Tables(NamedTuple):
    names: list[str]
    """Names by script number; 0 is `NO_SCRIPT`."""
    spaced: npt.NDArray[np.bool_]
    """Whether the script of that number has spaces between words."""
    scripts: npt.NDArray[np.uint8]
    """Script number of every character, shape (0x110000,)."""
    classes: npt.NDArray[np.uint8]
    """Word class of every character, shape (0x110000,)."""


class ScriptTally:
    """Adds up the characters, bytes, tokens and words of a corpus by script, part by part."""

    def __init__(self) -> None:
        self._tables = _tables()
        self._texts: list[str] = []
        self._lengths: list[Numbers] = []
        self._pending = 0
        self._script = 0  # of the last character in the batches so far
        numbers = len(self._tables.names)
        self._characters, self._bytes, self._words = np.zeros((3, numbers), dtype=np.int64)
        self._tokens = np.zeros(numbers)

    def add(self, text: str, lengths: Numbers, *, ends_document: bool) -> None:
        """Count *text*; *lengths* are those of its tokens in bytes, shape (tokens,)."""
        self._texts.append(text + chr(_END) if ends_document else text)
        self._lengths.append(lengths)
        self._pending += len(text)
        if self._pending >= FLUSH_CHARACTERS:
            self._flush()

    def rows(self) -> tuple[ScriptUse, ...]:
        """Return the sums by script, in descending order of bytes."""
        self._flush()
        names, spaced, *_ = self._tables
        rows = [
            ScriptUse(
                names[number],
                int(self._characters[number]),
                int(self._bytes[number]),
                float(self._tokens[number]),
                int(self._words[number]) if spaced[number] else None,
            )
            for number in np.flatnonzero(self._characters)
        ]
        return tuple(sorted(rows, key=lambda row: -row.bytes))

    def _flush(self) -> None:
        text = "".join(self._texts)
        if not text:
            return
        ends = np.cumsum(np.concatenate(self._lengths), dtype=np.int64)
        self._texts, self._lengths, self._pending = [], [], 0
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        scripts = self._scripts_of(codes)
        self._script = int(scripts[-1])
        # Sums over runs of one script: characters, bytes in UTF-8, and tokens up to their bounds.
        starts = np.flatnonzero(np.diff(scripts, prepend=-1))
        sizes = np.where(codes == _END, 0, 1 + (codes > 0x7F) + (codes > 0x7FF) + (codes > 0xFFFF))
        run_bytes = np.add.reduceat(sizes, starts)
        bounds = np.concatenate([[0], np.cumsum(run_bytes)])
        run_tokens = np.diff(_tokens_before(bounds, ends))
        run_characters = np.add.reduceat(codes != _END, starts, dtype=np.int64)
        for total, of_run in (
            (self._bytes, run_bytes),
            (self._tokens, run_tokens),
            (self._characters, run_characters),
        ):
            np.add.at(total, scripts[starts], of_run)
        self._words += np.bincount(
            scripts[_word_starts(self._tables.classes[codes])], minlength=len(self._words)
        )

    def _scripts_of(self, codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Return the script number of each character: its own, or that of the last with one."""
        scripts = self._tables.scripts[codes]
        has_own = (scripts != 0) | (codes == _END)
        last = np.maximum.accumulate(np.where(has_own, np.arange(len(codes)), -1))
        return np.where(last < 0, np.int64(self._script), scripts[last])


def _tokens_before(bounds: Numbers, ends: Numbers) -> npt.NDArray[np.float64]:
    """Return the number of tokens before each byte of *bounds*; tokens end at the bytes *ends*."""
    complete = np.searchsorted(ends, bounds, side="right")
    edges = np.concatenate([[0], ends, [ends[-1] + 1 if len(ends) else 1]])
    start = edges[complete]
    return np.asarray(complete + (bounds - start) / (edges[complete + 1] - start))


def _word_starts(classes: npt.NDArray[np.uint8]) -> Numbers:
    """Return the indices at which words start."""
    kept = np.flatnonzero(classes != _IGNORED)
    classes = classes[kept]
    is_word = np.concatenate([[False], classes == _WORD, [False]])
    inside = is_word[1:-1] | ((classes == _JOINER) & is_word[:-2] & is_word[2:])
    return kept[np.flatnonzero(np.diff(inside, prepend=False) & inside)]


@cache
def _tables() -> _Tables:
    names = [NO_SCRIPT]
    numbers = dict.fromkeys(("Zyyy", "Zinh", "Zzzz"), 0)  # common, inherited, unknown
    for code in dict.fromkeys(Scripts.VALUES):
        if code not in numbers:
            numbers[code] = len(names)
            names.append(Scripts.NAMES[code].replace("_", " "))
    widths = np.diff([*Scripts.RANGES, _CODES])
    values: Sequence[int] = [numbers[code] for code in Scripts.VALUES]
    scripts = np.repeat(np.array(values, dtype=np.uint8), widths)
    classes = np.zeros(_CODES, dtype=np.uint8)
    for match in _classes():
        classes[match.start() : match.end()] = match.lastindex
    # A script has spaces between words if most of its letters are in words by Annex 29.
    in_words, others = (
        np.bincount(scripts[classes == each], minlength=len(names)) for each in (_WORD, _LETTER)
    )
    return _Tables(names, in_words > others, scripts, classes)


def _classes() -> Any:
    """Return matches of runs of one class in a string of all code points; offsets are codes."""
    word = r"([\p{WB=ALetter}\p{WB=Hebrew_Letter}\p{WB=Numeric}\p{WB=ExtendNumLet}]+)"
    joiner = r"([\p{WB=MidLetter}\p{WB=MidNum}\p{WB=MidNumLet}\p{WB=Single_Quote}]+)"
    ignored = r"([\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]+)"
    every = "".join(map(chr, range(_CODES)))
    return regex.finditer(rf"{word}|{joiner}|{ignored}|(\p{{L}}+)", every)
