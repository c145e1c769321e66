r"""Translate patterns between Rust's regex dialect and that of Oniguruma (Hugging Face tokenizers).

The dialects have most of their syntax in common, but not all of its meaning: in Oniguruma `$` is
the end of a line, `{1,3}+` a repeated group, `\w` another class, and `(?i:ss)` also matches "ß".
So the known patterns have fixed translations. Any other pattern is translated part by part: each
part is on a list of syntax with the same meaning in both, or in a table with its translation, or
the pattern is rejected.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pytok.errors import FormatError
from pytok.formats.fields import Fields
from pytok.patterns import ASCII_CLASSES, CL100K, GPT2, PATTERNS

BYTE_LEVEL = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2's pattern as written in Hugging Face's ByteLevel."""
_TRANSLATIONS = {
    # Possessive quantifiers change no match of these patterns, and `\s+(?![\s\S])` is `\s++$`.
    # tokenizers 1.0 splits by the pattern of GPT-2 without a regex engine if it is written so.
    GPT2: BYTE_LEVEL,
    CL100K: r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s+(?![\s\S])|\s*[\r\n]|\s+(?!\S)|\s",
}
"""The known patterns with another meaning in Oniguruma, and their translations."""
_PATTERNS = {_TRANSLATIONS.get(regex, regex): regex for regex in PATTERNS.values()}
# As pytok wrote it before.
_PATTERNS[r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"] = GPT2

# The syntax that has the same meaning in both dialects.

_CATEGORIES = "L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfo]"
_PROPERTIES = "Alphabetic|Lowercase|Uppercase|White_Space"
_SCRIPTS = (
    "Han|Hiragana|Katakana|Hangul|Bopomofo|Latin|Greek|Cyrillic|Armenian|Georgian|Hebrew|Arabic"
    "|Syriac|Thaana|Devanagari|Bengali|Gurmukhi|Gujarati|Oriya|Tamil|Telugu|Kannada|Malayalam"
    "|Sinhala|Thai|Lao|Tibetan|Myanmar|Khmer|Mongolian|Ethiopic|Cherokee"
)
_CLASS = rf"(?:{_CATEGORIES}|{_PROPERTIES}|{_SCRIPTS})"
_ESCAPE = (
    rf"\\[rntfsSdD]|\\[pP]\{{{_CLASS}\}}|\\x[0-7][0-9a-fA-F]|\\u(?!d[89a-f])"
    r"[0-9a-fA-F]{4}|\\(?![<>])[!-/:-@\[-`{-~]"
)
# Without the letters that Oniguruma also folds to one character, such as "ss" to "ß".
_IGNORING_CASE = r"\(\?i:(?![a-z'|\[\]]*(?:ss|st|ff|fi|fl))[a-z'|\[\]]*\)"
_GROUP = r"\((?!\?)|\(\?(?::|=|!|>|<=|<!)|\)|\|"
_REPEAT = r"[?*+][?+]?|\{\d+(?:,\d*)?\}(?![?+])"
_SAME = re.compile(rf"{_IGNORING_CASE}|{_GROUP}|\\[Az]|[^\[\]\\(){{}}|?*+^$]|{_ESCAPE}|{_REPEAT}")
_MEMBER = rf"(?:[^\[\]\\&~|-]|&(?!&)|~(?!~)|\|(?!\|)|{_ESCAPE})"
_MEMBERS = re.compile(rf"{_MEMBER}-{_MEMBER}|{_MEMBER}|-(?=\])")
_FIRST_HYPHEN = re.compile("-(?!-)")


class _Dialect(NamedTuple):
    """What has another meaning in one dialect, and its translation to the other."""

    syntax: Mapping[str, str]
    """By what it is outside of sets."""
    members: Mapping[str, str]
    """By what it is in a set, the set with which the other dialect has it as a member."""


def _negated(set: str) -> str:
    return f"[^{set[1:]}"


def _boundary(word: str) -> str:
    return rf"(?:(?<={word})(?!{word})|(?<!{word})(?={word}))"


def _escapes(sets: Mapping[str, str]) -> dict[str, str]:
    """Return classes and their complements by their escapes."""
    return {**sets, **{name.upper(): _negated(set) for name, set in sets.items()}}


def _posix(sets: Mapping[str, str]) -> dict[str, str]:
    """Return classes and their complements by what they are in a set; *sets* have their names."""
    found = {f"[:{name}:]": set for name, set in sets.items()}
    return found | {f"[:^{name}:]": _negated(set) for name, set in sets.items()}


_WORD = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}"
_RUST_WORD = rf"[{_WORD}\u200c\u200d]"
_RUST = _Dialect(
    {
        "^": r"(?<!(?:[\s\S]))",
        "$": r"(?!(?:[\s\S]))",
        r"\b": _boundary(_RUST_WORD),
        **_escapes({r"\w": _RUST_WORD}),
    },
    {
        **_escapes({r"\w": _RUST_WORD}),
        **_posix({name: f"[{members}]" for name, members in ASCII_CLASSES.items()}),
    },
)
# Outside of sets Oniguruma's \w, and so its \b, have ², ³, ¹, ¼, ½ and ¾.
_ONIGURUMA_WORD = rf"[{_WORD}\u00b2\u00b3\u00b9\u00bc-\u00be]"
_ONIGURUMA = _Dialect(
    {
        "^": r"(?:\A|(?<=\n)(?!\z))",
        "$": r"(?=\n|\z)",
        r"\b": _boundary(_ONIGURUMA_WORD),
        **_escapes({r"\w": _ONIGURUMA_WORD, r"\h": "[0-9A-Fa-f]"}),
    },
    _escapes({r"\w": f"[{_WORD}]", r"\h": "[0-9A-Fa-f]"})
    | _posix(
        {
            "alnum": r"[\p{Alphabetic}\p{Nd}]",
            "alpha": r"[\p{Alphabetic}]",
            "ascii": r"[\x00-\x7f]",
            "blank": r"[\t\p{Zs}]",
            "cntrl": r"[\p{Cc}]",
            "digit": r"[\p{Nd}]",
            "lower": r"[\p{Lowercase}]",
            "punct": r"[\p{P}\p{S}]",
            "space": r"[\s]",
            "upper": r"[\p{Uppercase}]",
            "word": f"[{_WORD}]",
            "xdigit": "[0-9A-Fa-f]",
        }
    ),
)
# What was written for a pattern of Rust's dialect is read as that pattern again.
_ONIGURUMA = _Dialect(
    {**{written: syntax for syntax, written in _RUST.syntax.items()}, **_ONIGURUMA.syntax},
    {**{written: member for member, written in _RUST.members.items()}, **_ONIGURUMA.members},
)


