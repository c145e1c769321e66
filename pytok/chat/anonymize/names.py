"""Search for names in a text: words compared in one form, the longest sequence first.

A text is read word by word, and each word is looked up, so the time does not depend on the number
of names. In scripts without spaces, where it is unknown which letters are a word, a pattern does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product, zip_longest
from typing import NamedTuple

import regex

from pytok.chat.anonymize.parts import MAX_WORDS, Part
from pytok.chat.anonymize.scripts import MAX_SUFFIX, MAX_WORD, WORD, affixes, fold
from pytok.chat.anonymize.unspaced import Unspaced

_GAP = re.compile(r"[\s'’ʼ`.\-\u2010\u2011\u2013·・_]{0,3}")
"""Between two words of a name."""
_HANDLE = regex.compile(r"[\p{L}\p{M}\p{N}_]++(?:\.[\p{L}\p{M}\p{N}_]++)*+")
"""A name of an account, if it has a digit or an underscore."""
_NUMBER = regex.compile(r"\p{N}")
_DIGIT_BY_LETTER = re.compile(r"[^\W\d_]\d|\d[^\W\d_]")
_HANGUL_TITLE = re.compile(
    "씨|님|과장|부장|대리|선생|사장|팀장|교수|대표|이사|차장|실장|원장|박사|선배|여사|군|양"
)
_NO_NAMES = frozenset({"على", "وعلى", "فعلى"})
"""Arabic for "on". It differs from the name Ali in a letter that is the same after folding."""
_NEGATION = re.compile(r"['’]t\b", re.IGNORECASE)
"""After a word that is no name: don't, can't, won't."""
_STRETCHED = regex.compile(r"(.)\1{2,}")
"""A letter three times or more, as in Annaaa."""


_MAX_ORDINARY = 1 << 16
_MAX_STRETCHED = 4
_MIN_DIVIDED = 6
"""Letters of a name that is also found as two words."""


class Hit(NamedTuple):
    """A name in a text."""

    start: int
    end: int
    substitute: str
    before: str = ""
    """What is kept before the substitute: a prefix of the name's word, or text up to it."""
    after: str = ""


@dataclass
class _Node:
    """What follows some words of names."""

    children: dict[str, _Node] = field(default_factory=dict)
    substitute: str | None = None
    in_capitals: bool = False
    """Whether the first letter must be a capital: "An" is a name, "an" is none."""


