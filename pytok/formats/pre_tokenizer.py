r"""The ``pre_tokenizer`` of a tokenizer.json: what splits a text into pieces, as one pattern.

Hugging Face's splits run one after the other, each on the pieces of the one before, where the end
of a piece is the end of the text to `(?!\S)`. Most files have one split; `_SEQUENCES` has the
others that are known to equal a single pattern. The last part is always ByteLevel, which spells
bytes as letters.
"""

from collections.abc import Callable
from typing import Any

from pytok.errors import FormatError
from pytok.formats.fields import Fields
from pytok.formats.oniguruma import BYTE_LEVEL, escaped, literal, unspell
from pytok.patterns import PATTERNS

WHOLE_TEXT = r"[\s\S]+"
"""The pattern of a pre-tokenizer that does not split."""

_BETWEEN_NUMBERS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+"
"""GPT-2's pattern without numbers, before which a piece of white space ends."""
# The characters of DeepSeek's second split, by what its third makes of them.
_KANJI = "\u4e00-\u9fa5\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
_KANJI_MARKS = "\u309b\u309c\u30a0\u30fb"
_KANJI_UNASSIGNED = "\u3040\u3097\u3098"
_ANY_KANJI = "\u4e00-\u9fa5\u3040-\u30ff"

_SEQUENCES = {
    # Digits and ByteLevel: StarCoder, SmolLM.
    (r"\p{N}", BYTE_LEVEL): rf"\p{{N}}|{_BETWEEN_NUMBERS}",
    (r"\p{N}+", BYTE_LEVEL): rf"\p{{N}}+|{_BETWEEN_NUMBERS}",
    # DeepSeek-V3 and -R1. What the first two splits find ends the pieces beside it, so the classes
    # of the third must not take it, and white space before it is a piece.
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
"""Splits that run one after the other, and the pattern that splits as all of them do."""


def pattern_of(reader: Fields, document: dict[str, Any]) -> str:
    """The pattern that splits as the file's pre-tokenizer does; FormatError if none is known to."""
    parts = reader.parts(document, "pre_tokenizer", "pretokenizers")
    types = [part["type"] for _, part in parts]
    if "ByteLevel" not in types:
        raise FormatError(
            f"{reader.path}: pre_tokenizer has no ByteLevel: that BPE is over characters, as "
            "SentencePiece's is, and pytok reads byte-level BPE only"
        )
    if types.index("ByteLevel") < len(types) - 1:
        raise FormatError(
            f"{reader.path}: pre_tokenizer goes on after ByteLevel, where text is spelled as "
            "letters: pytok splits text only"
        )
    splits = []
    for where, part in parts:
        if part["type"] not in _SPLITS:
            raise FormatError(
                f"{reader.path}: {where}.type is {part['type']!r}, and pytok knows no pattern that "
                f"splits alike: {', '.join(_SPLITS)} are read"
            )
        splits += _SPLITS[part["type"]](reader, part, f"{where}.")
    if single := _SEQUENCES.get(tuple(map(escaped, splits))):
        return single
    if len(splits) > 1:
        raise FormatError(
            f"{reader.path}: pre_tokenizer splits {len(splits)} times, one after the other, and "
            "pytok knows no single pattern that splits alike"
        )
    return _unspell(reader, splits[0], "pre_tokenizer: ") if splits else WHOLE_TEXT


def _unspell(reader: Fields, regex: str, where: str) -> str:
    try:
        return unspell(regex)
    except FormatError as error:
        raise FormatError(f"{reader.path}: {where}{error}") from None


def _split(reader: Fields, part: dict[str, Any], where: str) -> list[str]:
    regex = _regex_of(reader, reader.get(part, "pattern", dict, where), where)
    behavior = reader.get(part, "behavior", str, where)
    inverted = reader.get(part, "invert", bool, where)
    if behavior == "Isolated":  # which keeps what is between the matches, too: inverted or not
        return [regex]
    if behavior != "Removed" or not inverted:
        raise FormatError(
            f"{reader.path}: {where}behavior is {behavior!r}, invert is {inverted}: pytok keeps "
            "every match as a piece, as 'Isolated' does"
        )
    if _unspell(reader, regex, where) not in PATTERNS.values():
        raise FormatError(
            f"{reader.path}: {where}behavior is 'Removed', inverted: text that the pattern does "
            "not match would be dropped, and pytok drops nothing"
        )
    return [regex]


def _regex_of(reader: Fields, pattern: dict[str, Any], where: str) -> str:
    match pattern:
        case {"Regex": str(regex)}:
            return regex
        case {"String": str(text)} if text:
            return literal(text)
    raise FormatError(f"{reader.path}: {where}pattern is neither a Regex nor a String with text")


def _digits(reader: Fields, part: dict[str, Any], where: str) -> list[str]:
    # Theirs are the numbers of Rust's own Unicode, which may know a few that are newer.
    return [r"\p{N}" if reader.get(part, "individual_digits", bool, where) else r"\p{N}+"]


def _byte_level(reader: Fields, part: dict[str, Any], where: str) -> list[str]:
    if reader.get(part, "add_prefix_space", bool, where):
        raise FormatError(
            f"{reader.path}: {where}add_prefix_space is true: it puts a space before the text, "
            "and pytok encodes text as it is"
        )
    splits = reader.get(part, "use_regex", bool, where) if "use_regex" in part else True
    return [BYTE_LEVEL] if splits else []


_SPLITS: dict[str, Callable[[Fields, dict[str, Any], str], list[str]]] = {
    "Split": _split,
    "Digits": _digits,
    "ByteLevel": _byte_level,
}
"""By type: the regexes that a part splits by, none or one, in Oniguruma's dialect."""
