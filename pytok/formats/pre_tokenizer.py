r"""The ``pre_tokenizer`` of a tokenizer.json, which splits a text into pieces, as one pattern.

Hugging Face's splits run in sequence, each on the pieces of the previous one, where `(?!\S)` sees
the end of a piece as the end of the text. Most files have one split; `_SEQUENCES` lists sequences
that are known to equal a single pattern. The last step is always ByteLevel, which maps bytes to
letters.
"""

from collections.abc import Callable
from typing import Any

from pytok.errors import FormatError
from pytok.formats.fields import Fields
from pytok.formats.oniguruma import BYTE_LEVEL, escape_line_ends, literal, to_rust
from pytok.patterns import PATTERNS

WHOLE_TEXT = r"[\s\S]+"
"""The pattern of a pre-tokenizer that does not split."""

_BETWEEN_NUMBERS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+"
"""GPT-2's pattern without numbers; a piece of white space ends before a number."""
# The characters of DeepSeek's second split, by the classes of its third.
_KANJI = "\u4e00-\u9fa5\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
_KANJI_MARKS = "\u309b\u309c\u30a0\u30fb"
_KANJI_UNASSIGNED = "\u3040\u3097\u3098"
_ANY_KANJI = "\u4e00-\u9fa5\u3040-\u30ff"

_SEQUENCES = {
    # Digits and ByteLevel: StarCoder, SmolLM.
    (r"\p{N}", BYTE_LEVEL): rf"\p{{N}}|{_BETWEEN_NUMBERS}",
    (r"\p{N}+", BYTE_LEVEL): rf"\p{{N}}+|{_BETWEEN_NUMBERS}",
    # DeepSeek-V3 and -R1. Matches of the first two splits end the neighboring pieces, so the
    # classes of the third must exclude their characters, and white space before them is a piece.
    (
        r"\p{N}{1,3}",
        "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
        r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ): r"\p{N}{1,3}"
    rf"|[{_KANJI_UNASSIGNED}]?[{_KANJI}]+|[{_KANJI_MARKS}]+|[{_KANJI_UNASSIGNED}]+(?![{_KANJI}])"
    r"|[!-/:-@\[-`{-~][A-Za-z]+"
    rf"|[^\r\n\p{{L}}\p{{P}}\p{{S}}\p{{N}}{_ANY_KANJI}]?(?:(?![{_ANY_KANJI}])[\p{{L}}\p{{M}}])+"
    rf"| ?(?:(?![{_ANY_KANJI}])[\p{{P}}\p{{S}}])+[\r\n]*|\s*[\r\n]+"
    rf"|\s+(?![^\s\p{{N}}{_ANY_KANJI}])|\s+",
}
"""Sequences of splits, and for each the pattern that gives the same pieces."""


def read_pattern(reader: Fields, document: dict[str, Any]) -> str:
    """Return the pattern that is equivalent to the file's pre-tokenizer.

    Raises FormatError if none is known.
    """
    steps = reader.steps(document, "pre_tokenizer", "pretokenizers")
    types = [step["type"] for _, step in steps]
    if "ByteLevel" not in types:
        raise FormatError(
            f"{reader.path}: pre_tokenizer has no ByteLevel: this is BPE over characters, as in "
            "SentencePiece, and pytok reads byte-level BPE only"
        )
    if types.index("ByteLevel") < len(types) - 1:
        raise FormatError(
            f"{reader.path}: pre_tokenizer has steps after ByteLevel, which see letters instead of "
            "bytes: pytok reads only steps before it"
        )
    splits = []
    for where, step in steps:
        if step["type"] not in _SPLITS:
            raise FormatError(
                f"{reader.path}: {where}.type is {step['type']!r}, for which pytok has no "
                f"equivalent pattern: {', '.join(_SPLITS)} are read"
            )
        splits += _SPLITS[step["type"]](reader, step, f"{where}.")
    if single := _SEQUENCES.get(tuple(map(escape_line_ends, splits))):
        return single
    if len(splits) > 1:
        raise FormatError(
            f"{reader.path}: pre_tokenizer splits {len(splits)} times in sequence, for which pytok "
            "has no equivalent pattern"
        )
    return _to_rust(reader, splits[0], "pre_tokenizer: ") if splits else WHOLE_TEXT


def _to_rust(reader: Fields, regex: str, where: str) -> str:
    try:
        return to_rust(regex)
    except FormatError as error:
        raise FormatError(f"{reader.path}: {where}{error}") from None


def _split(reader: Fields, step: dict[str, Any], where: str) -> list[str]:
    regex = _regex_of(reader, reader.get(step, "pattern", dict, where), where)
    behavior = reader.get(step, "behavior", str, where)
    inverted = reader.get(step, "invert", bool, where)
    if behavior == "Isolated":  # also keeps the text between the matches: inverted or not
        return [regex]
    if behavior != "Removed" or not inverted:
        raise FormatError(
            f"{reader.path}: {where}behavior is {behavior!r}, invert is {inverted}: pytok keeps "
            "every match as a piece, as 'Isolated' does"
        )
    if _to_rust(reader, regex, where) not in PATTERNS.values():
        raise FormatError(
            f"{reader.path}: {where}behavior is 'Removed', inverted: text that the pattern does "
            "not match would be dropped, and pytok drops no text"
        )
    return [regex]


def _regex_of(reader: Fields, pattern: dict[str, Any], where: str) -> str:
    match pattern:
        case {"Regex": str(regex)}:
            return regex
        case {"String": str(text)} if text:
            return literal(text)
    raise FormatError(f"{reader.path}: {where}pattern is neither a Regex nor a String with text")


def _digits(reader: Fields, step: dict[str, Any], where: str) -> list[str]:
    # tokenizers uses Rust's `char::is_numeric`, whose Unicode version can be newer.
    return [r"\p{N}" if reader.get(step, "individual_digits", bool, where) else r"\p{N}+"]


def _byte_level(reader: Fields, step: dict[str, Any], where: str) -> list[str]:
    if reader.get(step, "add_prefix_space", bool, where):
        raise FormatError(
            f"{reader.path}: {where}add_prefix_space is true: it puts a space before the text, "
            "and pytok encodes text unchanged"
        )
    splits = reader.get(step, "use_regex", bool, where) if "use_regex" in step else True
    return [BYTE_LEVEL] if splits else []


_SPLITS: dict[str, Callable[[Fields, dict[str, Any], str], list[str]]] = {
    "Split": _split,
    "Digits": _digits,
    "ByteLevel": _byte_level,
}
"""For each type of step, a function that returns its regexes, at most one, for Oniguruma."""
