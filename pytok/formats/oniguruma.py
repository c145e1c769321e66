r"""Translate patterns between Rust's regex dialect and that of Oniguruma (Hugging Face tokenizers).

The dialects have most of their syntax in common, but not all of its meaning: in Oniguruma `$` is
the end of a line, `{1,3}+` a repeated group, `\w` another class, and `(?i:ss)` also matches "ß".
So the known patterns have fixed translations. Any other pattern is passed through if each part of
it is on a list of syntax with the same meaning in both, and rejected otherwise.
"""

import re

from pytok.errors import FormatError
from pytok.patterns import CL100K, GPT2, PATTERNS

_TRANSLATIONS = {
    # Possessive quantifiers change no match of these patterns, and `\s+(?![\s\S])` is `\s++$`.
    GPT2: r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    CL100K: r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s+(?![\s\S])|\s*[\r\n]|\s+(?!\S)|\s",
}
"""The known patterns with another meaning in Oniguruma, and their translations."""
BYTE_LEVEL = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2's pattern as written in Hugging Face's ByteLevel."""
_PATTERNS = {_TRANSLATIONS.get(regex, regex): regex for regex in PATTERNS.values()}
_PATTERNS[BYTE_LEVEL] = GPT2

# The syntax that has the same meaning in both dialects.

_ESCAPE = r"\\[rntsSdD]|\\[pP]\{(?:L[ultmo]?|M|N|P|S)\}|\\(?![<>])[!-/:-@\[-`{-~]"
_MEMBER = rf"(?:[^\[\]\\^&-]|{_ESCAPE})"
_SET = rf"\[\^?(?:{_MEMBER}(?:-{_MEMBER})?)+\]"
# Without the letters that Oniguruma also folds to one character, such as "ss" to "ß".
_IGNORING_CASE = r"\(\?i:(?!.*(?:ss|st|ff|fi|fl))[a-z'|\[\]]*\)"
_GROUP = r"\((?!\?)|\(\?(?::|=|!|<=|<!)|\)|\|"
_REPEAT = r"[?*+][?+]?|\{\d+(?:,\d*)?\}(?![?+])"
_COMMON = re.compile(
    rf"(?:{_IGNORING_CASE}|{_GROUP}|(?:[^\[\]\\(){{}}|?*+^$]|{_ESCAPE}|{_SET})|{_REPEAT})*"
)


def from_rust(pattern: str) -> str:
    r"""Translate *pattern* from Rust's dialect. Raises FormatError if its meaning could differ.

    >>> from_rust(r"\p{L}+|\P{L}+")
    '\\p{L}+|\\P{L}+'
    >>> from_rust(r"\w+")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    pytok.errors.FormatError: the pattern '\\w+' has '\\w+', which Hugging Face's engine could ...
    """
    return _TRANSLATIONS.get(pattern) or _checked(pattern)


def to_rust(pattern: str) -> str:
    """Translate *pattern* to Rust's dialect. Raises FormatError if its meaning could differ."""
    return _PATTERNS.get(escape_line_ends(pattern)) or _checked(pattern)


def escape_line_ends(pattern: str) -> str:
    r"""Replace literal line ends, which some files contain, by escapes.

    >>> escape_line_ends("[^\r\n]")
    '[^\\r\\n]'
    """
    return re.sub(r"(?<!\\)[\r\n]", lambda end: repr(end[0])[1:-1], pattern)


def literal(text: str) -> str:
    r"""Return a regex, in either dialect, that matches exactly *text*.

    >>> literal("a.b")
    '(?:a\\.b)'
    """
    return "(?:" + re.sub(r"[\[\]\\(){}|?*+^$.]", r"\\\g<0>", text) + ")"


def _checked(pattern: str) -> str:
    common = _COMMON.match(pattern)
    end = common.end() if common else 0
    if end < len(pattern):
        raise FormatError(
            f"the pattern {pattern!r} has {pattern[end : end + 12]!r}, which Hugging Face's engine "
            "could read differently"
        )
    return pattern