def from_rust(pattern: str) -> str:
    r"""Translate *pattern* from Rust's dialect. Raises FormatError if its meaning could differ.

    >>> from_rust(r"\p{L}+|\P{L}+")
    '\\p{L}+|\\P{L}+'
    >>> from_rust(r"[[:alpha:]_]+")
    '[[\\x41-\\x5a\\x61-\\x7a]_]+'
    >>> from_rust(r"\d{1,3}+")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    pytok.errors.FormatError: the pattern '\\d{1,3}+' has '{1,3}+', which Hugging Face's engine ...
    """
    return _TRANSLATIONS.get(pattern) or _Translation(pattern, _RUST).translate()


def to_rust(pattern: str) -> str:
    r"""Translate *pattern* to Rust's dialect. Raises FormatError if its meaning could differ.

    >>> to_rust(r"[[:alpha:]_]+$")
    '[[\\p{Alphabetic}]_]+(?=\\n|\\z)'
    """
    known = _PATTERNS.get(escape_line_ends(pattern))
    return known or _Translation(pattern, _ONIGURUMA).translate()


def escape_line_ends(pattern: str) -> str:
    r"""Replace literal line ends, which some files contain, by escapes.

    >>> escape_line_ends("[^\r\n]")
    '[^\\r\\n]'
    """
    return re.sub(r"(?<!\\)[\r\n]", lambda end: repr(end[0])[1:-1], pattern)


