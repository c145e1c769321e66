r"""The ``pre_tokenizer`` of a tokenizer.json, which splits a text into pieces.

Hugging Face's splits run in sequence, each on the pieces of the previous one, where `(?!\S)` sees
the end of a piece as the end of the text. A first split that keeps all text is the pattern of a
`pytok.definition.Definition`, the others are its further splits; `_SEQUENCES` lists sequences that
are known to equal a single pattern, which is faster. ByteLevel maps bytes to letters: the splits of
steps after it are splits of letters.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pytok.definition import Behavior, Split
from pytok.errors import FormatError
from pytok.formats.fields import Fields
from pytok.formats.oniguruma import (
    BYTE_LEVEL,
    as_literal,
    escape_line_ends,
    from_rust,
    literal,
    read_pattern,
    regex_of,
    to_rust,
)
from pytok.patterns import PATTERNS

Json = dict[str, Any]

WHOLE_TEXT = r"[\s\S]+"
"""The pattern of a pre-tokenizer that does not split."""

_BETWEEN_NUMBERS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+"
"""GPT-2's pattern without numbers; a piece of white space ends before a number."""
GPT2_DIGITS = rf"\p{{N}}|{_BETWEEN_NUMBERS}"
"""GPT-2's pattern with each digit as a piece: StarCoder, SmolLM."""
# The characters of DeepSeek's second split, by the classes of its third.
_KANJI = "\u4e00-\u9fa5\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
_KANJI_MARKS = "\u309b\u309c\u30a0\u30fb"
_KANJI_UNASSIGNED = "\u3040\u3097\u3098"
_ANY_KANJI = "\u4e00-\u9fa5\u3040-\u30ff"

