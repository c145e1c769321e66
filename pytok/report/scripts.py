"""How a tokenizer serves each script of a text: Latin, Han, Devanagari and so on.

Scripts are those of Unicode Standard Annex 24. Spaces, digits, punctuation and emoji, which belong
to none, count with the script before them in the document, as the annex suggests. A token across
two scripts is shared among them by its bytes, so the rows add up to the whole.

Words are those of Annex 29 without its rarer rules: letters, digits and underscores in a row, with
a single apostrophe, full stop or comma between two of them. Scripts written without spaces (Han,
Hiragana, Thai ...), whose words that annex leaves to dictionaries, have none here.
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
"""What stands before any letter of its document."""

FLUSH_CHARACTERS = 1 << 20
"""Analysed at a time: numpy's cost per call does not show, and its arrays take some 50 MB."""

_CODES = 0x110000
_END = 0xD800
"""Put between documents: no text that UTF-8 can hold has a surrogate."""

# What a character is to words, as Annex 29 calls it: see `_kinds_of_all`.
_OTHER, _WORD, _JOINER, _IGNORED, _LETTER = range(5)


@dataclass(frozen=True, slots=True)
class ScriptUse:
    """The part of a corpus that is written in one script, and what it takes to encode it."""

    script: str
    characters: int
    bytes: int
    tokens: float
    """Not whole, since two scripts can share a token."""
    words: int | None
    """``None`` for scripts that are written without spaces."""

    @property
    def bytes_per_token(self) -> float:
        """Higher is better compressed."""
        return self.bytes / self.tokens

    @property
    def tokens_per_character(self) -> float:
        """Lower is better compressed; fair between scripts whose characters take 1 or 3 bytes."""
        return self.tokens / self.characters

    @property
    def tokens_per_word(self) -> float | None:
        """The fertility; ``None`` where there are no words."""
        return self.tokens / self.words if self.words else None


class _Tables(NamedTuple):
    names: list[str]
    """By script number; 0 is `NO_SCRIPT`."""
    spaced: npt.NDArray[np.bool_]
    """Whether the script of that number puts spaces between words."""
    scripts: npt.NDArray[np.uint8]
    """The script number of every character, shape (0x110000,)."""
    kinds: npt.NDArray[np.uint8]
    """What every character is to words, likewise."""


class ScriptTally:
    """Adds up what the parts of a corpus, in order, take in each script."""

    def __init__(self) -> None:
        self._tables = _tables()
        self._texts: list[str] = []
        self._lengths: list[Numbers] = []
        self._pending = 0
        self._script = 0  # of the last character analysed
        numbers = len(self._tables.names)
        self._characters, self._bytes, self._words = np.zeros((3, numbers), dtype=np.int64)
        self._tokens = np.zeros(numbers)

    def add(self, text: str, lengths: Numbers, *, ends_document: bool) -> None:
        """Count *text*, whose tokens have *lengths* in bytes, shape (tokens,)."""
        self._texts.append(text + chr(_END) if ends_document else text)
        self._lengths.append(lengths)
        self._pending += len(text)
        if self._pending >= FLUSH_CHARACTERS:
            self._flush()

    def rows(self) -> tuple[ScriptUse, ...]:
        """What was added, the script with the most bytes first."""
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
        scripts = self._resolved(codes)
        self._script = int(scripts[-1])
        starts = np.flatnonzero(np.diff(scripts, prepend=-1))  # of the runs of one script
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
            scripts[_word_starts(self._tables.kinds[codes])], minlength=len(self._words)
        )

    def _resolved(self, codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """The script number of each character, taken from before where it has none of its own."""
        scripts = self._tables.scripts[codes]
        own = (scripts != 0) | (codes == _END)
        last = np.maximum.accumulate(np.where(own, np.arange(len(codes)), -1))
        return np.where(last < 0, np.int64(self._script), scripts[last])


def _tokens_before(bounds: Numbers, ends: Numbers) -> npt.NDArray[np.float64]:
    """How many tokens lie before each byte of *bounds*, where tokens end at the bytes *ends*."""
    whole = np.searchsorted(ends, bounds, side="right")
    edges = np.concatenate([[0], ends, [ends[-1] + 1 if len(ends) else 1]])
    begun = edges[whole]
    return np.asarray(whole + (bounds - begun) / (edges[whole + 1] - begun))


def _word_starts(kinds: npt.NDArray[np.uint8]) -> Numbers:
    """Where words begin."""
    seen = np.flatnonzero(kinds != _IGNORED)
    kinds = kinds[seen]
    word = np.concatenate([[False], kinds == _WORD, [False]])
    within = word[1:-1] | ((kinds == _JOINER) & word[:-2] & word[2:])
    return seen[np.flatnonzero(np.diff(within, prepend=False) & within)]


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
    kinds = np.zeros(_CODES, dtype=np.uint8)
    for match in _kinds_of_all():
        kinds[match.start() : match.end()] = match.lastindex
    letters, others = (
        np.bincount(scripts[kinds == kind], minlength=len(names)) for kind in (_WORD, _LETTER)
    )
    return _Tables(names, letters > others, scripts, kinds)


def _kinds_of_all() -> Any:
    """Runs of characters of one kind, in the order of code points, so that places are codes."""
    word = r"([\p{WB=ALetter}\p{WB=Hebrew_Letter}\p{WB=Numeric}\p{WB=ExtendNumLet}]+)"
    joiner = r"([\p{WB=MidLetter}\p{WB=MidNum}\p{WB=MidNumLet}\p{WB=Single_Quote}]+)"
    ignored = r"([\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]+)"
    every = "".join(map(chr, range(_CODES)))
    return regex.finditer(rf"{word}|{joiner}|{ignored}|(\p{{L}}+)", every)