_MAX_DEPTH = 100
"""Sets within sets at most: fewer than the calls that Python nests."""
_META = r"[\[\]\\(){}|?*+^$.]"


def literal(text: str) -> str:
    r"""Return a regex, in either dialect, that matches exactly *text*.

    >>> literal("a.b")
    '(?:a\\.b)'
    """
    return "(?:" + re.sub(_META, r"\\\g<0>", text) + ")"


def as_literal(pattern: str) -> str | None:
    r"""Return the text whose `literal` is *pattern*, or ``None``.

    >>> as_literal(r"(?:a\.b)"), as_literal(r"a\.b")
    ('a.b', None)
    """
    text = re.sub(rf"\\({_META})", r"\1", pattern[3:-1])
    return text if text and pattern == literal(text) else None


def read_pattern(reader: Fields, step: dict[str, Any], where: str) -> str:
    """Return the *pattern* of *step*, a Regex or a String, in Rust's dialect."""
    pattern = reader.get(step, "pattern", dict, where)
    regex = regex_of(reader, pattern, where)
    if "String" in pattern:
        return regex
    try:
        return to_rust(regex)
    except FormatError as error:
        raise FormatError(f"{reader.path}: {where}pattern: {error}") from None


def regex_of(reader: Fields, pattern: dict[str, Any], where: str) -> str:
    """Return the regex of *pattern*, for Oniguruma."""
    match pattern:
        case {"Regex": str(regex)}:
            return regex
        case {"String": str(text)} if text:
            return literal(text)
    raise FormatError(f"{reader.path}: {where}pattern is neither a Regex nor a String with text")


class _Translation:
    """A translation of *pattern*, which is in *dialect*, from left to right."""

    def __init__(self, pattern: str, dialect: _Dialect) -> None:
        self.pattern = pattern
        self.dialect = dialect
        self.at = 0
        self.depth = 0

    def translate(self) -> str:
        parts = []
        while self.at < len(self.pattern):
            parts.append(self._part())
        return "".join(parts)

    def _part(self) -> str:
        """Return the translation of what comes next outside of a set."""
        if found := self._look_up(self.dialect.syntax):
            return found
        if self._take("["):
            return self._set()
        if found := self._match(_SAME):
            return found
        raise self._error()

    def _set(self) -> str:
        """Return the translation of a set, after its opening bracket."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise FormatError(
                f"the pattern {self.pattern!r} has more than {_MAX_DEPTH} sets in each other"
            )
        parts = ["[^" if self._take("^") else "["]
        if found := self._match(_FIRST_HYPHEN):
            parts.append(found)
        while not self._take("]"):
            is_operator = len(parts) > 1 and parts[-1] != "&&" and self._take("&&")
            parts.append("&&" if is_operator else self._member())
        if len(parts) == 1 or parts[-1] == "&&":
            raise self._error(back=1)
        self.depth -= 1
        return "".join([*parts, "]"])

    def _member(self) -> str:
        """Return the translation of what comes next in a set."""
        if found := self._look_up(self.dialect.members):
            return found
        if self._take("[", unless="[:"):
            return self._set()
        if found := self._match(_MEMBERS):
            return found
        raise self._error()

    def _look_up(self, translations: Mapping[str, str]) -> str:
        for syntax, translation in translations.items():
            if self._take(syntax):
                return translation
        return ""

    def _take(self, text: str, unless: str = "\0") -> bool:
        is_next = self.pattern.startswith(text, self.at)
        if not is_next or self.pattern.startswith(unless, self.at):
            return False
        self.at += len(text)
        return True

    def _match(self, regex: re.Pattern[str]) -> str:
        found = regex.match(self.pattern, self.at)
        self.at = found.end() if found else self.at
        return found[0] if found else ""

    def _error(self, back: int = 0) -> FormatError:
        start = self.at - back
        return FormatError(
            f"the pattern {self.pattern!r} has {self.pattern[start : start + 12]!r}, which Hugging "
            "Face's engine could read differently"
        )