_SEQUENCES = {
    (r"\p{N}", BYTE_LEVEL): GPT2_DIGITS,  # Digits and ByteLevel
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


def _with_line_ends(regexes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(regex.replace(r"\r\n", "\r\n") for regex in regexes)


_AS_WRITTEN = {single: _with_line_ends(regexes) for regexes, single in _SEQUENCES.items()}
"""The sequences as Hugging Face's files have them, which tokenizers 1.0 knows: with line ends."""

_PUNCTUATION = r"[!-/:-@\[-`{-~\u166d\p{P}]"
r"""ASCII punctuation and category P; U+166D was in it when tokenizers' tables were made."""

_BEHAVIORS: dict[str, Behavior] = {
    "Isolated": "isolated",
    "Removed": "removed",
    "MergedWithPrevious": "merged_with_previous",
    "MergedWithNext": "merged_with_next",
    "Contiguous": "contiguous",
}
"""The names of behaviors in a file, and in a definition."""


_DIGIT, _DIGITS = Split(r"\p{N}"), Split(r"\p{N}+")
_SPACE = Split(r"\s", "removed")
_WORDS = Split(r"\w+|[^\w\s]+", "removed", invert=True)

_NAMED: dict[Split, Json] = {
    _DIGIT: {"type": "Digits", "individual_digits": True},
    _DIGITS: {"type": "Digits", "individual_digits": False},
    _SPACE: {"type": "WhitespaceSplit"},
    _WORDS: {"type": "Whitespace"},
    **{
        Split(_PUNCTUATION, behavior): {"type": "Punctuation", "behavior": name}
        for name, behavior in _BEHAVIORS.items()
    },
}
"""Splits that have a type of their own, which tokenizers 1.0 can apply: it has no regex engine."""


class Splitting(NamedTuple):
    """How text is split: the parts of a `pytok.definition.Definition` with these names."""

    pattern: str
    splits: tuple[Split, ...]
    prefix_space: bool


def read_splitting(reader: Fields, document: Json) -> Splitting:
    """Return how the file's pre-tokenizer splits.

    Raises FormatError if no splits of a definition equal it.
    """
    steps = reader.steps(document, "pre_tokenizer", "pretokenizers")
    types = [step["type"] for _, step in steps]
    if "ByteLevel" not in types:
        raise FormatError(
            f"{reader.path}: pre_tokenizer has no ByteLevel: this is BPE over characters, as in "
            "SentencePiece, and pytok reads byte-level BPE only"
        )
    if types.count("ByteLevel") > 1:
        raise FormatError(
            f"{reader.path}: pre_tokenizer has ByteLevel twice, so that letters of letters are "
            "encoded: remove one"
        )
    for where, step in steps:
        if step["type"] not in _SPLITS:
            raise FormatError(
                f"{reader.path}: {where}.type is {step['type']!r}, which pytok cannot follow: it "
                f"reads {', '.join(_SPLITS)}"
            )
    is_last = types[-1] == "ByteLevel"
    if is_last and (single := _single_pattern(reader, steps)):
        return Splitting(single, (), prefix_space=False)
    splits: list[Split] = []
    prefix_space = sees_letters = False
    for where, step in steps:
        if step["type"] == "ByteLevel" and reader.get(step, "add_prefix_space", bool, f"{where}."):
            if splits:
                raise FormatError(
                    f"{reader.path}: {where}.add_prefix_space is true: it puts a space before each "
                    "piece of the steps before it, and pytok only before a text"
                )
            prefix_space = True
        found = _SPLITS[step["type"]](reader, step, f"{where}.")
        splits += [split._replace(letters=sees_letters) for split in found]
        sees_letters = sees_letters or step["type"] == "ByteLevel"
    pattern = WHOLE_TEXT
    if splits and splits[0].behavior == "isolated" and not splits[0].letters:
        pattern, *_ = splits.pop(0)
    return Splitting(pattern, tuple(splits), prefix_space)


def _single_pattern(reader: Fields, steps: Sequence[tuple[str, Json]]) -> str | None:
    """Return the pattern that gives the same pieces as a known sequence of *steps*, if it is one.

    The steps are recognized by what they are in Oniguruma.
    """
    regexes = []
    for where, step in steps:
        match step:
            case {"type": "Split", "behavior": "Isolated", "pattern": dict(pattern)}:
                regexes.append(escape_line_ends(regex_of(reader, pattern, f"{where}.")))
            case {"type": "Digits", "individual_digits": bool(individual)}:
                regexes.append(r"\p{N}" if individual else r"\p{N}+")
            case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}:
                pass
            case {"type": "ByteLevel", "add_prefix_space": False}:
                regexes.append(BYTE_LEVEL)
            case _:
                return None
    return _SEQUENCES.get(tuple(regexes))


def write_splitting(pattern: str, splits: Sequence[Split], *, prefix_space: bool) -> Json:
    """Return the value of the field ``pre_tokenizer``.

    Raises FormatError for a pattern that cannot be translated.
    """
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": prefix_space,
        "trim_offsets": False,
        "use_regex": False,
    }
    of_text = [split for split in splits if not split.letters]
    of_letters = [_write_split(split) for split in splits if split.letters]
    if not prefix_space and not splits and (regexes := _AS_WRITTEN.get(pattern)):
        return _write_sequence(regexes, byte_level)
    if not prefix_space:
        # A pattern that keeps all text as it is would have no effect before the other splits.
        first = [] if splits and pattern == WHOLE_TEXT else [Split(pattern)]
        steps = [_write_split(split) for split in (*first, *of_text)]
        return {"type": "Sequence", "pretokenizers": [*steps, byte_level, *of_letters]}
    if of_text or pattern not in (WHOLE_TEXT, to_rust(BYTE_LEVEL)):
        raise FormatError(
            "tokenizer.json has a space in front of a text only without splits or with the gpt2 "
            "pattern"
        )
    byte_level["use_regex"] = pattern != WHOLE_TEXT
    if not of_letters:
        return byte_level
    return {"type": "Sequence", "pretokenizers": [byte_level, *of_letters]}