class Names:
    """The names of people by their parts, each with its substitute."""

    def __init__(self, parts: Mapping[Part, tuple[str, bool]]) -> None:
        self._root = _Node()
        unspaced: dict[str, str] = {}
        for words, (substitute, in_capitals) in parts.items():
            node = self._root
            for word in words:
                node = node.children.setdefault(word, _Node())
            node.substitute, node.in_capitals = substitute, in_capitals
            whole = "".join(words)
            match = WORD.fullmatch(whole)
            if match is not None and match["unspaced"] is not None:
                unspaced[whole] = substitute
        self._unspaced = Unspaced(unspaced) if unspaced else None
        self._stems: dict[str, str] = {}
        for word in self._root.children:
            for stem in _stems(word):
                self._stems.setdefault(stem, word)
        self._halves = {
            words[0][:cut]
            for words in parts
            if len(words) == 1 and len(words[0]) >= _MIN_DIVIDED
            for cut in range(2, len(words[0]) - 1)
        }
        """Beginnings of names that can be written as two words: Xiao Ming for Xiaoming."""
        self._ordinary: set[str] = set()
        """Words that no name starts with, which texts repeat."""

    def find(self, text: str) -> list[Hit]:
        """Return the names in *text*, in order."""
        hits = self._handles(text) if "_" in text or _DIGIT_BY_LETTER.search(text) else []
        words = [*WORD.finditer(text)]
        handles = iter([*hits, Hit(len(text) + 1, len(text) + 1, "")])
        handle = next(handles)
        index = 0
        while index < len(words):
            word = words[index]
            if word[0] in self._ordinary:
                index += 1
                continue
            while handle.end <= word.start():
                handle = next(handles)
            if handle.start < word.end():  # the word is in a handle
                index += 1
            else:
                hit, count = self._at(text, words, index)
                if hit is not None:
                    hits.append(hit)
                elif word["unspaced"] is not None and self._unspaced is not None:
                    hits += [
                        Hit(word.start() + first, word.start() + last, *rest)
                        for first, last, *rest in self._unspaced.find(word[0])
                    ]
                index += count
        return _joined(text, sorted(hits))

    def substitute(self, name: str) -> str | None:
        """Return the substitute of a handle, if all of its words are names of one person."""
        found = set()
        for match in WORD.finditer(name):
            node = self._root.children.get(fold(match[0]))
            found.add(None if node is None else node.substitute)
        return found.pop() if len(found) == 1 else None

    def _handles(self, text: str) -> list[Hit]:
        """Return the words with digits or underscores that have the name of a person."""
        hits = []
        for match in _HANDLE.finditer(text):
            start, end = match.span()
            while start < end and text[start] == "_":  # WhatsApp's italics
                start += 1
            while start < end and text[end - 1] == "_":
                end -= 1
            handle = text[start:end]
            if not ("_" in handle or _NUMBER.search(handle)):
                continue
            for word in WORD.finditer(handle):
                node = self._root.children.get(fold(word[0]))
                if node is not None and node.substitute is not None and len(word[0]) > 2:
                    hits.append(Hit(start, end, node.substitute))
                    break
        return hits

    def _at(self, text: str, words: list[regex.Match[str]], index: int) -> tuple[Hit | None, int]:
        """Return the longest name that starts with the word *index*, and the words that it has."""
        start = words[index].start()
        best, count, node = None, 1, self._root
        for length, word in enumerate(words[index : index + MAX_WORDS], start=1):
            if length > 1 and not _GAP.fullmatch(
                text, words[index + length - 2].end(), word.start()
            ):
                break
            if word[0] in _NO_NAMES or _NEGATION.match(text, word.end()):
                break
            folded = fold(word[0])
            child = node.children.get(folded)
            if child is None and _STRETCHED.search(folded):
                folded = next(filter(node.children.__contains__, _unstretched(folded)), folded)
                child = node.children.get(folded)
            name = None if child is None else child.substitute
            if child is not None and name is not None and _is_written(child, text, start, word):
                best, count = Hit(start, word.end(), name), length
            elif added := self._inflected(node, folded, word):
                name, before, after = added
                best, count = Hit(start, word.end(), name, before, after), length
            if child is None:
                if best is None and length == 1 and word["unspaced"] is None:
                    if folded in self._halves:
                        return self._divided(text, words, index, folded)
                    self._remember(word[0])
                break
            node = child
        return best, count

    def _divided(
        self, text: str, words: list[regex.Match[str]], index: int, first: str
    ) -> tuple[Hit | None, int]:
        """Return a name that is written as two words with capitals, of which *first* is one."""
        word, second = words[index], next(iter(words[index + 1 : index + 2]), None)
        if second is not None and text[word.end() : second.start()] in (" ", "-"):
            name = self._root.children.get(first + fold(second[0]))
            capitals = word[0][0].isupper() and second[0][0].isupper()
            if capitals and name is not None and name.substitute is not None:
                return Hit(word.start(), second.end(), name.substitute), 2
        return None, 1

    def _remember(self, word: str) -> None:
        if len(self._ordinary) >= _MAX_ORDINARY:
            self._ordinary.clear()
        self._ordinary.add(word[:MAX_WORD])

    def _inflected(
        self, node: _Node, folded: str, word: regex.Match[str]
    ) -> tuple[str, str, str] | None:
        """Return the substitute of a name with something added, and what is kept around it."""
        if len(folded) < 2:
            return None
        affix = affixes(folded)
        if word["hangul"] is not None and _HANGUL_TITLE.match(folded, 1):
            surname = node.children.get(folded[0])
            if surname is not None and surname.substitute is not None:
                return surname.substitute, "", folded[1:]
        prefixes = [each for each in affix.prefixes if folded.startswith(each)]
        for prefix in ("", *sorted(prefixes, key=len)):
            rest = folded[len(prefix) :]
            for cut in range(0 if prefix else 1, min(MAX_SUFFIX, len(rest) - affix.shortest) + 1):
                stem, suffix = rest[: len(rest) - cut], rest[len(rest) - cut :]
                if cut and not affix.takes(stem, suffix):
                    continue
                name = node.children.get(stem) or node.children.get(self._stems.get(stem, ""))
                if name is None or name.substitute is None or name.in_capitals:
                    continue
                return name.substitute, prefix, suffix if affix.keeps_suffix else ""
        return None


def _is_written(name: _Node, text: str, start: int, last: regex.Match[str]) -> bool:
    """Return whether *name*, at *start* of *text*, is written as a name."""
    if last.end() - start == 1 and (last["hangul"] or last["unspaced"]):  # 김 alone is seaweed
        return (
            _HANGUL_TITLE.match(text, last.end() + (text.startswith(" ", last.end()))) is not None
        )
    return not (name.in_capitals and text[start : last.end()].islower())


def _unstretched(word: str) -> Iterator[str]:
    """Yield *word* with each letter that is there three times or more once, and twice."""
    pieces = _STRETCHED.split(word)  # what is between, and the letters
    letters = pieces[1::2][:_MAX_STRETCHED]
    for times in product((1, 2), repeat=len(letters)):
        written = map(str.__mul__, letters, times)
        yield "".join(map("".join, zip_longest(pieces[::2], written, fillvalue="")))


def _stems(word: str) -> Iterator[str]:
    """Yield *word* without the letters at its end that other endings replace."""
    affix = affixes(word)
    if len(word) >= affix.dropped_from and word[-1] in affix.dropped:
        yield word[:-1]
        if len(word) >= affix.twice_from and word[-2] in affix.dropped:
            yield word[:-2]


def _joined(text: str, hits: list[Hit]) -> list[Hit]:
    """Join different words that follow each other and have the same substitute: Schmidt Anna."""
    joined: list[Hit] = []
    for hit in hits:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.substitute == hit.substitute
            and not (last.after or hit.before)
            and text[last.end : hit.start] in (" ", "-", "\u2013", "\xa0", "")
            and fold(text[last.start : last.end]) != fold(text[hit.start : hit.end])
        ):
            joined[-1] = last._replace(end=hit.end, after=hit.after)
        else:
            joined.append(hit)
    return joined
