"""Scripts: how the words of a name are compared, and what a language adds to a name."""

import functools
import re
import unicodedata
from typing import NamedTuple

import regex

UNSPACED = (
    r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}"
    r"\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}ー々"
)
"""Scripts without spaces between words, for a class of characters."""
_OTHER = rf"--[[{UNSPACED}]--\p{{M}}]--\p{{Hangul}}--[\u02b9-\u02bf]]"
WORD = regex.compile(
    rf"(?V1)(?P<unspaced>(?:[[{UNSPACED}]--\p{{M}}]\p{{M}}{{0,8}}+)++)"
    r"|(?P<hangul>\p{Hangul}[\p{Hangul}\p{M}]*+)"
    rf"|[\p{{L}}{_OTHER}(?:[[\p{{L}}\p{{M}}]{_OTHER}|[\u00ad\u200b\u200d\u2060])*+"
)
"""A word of letters of one kind of script: unspaced, Hangul, or any other."""
MAX_WORD = 60
"""Characters of a word that are compared."""

_LETTERS = str.maketrans(
    {
        **{"ı": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th"},
        **{"ى": "ي", "ی": "ي", "ک": "ك", "ة": "ه", "ہ": "ه", "ە": "ه", "ٱ": "ا", "ـ": ""},
        **dict.fromkeys("\u200b\u200d\u2060\u00ad\ufeff'’", ""),
    }
)
_MARKS = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]")
"""Accents, and the points of Hebrew and Arabic; vowel signs of other scripts are letters."""


@functools.lru_cache(maxsize=1 << 16)
def fold(word: str) -> str:
    """Return the form in which *word* is compared: without case, accents, points, and variants."""
    if word.isascii():
        return word[:MAX_WORD].lower()
    decomposed = unicodedata.normalize("NFKD", word[:MAX_WORD]).casefold()
    return unicodedata.normalize("NFC", _MARKS.sub("", decomposed).translate(_LETTERS))


class Affixes(NamedTuple):
    """What the languages of a script put before and after a name, folded."""

    prefixes: frozenset[str] = frozenset()
    suffixes: frozenset[str] | None = frozenset()
    """None if anything up to `MAX_SUFFIX` letters can follow."""
    weak: frozenset[str] = frozenset()
    """Suffixes that are also the end of other names, so that they need five letters before them."""
    dropped: str = ""
    """Last letters of a name that its endings replace."""
    dropped_from: int = 4
    """Letters of a name, at least, of which the last is dropped."""
    twice_from: int = 6
    """Letters of a name, at least, of which the last two are."""
    keeps_suffix: bool = True
    """Whether a suffix stays after the substitute; it does not where it is no word without a name's
    last letters."""
    shortest: int = 3
    """Letters of a name, at least, to which something is added."""

    def takes(self, stem: str, suffix: str) -> bool:
        """Return whether *suffix* is one after *stem*."""
        if self.suffixes is None or suffix in self.suffixes:
            return True
        return suffix in self.weak and len(stem) >= 5


MAX_SUFFIX = 8


def _folded(words: str) -> frozenset[str]:
    return frozenset(map(fold, words.split()))


_NONE = Affixes()
_LATIN = Affixes(
    suffixes=_folded("s owi ovi iego emu nak nek val vel hoz hez nal nel tol rol lle lta sta ssa"),
    weak=_folded("a u e i o y t em om ou ie im ym on et at ot nin ye ya yi in un den dan ek"),
    dropped="a",
    dropped_from=7,
)
_CYRILLIC = Affixes(
    suffixes=_folded(
        "а я у ю і є еві ові ию ію ом ем им ым е ы и ой ей ая яя ую юю ою ею ам ям ами ями ах ях ов"
        " ев ова еве ови еви ого ому ых их ына ин ина"
    ),
    dropped="аяиоеьы",
    keeps_suffix=False,
)
_GREEK = Affixes(
    suffixes=_folded("ος ο ου ε α ας η ης ες ων ς"),
    dropped="οαηεσυ",
    twice_from=5,
    keeps_suffix=False,
)
_ARABIC = Affixes(prefixes=_folded("و ف ب ل ك ول وب فل فب ال وال بال لل يا"))
_HEBREW = Affixes(prefixes=_folded("ו ש ה כ ל ב מ ול וב וש וה ומ של שה כש לכ מה"), shortest=2)
_ETHIOPIC = Affixes(
    prefixes=_folded("የ ለ በ ከ እነ ስለ ወደ"), suffixes=_folded("ን ም ስ ና ዬ ንም ንና"), shortest=2
)
_DEVANAGARI = Affixes(suffixes=_folded("ला ने चा ची चे च्या शी नी ना त स जी"))
_DRAVIDIAN = Affixes(suffixes=None, dropped="\u0bcd\u0c4d\u0ccd\u0d4d\u0c3e\u0cbe\u0d3f")
_GEORGIAN = Affixes(suffixes=None, dropped="იაეო")
_HANGUL = Affixes(suffixes=None, shortest=2)
_SUFFIXED = Affixes(suffixes=None)
_BLOCKS = (
    (0x0370, _LATIN),
    (0x0400, _GREEK),
    (0x0530, _CYRILLIC),
    (0x0590, _SUFFIXED),  # Armenian
    (0x0600, _HEBREW),
    (0x0700, _ARABIC),
    (0x0750, _NONE),
    (0x0780, _ARABIC),
    (0x0900, _NONE),
    (0x0980, _DEVANAGARI),
    (0x0B80, _SUFFIXED),  # Bengali to Odia
    (0x0D80, _DRAVIDIAN),  # Tamil to Malayalam
    (0x0E00, _SUFFIXED),  # Sinhala
    (0x10A0, _NONE),
    (0x1100, _GEORGIAN),
    (0x1200, _HANGUL),
    (0x1380, _ETHIOPIC),
    (0x1E00, _NONE),
    (0x1F00, _LATIN),
    (0x2000, _GREEK),
    (0xAC00, _NONE),
    (0xD7B0, _HANGUL),
)
"""The first code point after each block, and what its languages add to a name."""


def affixes(word: str) -> Affixes:
    """Return what can be added to a name that starts like *word*."""
    code = ord(word[0])
    return next((each for end, each in _BLOCKS if code < end), _NONE)