def _write_sequence(regexes: Sequence[str], byte_level: Json) -> Json:
    """Return a known sequence of Digits, splits, and the split of ByteLevel."""
    steps = [
        {"type": "Digits", "individual_digits": regex == r"\p{N}"}
        if regex in (r"\p{N}", r"\p{N}+")
        else {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
        for regex in regexes
        if regex != BYTE_LEVEL
    ]
    last = {**byte_level, "use_regex": BYTE_LEVEL in regexes}
    return {"type": "Sequence", "pretokenizers": [*steps, last]}


def _write_split(split: Split) -> Json:
    if named := _NAMED.get(split._replace(letters=False)):
        return named
    text = as_literal(split.pattern)
    return {
        "type": "Split",
        "pattern": {"Regex": from_rust(split.pattern)} if text is None else {"String": text},
        "behavior": {short: name for name, short in _BEHAVIORS.items()}[split.behavior],
        "invert": split.invert,
    }


def _split(reader: Fields, step: Json, where: str) -> list[Split]:
    regex = read_pattern(reader, step, where)
    behavior = _behavior(reader, step, where)
    invert = reader.get(step, "invert", bool, where)
    # The known patterns match all text, and each match is a piece.
    matches_all = behavior == "removed" and invert and regex in PATTERNS.values()
    if behavior == "isolated" or matches_all:  # isolated: inverted or not
        return [Split(regex)]
    return [Split(regex, behavior, invert)]


def _behavior(reader: Fields, step: Json, where: str) -> Behavior:
    name = reader.get(step, "behavior", str, where)
    if name not in _BEHAVIORS:
        raise FormatError(
            f"{reader.path}: {where}behavior is {name!r}: it is one of {', '.join(_BEHAVIORS)}"
        )
    return _BEHAVIORS[name]


def _digits(reader: Fields, step: Json, where: str) -> list[Split]:
    # tokenizers uses Rust's `char::is_numeric`, whose Unicode version can be newer.
    return [_DIGIT if reader.get(step, "individual_digits", bool, where) else _DIGITS]


def _punctuation(reader: Fields, step: Json, where: str) -> list[Split]:
    # Files that are older than the field have no behavior.
    return [Split(_PUNCTUATION, _behavior(reader, {"behavior": "Isolated"} | step, where))]


def _bert(reader: Fields, step: Json, where: str) -> list[Split]:
    return [_SPACE, Split(_PUNCTUATION)]


def _whitespace(reader: Fields, step: Json, where: str) -> list[Split]:
    return [_WORDS]


def _whitespace_split(reader: Fields, step: Json, where: str) -> list[Split]:
    return [_SPACE]


def _delimiter(reader: Fields, step: Json, where: str) -> list[Split]:
    delimiter = reader.get(step, "delimiter", str, where)
    if len(delimiter) != 1:
        raise FormatError(f"{reader.path}: {where}delimiter is {delimiter!r}, not one character")
    return [Split(literal(delimiter), "removed")]


def _fixed_length(reader: Fields, step: Json, where: str) -> list[Split]:
    length = reader.get(step, "length", int, where) if "length" in step else 5
    if not 1 <= length <= _MAX_LENGTH:
        raise FormatError(f"{reader.path}: {where}length is {length}: pytok reads 1 to 1000")
    return [Split(rf"[\s\S]{{1,{length}}}")]


def _byte_level(reader: Fields, step: Json, where: str) -> list[Split]:
    splits = reader.get(step, "use_regex", bool, where) if "use_regex" in step else True
    return [Split(to_rust(BYTE_LEVEL))] if splits else []


_MAX_LENGTH = 1000
"""Longest pieces of a fixed length: repetitions are expanded by the regex engines."""

_SPLITS: dict[str, Callable[[Fields, Json, str], list[Split]]] = {
    "Split": _split,
    "Digits": _digits,
    "Punctuation": _punctuation,
    "Whitespace": _whitespace,
    "WhitespaceSplit": _whitespace_split,
    "CharDelimiterSplit": _delimiter,
    "FixedLength": _fixed_length,
    "BertPreTokenizer": _bert,
    "ByteLevel": _byte_level,
}
"""For each type of step, a function that returns its splits."""
