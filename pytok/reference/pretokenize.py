"""Patterns, which split a text into pieces before any byte pair is merged.

A pattern is a regular expression in the syntax of tiktoken, which is Rust's (`pytok.patterns` has
the known ones). This module translates it to the syntax of Python's `regex`, which then splits.
Twin of `bpe-rs/src/pretokenize.rs`.
"""

import functools
from collections.abc import Iterator

import regex

from pytok.errors import PatternError
from pytok.patterns import ASCII_CLASSES, PATTERNS, resolve
from pytok.reference.budget import Budget
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
        self._is_known = self.regex in PATTERNS.values()
        if count_parts(self.regex) > MAX_PARTS:
            raise PatternError(
                f"the pattern does not compile: with its repeats written out it has more than "
                f"{MAX_PARTS} parts; use smaller counts"
            )
        self._installed = _compile(translate(self.regex, tables=False))

    def split(self, text: str, offset: int = 0, budget: Budget | None = None) -> list[str]:
        r"""Return the pieces of *text*, in order; they concatenate to it.

        Raises PatternError if the pattern matches the empty string, or takes longer than *budget*.
        The message has the position in bytes, plus *offset*, the bytes that come before *text*.

        >>> Pattern("cl100k").split("a  b\n\n 1234")
        ['a', ' ', ' b', '\n\n', ' ', '123', '4']
        """
        return [piece for piece, _ in self.split_marked(text, offset, budget)]

    def split_marked(
        self, text: str, offset: int = 0, budget: Budget | None = None
    ) -> list[tuple[str, bool]]:
        r"""Return the pieces of *text* like `split`, and for each whether the pattern matches it.

        >>> Pattern(r"\d+").split_marked("a12")
        [('a', False), ('12', True)]
        """
        pieces = []
        end = 0
        for match in self._find_all(text, offset, budget):
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

    def _find_all(
        self, text: str, offset: int, budget: Budget | None
    ) -> "Iterator[regex.Match[str]]":
        if self._is_known:
            yield from self._matcher(text).finditer(text)
        else:
            yield from (budget or Budget()).find_all(self._matcher(text), text, offset)

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
    except (regex.error, ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        raise PatternError(f"the pattern does not compile: {reason}") from None


MAX_PARTS = 100_000
"""Maximum number of parts that a pattern has when its repeats are written out: what an engine runs
through, or builds an automaton of, before it takes a character. Hugging Face's engine has the same
limit for a single repeat."""
_COUNTS = regex.compile(r"\{\s*+(?:(\d++)\s*+(?:,\s*+(\d*+)\s*+)?|,\s*+(\d++)\s*+)\}")
_ITEM = regex.compile(rf"\\[pPxuU]\{{[^{{}}]*\}}|\\[\s\S]|{_COUNTS.pattern}|[\s\S]")


def count_parts(pattern: str) -> int:
    r"""Return the approximate number of parts of *pattern* with its repeats written out.

    >>> count_parts(r"\p{L}{3}[a\]{9}]{2,5}"), count_parts("((a{9}){9}){9}")
    (8, 729)
    """
    parts = last = 0  # of the group so far, and of its last item, to which a repeat applies
    outside, at = list[int](), 0
    while at < len(pattern):
        if pattern[at] == "[":
            at, item = _end_of_set(pattern, at), "["
        else:
            match = _ITEM.match(pattern, at)
            assert match is not None
            at, item = match.end(), match[0]
        if item == "(":
            outside.append(parts)
            parts = last = 0
        elif item == ")":
            last = parts
            parts += outside.pop() if outside else 0
        elif counts := _COUNTS.fullmatch(item):
            # Python converts no longer numbers.
            repeats = [int(count.lstrip("0")[:20] or 0) for count in counts.groups("")]
            repeated = last * max(1, *repeats)
            parts, last = parts - last + repeated, repeated
        elif item not in "*+?|":
            parts, last = parts + 1, 1
    return parts + sum(outside)


def _end_of_set(pattern: str, start: int) -> int:
    """Return the end of the set at *start*, in which there can be sets."""
    opening = regex.compile(r"\[\^?\]?").match(pattern, start)
    assert opening is not None
    depth, at = 1, int(opening.end())
    while depth and at < len(pattern):
        depth += {"[": 1, "]": -1}.get(pattern[at], 0)
        at += 2 if pattern[at] == "\\" else 1
    return min(at, len(pattern))


_SAME = r"[^\\\[\]]|\\[rntafsSwWdDbBA0-9]|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"
"""Syntax with one meaning in both dialects, except for what `translate` handles."""
_GROUP = regex.compile(r"\(\?(?:[imsx]*(?:-[imsx]+)?[:)]|<?[=!]|>|P?<\w+>)")
"""What starts a group, or sets flags. What Python reads as a recursion is a flag in Rust."""
_SET_OPERATORS = ("--", "~~", "||")
"""What Rust or Python reads as an operator inside a set, or warns of; for ``&&`` see `_set`."""
_TOKEN = regex.compile(
    rf"\\[pP]\{{\^?\w+\}}|\\[pP]\w|\\z|\\x\{{\w+\}}|\\(?![<>])[[:punct:]]|\]|{_SAME}"
)


_DERIVED = {
    "Alphabetic": ("L", r"\p{Nl}\p{Other_Alphabetic}"),
    "Lowercase": ("Ll", r"\p{Other_Lowercase}"),
    "Uppercase": ("Lu", r"\p{Other_Uppercase}"),
}
"""Classes that are a category and, as members of a set, further characters."""


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
    # With (?m), $ matches at the end of each line in both dialects, and is not translated.
    multiline = regex.search(r"\(\?[a-z]*m", pattern) is not None
    end = 0
    while end < len(pattern):
        if pattern[end] == "[":
            part, end = _set(pattern, end, tables=tables)
        elif pattern.startswith("(?", end):
            if (group := _GROUP.match(pattern, end)) is None:
                raise _unreadable(pattern, end)
            part, end = group[0], group.end()
        else:
            part, end = _token(pattern, end, tables=tables)
            if part == "$" and not multiline:
                part = r"\Z"
        parts.append(part)
    return "".join(parts)


def _token(pattern: str, start: int, *, tables: bool) -> tuple[str, int]:
    """Translate a token outside of a set; return its end as well."""
    match = _TOKEN.match(pattern, start)
    if match is None:
        raise _unreadable(pattern, start)
    token = match[0]
    name = token[2:].strip("{}")
    of_category, rest = _DERIVED.get(name, (name, ""))
    if token[:2] in (r"\p", r"\P") and tables and of_category in CLASSES:
        token = f"[{'^' if token[1] == 'P' else ''}{_members(of_category)}{rest}]"
    elif token.startswith(r"\x{"):
        token = rf"\U{int(name, 16):08x}"
    return {r"\z": r"\Z"}.get(token, token), match.end()


def _set(pattern: str, start: int, *, tables: bool) -> tuple[str, int]:
    """Translate a set; return its end as well.

    In Rust a set can have sets as members, and be an intersection, by ``&&``. Python's `regex` has
    no such sets by default, so they become alternatives and look-ahead.
    """
    opening = regex.compile(r"\[\^?(\]?)").match(pattern, start)
    assert opening is not None
    flat, sets, end = opening[1], list[str](), opening.end()
    operands = []
    while not pattern.startswith("]", end):
        posix = regex.compile(r"\[:(\^?)(\w+):\]").match(pattern, end)
        if pattern.startswith("&&", end):
            operands.append(_union(flat, sets))
            flat, sets, end = "", [], end + 2
        elif posix and posix[2] in ASCII_CLASSES:
            members, end = ASCII_CLASSES[posix[2]], posix.end()
            flat, sets = (flat, [*sets, f"[^{members}]"]) if posix[1] else (flat + members, sets)
        elif pattern.startswith("[", end):
            inner, end = _set(pattern, end, tables=tables)
            sets.append(inner)
        elif pattern.startswith(_SET_OPERATORS, end) or end == len(pattern):
            raise _unreadable(pattern, end)
        else:
            member, end = _token(pattern, end, tables=tables)
            if member.startswith("[^"):
                sets.append(member)
            else:
                flat += member[1:-1] if member.startswith("[") else member
    end += 1
    is_negated = opening[0].startswith("[^")
    if not operands and not sets:
        return f"[{'^' * is_negated}{flat}]", end
    *rest, last = [*operands, _union(flat, sets)]
    found = "".join(f"(?={operand})" for operand in rest) + last
    return rf"(?:(?!{found})[\s\S])" if is_negated else f"(?:{found})", end


def _union(flat: str, sets: list[str]) -> str:
    """Return a regex for one character of a set with the members *flat*, or of one of *sets*."""
    return f"(?:{'|'.join([f'[{flat}]'] * bool(flat) + sets)})"


def _unreadable(pattern: str, start: int) -> PatternError:
    return PatternError(
        f"the reference engine cannot read {pattern[start : start + 8]!r} in the pattern as Rust "
        "does: use the native engine"
    )


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
