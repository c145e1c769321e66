r"""The known patterns, and the positions at which text can be cut without changing its pieces.

A pattern is a regular expression that splits text into pieces before any byte pair is merged. Its
syntax is tiktoken's: that of Rust's ``regex`` crate, with look-around and possessive quantifiers.
The native engine has the same patterns in `bpe-rs/src/pretokenize.rs`.
"""

from collections.abc import Iterator
from itertools import pairwise

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
"""GPT-2's pattern, as in tiktoken."""

CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
"""GPT-4's pattern, as in tiktoken."""

O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""GPT-4o's pattern, as in tiktoken."""

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Llama-3's pattern, as in its ``tokenizer.json``."""

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The pattern of Qwen2, Qwen2.5 and Qwen3, as in their ``tokenizer.json``."""

PATTERNS = {"gpt2": GPT2, "cl100k": CL100K, "o200k": O200K, "llama3": LLAMA3, "qwen2": QWEN2}
"""The known patterns by name."""

ASCII_CLASSES = {
    "alnum": r"\x30-\x39\x41-\x5a\x61-\x7a",
    "alpha": r"\x41-\x5a\x61-\x7a",
    "ascii": r"\x00-\x7f",
    "blank": r"\x09\x20",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": r"\x30-\x39",
    "graph": r"\x21-\x7e",
    "lower": r"\x61-\x7a",
    "print": r"\x20-\x7e",
    "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    "space": r"\x09-\x0d\x20",
    "upper": r"\x41-\x5a",
    "word": r"\x30-\x39\x41-\x5a\x5f\x61-\x7a",
    "xdigit": r"\x30-\x39\x41-\x46\x61-\x66",
}
"""The classes of POSIX, such as ``[:alpha:]``, as the inside of a set: in Rust they are ASCII."""


def resolve(pattern: str) -> str:
    r"""Return the regex of a known pattern's name; any other *pattern* is returned unchanged.

    >>> resolve("gpt2") == GPT2
    True
    >>> resolve(r"\w+")
    '\\w+'
    """
    return PATTERNS.get(pattern, pattern)


def pattern_name(regex: str) -> str | None:
    r"""Return the name of the known pattern with this *regex*, or ``None``.

    >>> pattern_name(GPT2), pattern_name(r"\w+")
    ('gpt2', None)
    """
    return {known: name for name, known in PATTERNS.items()}.get(regex)


def can_cut(pattern: str) -> bool:
    r"""Return whether `last_cut` is valid for *pattern*, a known name or a regex.

    >>> can_cut("cl100k"), can_cut(r"\w+")
    (True, False)
    """
    return resolve(pattern) in PATTERNS.values()


def parts(text: str, size: int = 1 << 20) -> Iterator[str]:
    r"""Yield *text* in parts of at most *size* characters, as far as `last_cut` finds cuts.

    >>> list(parts("one\ntwo\nthree", size=6))
    ['one\n', 'two\n', 'three']
    """
    start = 0
    while len(text) - start > size and (end := last_cut(text[start : start + size])):
        yield text[start : start + end]
        start += end
    yield text[start:]


def last_cut(text: str) -> int:
    r"""Return the last index at which *text* can be cut without changing its pieces, or 0.

    A cut follows a newline with a non-space character on each side, where the next character is not
    a slash. No known pattern has a piece that crosses it: a run of white space that consists of one
    newline ends there, cut or not; a word neither starts with a newline nor spans one; punctuation
    takes only newlines with it, and in o200k slashes. Text without such a newline is cut before a
    space between two letters, at which every known pattern starts a piece.

    >>> last_cut("one\ntwo\n three four"), last_cut("one two three")
    (4, 7)
    """
    newline = len(text)
    while (newline := text.rfind("\n", 0, newline)) > 0:
        if _is_cut(text[newline - 1], text[newline + 1 : newline + 2]):
            return newline + 1
    space = len(text)
    while (space := text.rfind(" ", 0, space)) > 0:
        if text[space - 1].isalpha() and text[space + 1 : space + 2].isalpha():
            return space
    return 0


def last_cut_of_utf8(utf8: bytes) -> int:
    r"""Return `last_cut` of UTF-8 text as a byte offset; the end can split a character.

    >>> last_cut_of_utf8("één\ntwee\n drie €".encode()[:-1])
    6
    """
    newline = len(utf8)
    while (newline := utf8.rfind(b"\n", 0, newline)) > 0:
        # Most newlines that are not cuts are next to ASCII white space: skip those undecoded.
        if utf8[newline - 1 : newline].isspace() or utf8[newline + 1 : newline + 2].isspace():
            continue
        # A character has at most four bytes; "ignore" drops the incomplete ones.
        before = utf8[max(0, newline - 4) : newline].decode("utf-8", "ignore")
        after = utf8[newline + 1 : newline + 5].decode("utf-8", "ignore")
        if _is_cut(before[-1:], after[:1]):
            return newline + 1
    space = len(utf8)
    while (space := utf8.rfind(b" ", 0, space)) > 0:
        before = utf8[max(0, space - 4) : space].decode("utf-8", "ignore")
        after = utf8[space + 1 : space + 5].decode("utf-8", "ignore")
        if before[-1:].isalpha() and after[:1].isalpha():
            return space
    return 0


def is_cut_inside(text: str) -> bool:
    r"""Return whether `last_cut` can be inside of *text*, an added token, or directly after it.

    >>> [is_cut_inside(text) for text in ("<|a b|>", "a\n", "<|a|>", "  ")]
    [True, True, False, False]
    """
    return "\n" in text or any(a.isalpha() and b == " " for a, b in pairwise(text))


def _is_cut(before: str, after: str) -> bool:
    """Return whether text can be cut after a newline between these characters ("" for none)."""
    return not before.isspace() and after not in ("", "/") and not after.isspace()
