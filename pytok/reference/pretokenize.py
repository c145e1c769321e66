"""Patterns, which split a text into pieces before any byte pair is merged.

A pattern is a regular expression in the syntax of tiktoken, which is Rust's (`pytok.patterns` has
the known ones). This module translates it to the syntax of Python's `regex`, which then splits.
Twin of `bpe-rs/src/pretokenize.rs`.
"""

import functools
from collections.abc import Iterator

import regex

from pytok.errors import PatternError
from pytok.patterns import resolve
from pytok.reference.unicode import CLASSES


class Pattern:
    r"""A compiled pattern: the name of a known one, or a regex in Rust's syntax.

    Text that a custom pattern does not match forms a piece as well, as in Hugging Face's ``Split``
    with ``isolated``; nothing is dropped. Raises PatternError if the regex does not compile.

    >>> Pattern("gpt2").split("It's 2 o'clock")
    ['It', "'s", ' 2', ' o', "'", 'clock']
    >>> Pattern(r"\d+").split("a12b")
    ['a', '12', 'b']
    """

    def __init__(self, pattern: str) -> None:
        self.regex = resolve(pattern)
        self._installed = _compile(translate(self.regex, tables=False))

    def split(self, text: str, offset: int = 0) -> list[str]:
        r"""Return the pieces of *text*, in order; they concatenate to it.

        Raises PatternError if the pattern matches the empty string. The message has the position in
        bytes, plus *offset*, the bytes that come before *text*.

        >>> Pattern("cl100k").split("a  b\n\n 1234")
        ['a', ' ', ' b', '\n\n', ' ', '123', '4']
        """
        return [piece for piece, _ in self.split_marked(text, offset)]

    def split_marked(self, text: str, offset: int = 0) -> list[tuple[str, bool]]:
        r"""Return the pieces of *text* like `split`, and for each whether the pattern matches it.

        >>> Pattern(r"\d+").split_marked("a12")
        [('a', False), ('12', True)]
        """
        pieces = []
        end = 0
        for match in self._matcher(text).finditer(text):
            start = match.start()
            if start == len(text):  # an empty match at the end splits nothing
                break
            if start == match.end():
                position = offset + len(text[:start].encode())
                raise PatternError(
                    f"the pattern matches the empty string at byte {position}: each match must "
                    "take at least one character"
                )
            if end < start:
                pieces.append((text[end:start], False))
            pieces.append((match[0], True))
            end = match.end()
        if end < len(text):
            pieces.append((text[end:], False))
        return pieces

    def _matcher(self, text: str) -> "regex.Pattern[str]":
        """Return a regex that classifies the characters of *text* as the native engine does.

        PERF: the classes of the installed `regex` are much faster than sets of ranges, so those are
        used only for texts with a character on which the two differ.
        """
        if text.isascii() or disputed().isdisjoint(text):
            return self._installed
        return _compile(translate(self.regex, tables=True))


@functools.lru_cache(maxsize=64)
def _compile(pattern: str) -> "regex.Pattern[str]":
    try:
        return regex.compile(pattern)
    except (regex.error, ValueError, RecursionError) as error:
        raise PatternError(f"the pattern does not compile: {error}") from None


_SAME = r"[^\\\[\]]|\\[rntafsSwWdDbBA0-9]|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"
"""Syntax with one meaning in both dialects, except for what `translate` handles."""
_SET_OPERATORS = {"&&", "--", "~~", "||"}
"""Operators inside a set in one of the dialects or both."""
_TOKEN = regex.compile(
    rf"\\[pP]\{{\^?\w+\}}|\\[pP]\w|\\z|\\(?![<>])[[:punct:]]|\[\^?\]?|\]|{_SAME}"
)


def translate(pattern: str, *, tables: bool) -> str:
    r"""Translate *pattern* from Rust's syntax to that of Python's `regex`.

    ``$`` and ``\z`` mean the end of the text in Rust; in Python ``$`` also matches before a last
    newline. With *tables*, Unicode classes are replaced by the ranges in `CLASSES`. Raises
    PatternError for syntax with different meanings in the two dialects.

    >>> translate(r"\s++$|[$]", tables=False)
    '\\s++\\Z|[$]'
    >>> translate(r"\p{Lt}", tables=True)[:22]
    '[\\U00001f88-\\U00001f8f'
    """
    parts = []
    in_set = False
    # With (?m), $ matches at the end of each line in both dialects, and is not translated.
    multiline = regex.search(r"\(\?[a-z]*m", pattern) is not None
    end = 0
    while end < len(pattern):
        match = _TOKEN.match(pattern, end)
        token = match[0] if match else pattern[end]
        # Inside a set, Rust reads && and -- as operators and [ as a nested set; Python does not.
        in_operator = in_set and pattern[end : end + 2] in _SET_OPERATORS
        if match is None or in_operator or (in_set and token[0] == "["):
            raise PatternError(
                f"the reference engine cannot read {pattern[end : end + 8]!r} in the pattern as "
                "Rust does: use the native engine"
            )
        end = match.end()
        name = token[2:].strip("{}")
        if token.startswith(r"\p") and tables and name in CLASSES:
            parts.append(_members(name) if in_set else f"[{_members(name)}]")
        elif (token == "$" and not in_set and not multiline) or token == r"\z":
            parts.append(r"\Z")
        else:
            in_set = (in_set or token[0] == "[") and token != "]"
            parts.append(token)
    return "".join(parts)


def _members(name: str) -> str:
    """Return the ranges of a class as the inside of a set, the most likely first."""
    # `regex` tries ranges in order: those in ASCII first, then the widest.
    ascii_first_then_widest = sorted(_ranges(name), key=lambda r: (r[0] > 0x7F, r[0] - r[1]))
    return "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in ascii_first_then_widest)


def _ranges(name: str) -> Iterator[tuple[int, int]]:
    for span in "".join(CLASSES[name]).split():
        first, _, last = span.partition("-")
        yield int(first, 16), int(last or first, 16)


@functools.cache
def disputed() -> frozenset[str]:
    """Return the characters whose class in the installed `regex` differs from `CLASSES`.

    They are those that a newer Unicode version has assigned, and the few that it has moved.

    >>> "a" in disputed()
    False
    """
    characters = "".join(map(chr, range(0xD800))) + "".join(map(chr, range(0xE000, 0x110000)))
    differing: set[str] = set()
    for name in CLASSES:
        installed = set("".join(regex.findall(rf"\p{{{name}}}+", characters)))
        ours = {chr(point) for first, last in _ranges(name) for point in range(first, last + 1)}
        differing |= installed ^ ours
    return frozenset(differing)
