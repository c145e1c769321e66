"""Patterns: how a text is split into pieces before any byte pair is merged.

A pattern is a regular expression in tiktoken's spelling, which is Rust's. This module turns it into
Python's `regex` dialect and lets that engine do the work. Twin of `bpe-rs/src/pretokenize.rs`.
"""

import functools
from collections.abc import Iterator

import regex

from pytok.errors import PatternError
from pytok.patterns import resolve
from pytok.reference.unicode import CLASSES


class Pattern:
    r"""A compiled pattern: a known name, or a regex in Rust's syntax.

    Text that a custom pattern does not match is a piece of its own, as in Hugging Face's ``Split``
    with ``isolated``; nothing is dropped. Raises PatternError when the regex does not compile.

    >>> Pattern("gpt2").split("It's 2 o'clock")
    ['It', "'s", ' 2', ' o', "'", 'clock']
    >>> Pattern(r"\d+").split("a12b")
    ['a', '12', 'b']
    """

    def __init__(self, pattern: str) -> None:
        self.regex = resolve(pattern)
        self._installed = _compile(translate(self.regex, tables=False))

    def split(self, text: str, offset: int = 0) -> list[str]:
        r"""The pieces of *text*, in order; they concatenate to it.

        Raises PatternError when the pattern matches the empty string; the place it names is moved
        by *offset*, the bytes before *text* in what the caller has.

        >>> Pattern("cl100k").split("a  b\n\n 1234")
        ['a', ' ', ' b', '\n\n', ' ', '123', '4']
        """
        pieces = []
        end = 0
        for match in self._matcher(text).finditer(text):
            start = match.start()
            if start == len(text):  # an empty match at the end splits nothing
                break
            if start == match.end():
                at = offset + len(text[:start].encode())
                raise PatternError(
                    f"the pattern matches the empty string at byte {at}: each match must take at "
                    "least one character"
                )
            if end < start:
                pieces.append(text[end:start])
            pieces.append(match[0])
            end = match.end()
        if end < len(text):
            pieces.append(text[end:])
        return pieces

    def _matcher(self, text: str) -> "regex.Pattern[str]":
        """The installed tables are much faster than ours, and right unless the two differ."""
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
"""What both dialects read alike, in a set and outside, but for what `translate` looks after."""
_OPERATORS = {"&&", "--", "~~", "||"}
"""Of sets: some are Rust's, some Python's."""
_TOKEN = regex.compile(
    rf"\\[pP]\{{\^?\w+\}}|\\[pP]\w|\\z|\\(?![<>])[[:punct:]]|\[\^?\]?|\]|{_SAME}"
)


def translate(pattern: str, *, tables: bool) -> str:
    r"""*pattern*, written for Rust, in the dialect of Python's `regex`.

    ``$`` and ``\z`` mean the end of the text in Rust; in Python ``$`` also matches before a last
    newline. With *tables*, Unicode classes are spelled out from `CLASSES`. Raises PatternError for
    syntax that the two dialects read differently.

    >>> translate(r"\s++$|[$]", tables=False)
    '\\s++\\Z|[$]'
    >>> translate(r"\p{Lt}", tables=True)[:22]
    '[\\U00001f88-\\U00001f8f'
    """
    parts = []
    in_set = False
    multiline = regex.search(r"\(\?[a-z]*m", pattern) is not None
    end = 0
    while end < len(pattern):
        match = _TOKEN.match(pattern, end)
        token = match[0] if match else pattern[end]
        if match is None or (in_set and (token[0] == "[" or pattern[end : end + 2] in _OPERATORS)):
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
    """The ranges of a class as the inside of a set, the widest first: they are tried in order."""
    ascii_first_then_widest = sorted(_ranges(name), key=lambda r: (r[0] > 0x7F, r[0] - r[1]))
    return "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in ascii_first_then_widest)


def _ranges(name: str) -> Iterator[tuple[int, int]]:
    for span in "".join(CLASSES[name]).split():
        first, _, last = span.partition("-")
        yield int(first, 16), int(last or first, 16)


@functools.cache
def disputed() -> frozenset[str]:
    """The characters that the installed `regex` puts in another class than `CLASSES` does.

    They are those that a newer Unicode has assigned, and the few that it has moved.

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
