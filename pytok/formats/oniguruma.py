r"""Patterns in the dialect of Oniguruma, the regex engine of Hugging Face's tokenizers.

Rust's and Oniguruma's dialects share most of their syntax, but not all of its meaning: `$` is the
end of a line there, `{1,3}+` a repeated group, `\w` another class, `(?i:ss)` also matches "ß". So
the known patterns have a spelling of their own, and others are passed on only where each part of
them is on a list of what both engines read alike.
"""

import re

from pytok.errors import FormatError
from pytok.patterns import CL100K, GPT2, PATTERNS

_SPELLINGS = {
    # Possessive repeats change no match of these patterns, and `\s+(?![\s\S])` is `\s++$`.
    GPT2: r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    CL100K: r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s+(?![\s\S])|\s*[\r\n]|\s+(?!\S)|\s",
}
"""The known patterns that the two dialects do not read alike."""
BYTE_LEVEL = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2's pattern, as Hugging Face's ByteLevel has it in itself."""
_PATTERNS = {_SPELLINGS.get(regex, regex): regex for regex in PATTERNS.values()}
_PATTERNS[BYTE_LEVEL] = GPT2

_ESCAPE = r"\\[rntsSdD]|\\[pP]\{(?:L[ultmo]?|M|N|P|S)\}|\\(?![<>])[!-/:-@\[-`{-~]"
_MEMBER = rf"(?:[^\[\]\\^&-]|{_ESCAPE})"
_SET = rf"\[\^?(?:{_MEMBER}(?:-{_MEMBER})?)+\]"
_IGNORING_CASE = r"\(\?i:(?!.*(?:ss|st|ff|fi|fl))[a-z'|\[\]]*\)"  # none of several letters to one
_GROUP = r"\((?!\?)|\(\?(?::|=|!|<=|<!)|\)|\|"
_REPEAT = r"[?*+][?+]?|\{\d+(?:,\d*)?\}(?![?+])"
_SHARED = re.compile(
    rf"(?:{_IGNORING_CASE}|{_GROUP}|(?:[^\[\]\\(){{}}|?*+^$]|{_ESCAPE}|{_SET})|{_REPEAT})*"
)


def spell(pattern: str) -> str:
    r"""*pattern*, a regex in Rust's dialect, in Oniguruma's; FormatError if it may differ.

    >>> spell(r"\p{L}+|\P{L}+")
    '\\p{L}+|\\P{L}+'
    >>> spell(r"\w+")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    pytok.errors.FormatError: the pattern '\\w+' has '\\w+', which Hugging Face's engine may ...
    """
    return _SPELLINGS.get(pattern) or _checked(pattern)


def unspell(spelling: str) -> str:
    """The regex in Rust's dialect that splits as *spelling* does; FormatError if unsure."""
    return _PATTERNS.get(escaped(spelling)) or _checked(spelling)


def escaped(spelling: str) -> str:
    r"""*spelling* with escapes for the line ends that some files hold themselves.

    >>> escaped("[^\r\n]")
    '[^\\r\\n]'
    """
    return re.sub(r"(?<!\\)[\r\n]", lambda end: repr(end[0])[1:-1], spelling)


def literal(text: str) -> str:
    r"""A regex, in either dialect, that matches *text* alone.

    >>> literal("a.b")
    '(?:a\\.b)'
    """
    return "(?:" + re.sub(r"[\[\]\\(){}|?*+^$.]", r"\\\g<0>", text) + ")"


def _checked(pattern: str) -> str:
    shared = _SHARED.match(pattern)
    end = shared.end() if shared else 0
    if end < len(pattern):
        raise FormatError(
            f"the pattern {pattern!r} has {pattern[end : end + 12]!r}, which Hugging Face's engine "
            "may read differently"
        )
    return pattern
