"""Normalization of text before it is split.

A step is a list of `Edit`, ranges of the text and what replaces them; the source of every
character of the result follows from them. Twin of `bpe-rs/src/normalize.rs`.
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from pytok.errors import VocabError
from pytok.reference import newer
from pytok.reference.budget import Budget
from pytok.reference.pretokenize import Pattern

Form: TypeAlias = Literal["NFC", "NFD", "NFKC", "NFKD"]


class Edit(NamedTuple):
    """A change of a text: the characters from *start* to *end* are replaced by *text*."""

    start: int
    end: int
    text: str


class Normalizer:
    r"""The steps of a normalization, in order; see `pytok.definition.Definition`.

    Raises VocabError for an unknown step, PatternError for a regex that does not compile.

    >>> Normalizer([("NFKC",), ("Lowercase",)]).normalize("\ufb01NE")
    'fine'
    """

    def __init__(self, steps: Iterable[Sequence[str]]) -> None:
        self.steps = [_step(*step) for step in steps]

    def normalize(self, text: str, budget: Budget | None = None) -> str:
        """Return *text* after all steps."""
        for step in self.steps:
            text = _apply(text, step(text, budget))
        return text

    def align(self, text: str, budget: Budget | None = None) -> tuple[str, list[tuple[int, int]]]:
        r"""Return *text* after all steps, and for each character the range of its source.

        >>> Normalizer([("NFC",)]).align("ae\u0301")
        ('aé', [(0, 1), (1, 3)])
        """
        sources = [(index, index + 1) for index in range(len(text))]
        for step in self.steps:
            edits = list(step(text, budget))
            changed: list[tuple[int, int]] = []
            done = 0
            for start, end, new in edits:
                # What is inserted stands for the next character.
                origin = sources[start : max(end, start + 1)] or sources[-1:]
                changed += sources[done:start]
                changed += [(origin[0][0], origin[-1][1])] * len(new)
                done = end
            text, sources = _apply(text, edits), changed + sources[done:]
        return text, sources


def _apply(text: str, edits: Iterable[Edit]) -> str:
    parts, done = [], 0
    for start, end, new in edits:
        parts += [text[done:start], new]
        done = end
    return "".join([*parts, text[done:]])


def _step(name: str, *arguments: str) -> Callable[[str, Budget | None], Iterator[Edit]]:
    """Return the function that yields the changes of a text, in order."""
    match (name, *arguments):
        case (("NFC" | "NFD" | "NFKC" | "NFKD") as form,):
            return lambda text, _: _to_form(form, text)
        case ("Lowercase",):
            return lambda text, _: _to_lowercase(text)
        case ("Prepend", prefix):
            return lambda text, _: iter([Edit(0, 0, prefix)] if text else [])
        case ("Replace", pattern, content):
            return functools.partial(_replace, Pattern(pattern), content)
    raise VocabError(f'"{" ".join([name, *arguments])}" is not a step of normalization')


def _to_lowercase(text: str) -> Iterator[Edit]:
    """Change each character by itself, as tokenizers does."""
    for index, character in enumerate(text):
        if (lower := _lowercase().get(character) or character.lower()) != character:
            yield Edit(index, index + 1, lower)


def _replace(pattern: Pattern, content: str, text: str, budget: Budget | None) -> Iterator[Edit]:
    start = 0
    for part, is_match in pattern.split_marked(text, budget=budget):
        if is_match:
            yield Edit(start, start + len(part), content)
        start += len(part)


def _to_form(form: Form, text: str) -> Iterator[Edit]:
    """Change the runs of characters that are not in a normalization form (UAX #15).

    Before an inert character a text can be cut: the forms of its parts concatenate to its form. So
    only runs of other characters, and the inert one before each, are looked at.
    """
    if text.isascii():
        return
    for run in _active_runs(form).finditer(text):
        if (normal := normal_form(form, run[0])) != run[0]:
            yield Edit(run.start(), run.end(), normal)


@functools.cache
def _active_runs(form: Form) -> re.Pattern[str]:
    """Return a regex for runs of characters that are not inert, with the one before each."""
    composes = form in ("NFC", "NFKC")
    seconds = {pair[1] for pair in _pairs()} if composes else set()
    active = [
        character
        for character in map(chr, range(0x80, 0x30000))
        if not 0xD800 <= ord(character) < 0xE000
        and (
            _combining(character)
            or character in seconds
            or normal_form(form, character) != character
        )
    ]
    members = "".join(map(re.escape, active))
    return re.compile(rf"[^{members}]?[{members}]+", re.DOTALL)


def normal_form(form: Form, text: str) -> str:
    r"""Return *text* in a normalization form, also if it has characters that Python does not know.

    >>> normal_form("NFC", "e\u0301") == "\xe9"
    True
    """
    if _unknown().isdisjoint(text):
        return unicodedata.normalize(form, text)
    # The algorithm of UAX #15: decompose, order the combining characters, compose.
    parts = [part for character in text for part in _decomposition(form, character)]
    start = 0
    for index in range(len(parts) + 1):
        if index == len(parts) or not _combining(parts[index]):
            parts[start:index] = sorted(parts[start:index], key=_combining)
            start = index + 1
    if form in ("NFD", "NFKD"):
        return "".join(parts)
    composed: list[str] = []
    starter = -1  # the index in `composed` of the last starter
    for part in parts:
        last = _combining(composed[-1]) if composed else 0
        # A part is blocked from the starter by one of its own class or a greater one between them.
        is_next = len(composed) - 1 == starter
        is_reached = starter >= 0 and (is_next or last < _combining(part))
        if is_reached and (pair := _composed(composed[starter] + part)):
            composed[starter] = pair
            continue
        if not _combining(part):
            starter = len(composed)
        composed.append(part)
    return "".join(composed)


def _combining(character: str) -> int:
    """Return the canonical combining class."""
    entry = _newer().get(character)
    return unicodedata.combining(character) if entry is None else int(entry[0])


def _decomposition(form: Form, character: str) -> str:
    entry = _newer().get(character)
    if entry is None:
        return unicodedata.normalize("NFKD" if "K" in form else "NFD", character)
    return (entry[2] if "K" in form else entry[1]) or character


def _composed(pair: str) -> str:
    """Return the character that *pair* composes to, or "" if there is none."""
    if pair in _pairs():
        return _pairs()[pair]
    composed = unicodedata.normalize("NFC", pair)
    return composed if len(composed) == 1 else ""


@functools.cache
def _pairs() -> dict[str, str]:
    """Return all pairs of characters that compose, and what to; Hangul has its own rule."""
    pairs = {entry[3]: character for character, entry in _newer().items() if entry[3]}
    for character in map(chr, range(0x80, 0x30000)):
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and "<" not in parts[0]:
            pair = "".join(chr(int(part, 16)) for part in parts)
            if unicodedata.normalize("NFC", pair) == character:
                pairs[pair] = character
    hangul = {chr(0x1100) + chr(vowel): "" for vowel in range(0x1161, 0x1176)}
    hangul |= {chr(0xAC00) + chr(final): "" for final in range(0x11A8, 0x11C3)}
    return pairs | {pair: unicodedata.normalize("NFC", pair) for pair in hangul}


@functools.cache
def _newer() -> dict[str, tuple[str, ...]]:
    """Return the properties of the characters that the installed Python does not know."""
    entries: dict[str, tuple[str, ...]] = {}
    for word in newer.NORMALIZATION.split():
        point, combining, *texts = word.split(":")
        canonical, compatible, pair = map(_text, texts or ["", "", ""])
        if unicodedata.category(chr(int(point, 16))) == "Cn":
            entries[chr(int(point, 16))] = (combining, canonical, compatible, pair)
    return entries


@functools.cache
def _unknown() -> frozenset[str]:
    """Return the characters that Python would normalize differently."""
    return frozenset("".join([*_newer(), *(entry[3] for entry in _newer().values())]))


@functools.cache
def _lowercase() -> dict[str, str]:
    words = (word.split(":") for word in newer.LOWERCASE.split())
    return {_text(point): _text(lower) for point, lower in words}


def _text(points: str) -> str:
    """Return the text of code points such as ``41+30a``.

    >>> _text("68+69"), _text("")
    ('hi', '')
    """
    return "".join(chr(int(point, 16)) for point in points.split("+") if point)
