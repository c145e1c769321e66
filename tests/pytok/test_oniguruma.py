"""Patterns mean the same in Oniguruma, the engine of tokenizers, and in Rust's dialect."""

import contextlib
import functools
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from pytok.byte_order import BYTE_ORDER
from pytok.definition import Definition, Split
from pytok.engine import EngineName
from pytok.errors import FormatError
from pytok.formats.oniguruma import as_literal, from_rust, literal, to_rust
from pytok.formats.pre_tokenizer import WHOLE_TEXT
from pytok.patterns import ASCII_CLASSES, PATTERNS
from pytok.tokenizer import Tokenizer
from tests.conftest import ENGINES
from tests.pytok.strategies import texts
from tests.pytok.test_formats import without_new_characters

CHARACTERS = "".join(
    chr(point)
    for point in (*range(0x32000), *range(0xE0000, 0xE01F0), 0xF0000, 0x10FFFF)
    if not 0xD800 <= point < 0xE000
)
BYTES = [bytes([byte]) for byte in BYTE_ORDER]

CLASSES = [r"\w", r"\W", r"\d", r"\s", r"\S", r"[^\W\d_]", r"\b[^-]", r"\p{Zs}", r"\p{Han}"]
CLASSES += [r"\p{Alphabetic}", r"\p{Lowercase}", r"\p{Uppercase}", r"\p{White_Space}", r"\p{Cf}"]
CLASSES += [rf"[[:{name}:]]" for name in sorted(ASCII_CLASSES.keys() - {"graph", "print"})]
CLASSES += [r"[^[:^alpha:]é]", r"[\p{L}&&[^\p{Han}\p{Lu}]]", r"[^(\s|[.,!?…。])]", r"\x{41}|\u00e9"]


@functools.lru_cache(maxsize=8)
def splitter(pattern: str, engine: EngineName) -> Tokenizer:
    """Return a tokenizer that removes the matches of *pattern*."""
    splits = (Split(pattern, "removed"),)
    definition = Definition("split", BYTES, range(256), WHOLE_TEXT, splits=splits)
    return Tokenizer.from_definition(definition, engine)


def kept_by_tokenizers(pattern: str, text: str) -> list[str]:
    """Return the pieces between the matches of *pattern*, as Oniguruma finds them."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    return [piece for piece, _ in split.pre_tokenize_str(text)]


def kept(pattern: str, text: str, engines: Sequence[EngineName] = ENGINES) -> list[str]:
    """Return the pieces between the matches of *pattern*, which is in Rust's dialect."""
    found, *others = (splitter(pattern, engine).pieces(text) for engine in engines)
    assert all(other == found for other in others)
    return found


@pytest.mark.parametrize("pattern", [each for each in CLASSES if r"\x{" not in each])
def test_a_class_of_oniguruma_has_the_same_characters(pattern: str) -> None:
    """All code points in one text."""
    assert kept(to_rust(pattern), CHARACTERS, ["native"]) == kept_by_tokenizers(pattern, CHARACTERS)


@pytest.mark.parametrize("pattern", [each for each in CLASSES if r"\x{" not in each])
def test_a_class_of_rust_has_the_same_characters(pattern: str) -> None:
    """All code points in one text."""
    assert kept(pattern, CHARACTERS, ["native"]) == kept_by_tokenizers(
        from_rust(pattern), CHARACTERS
    )


SYNTAX = [
    *CLASSES[:-1],
    *PATTERNS.values(),
    r"^\w",
    r"\w$|\n",
    r"\A.|.\z",
    r"(?<=\n)^.|\s(?!$)",
    r"\b\w+\B?",
    r"(?>a+|\s+)[^-a-z]",
    r"[a-z-]+|[-+]|[\]\[^&|~]",
    r"[\w.-]+?|[[a-f][:digit:]]{2,3}",
    r"[\p{Han}]+|[\p{L}&&[^\p{Han}]]+|[^\p{L}]+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
]


@pytest.mark.parametrize("pattern", SYNTAX)
@given(text=texts().map(without_new_characters))
def test_translated_patterns_split_any_text_alike(pattern: str, text: str) -> None:
    r"""From Rust's dialect, and to it where Oniguruma means something else by \w, ^ or $."""
    for ours, theirs in translations(pattern):
        assert kept(ours, text) == kept_by_tokenizers(theirs, text)


def translations(pattern: str) -> list[tuple[str, str]]:
    """Return pairs of what is in Rust's dialect and in Oniguruma's, as far as it is translated."""
    pairs = []
    with contextlib.suppress(FormatError):
        pairs.append((pattern, from_rust(pattern)))
    with contextlib.suppress(FormatError):
        pairs.append((to_rust(pattern), pattern))
    return pairs


@pytest.mark.parametrize("pattern", [*SYNTAX, r"[\w]", r"[^\w]", r"[[:upper:][:lower:]]", r"\x41"])
def test_a_written_pattern_is_read_as_it_was(pattern: str) -> None:
    """Otherwise saving a tokenizer would change its fingerprint."""
    if r"\B" not in pattern:
        assert to_rust(from_rust(pattern)) == pattern
        assert to_rust(from_rust(to_rust(from_rust(pattern)))) == pattern


@pytest.mark.parametrize(
    "pattern",
    [r"\d{1,3}+", r"(?i:straße|ss)", r"(?i)a", r"\X", r"\R", r"[a--b]", r"[a~~b]", r"[a&&]", r"\Z"],
)
@pytest.mark.parametrize("translate", [from_rust, to_rust])
def test_syntax_with_two_meanings_is_an_error(
    translate: Callable[[str], str], pattern: str
) -> None:
    """The message has the part that is not translated."""
    with pytest.raises(FormatError, match="could read differently"):
        translate(pattern)


@pytest.mark.parametrize("translate", [from_rust, to_rust])
def test_sets_that_are_nested_without_end_are_an_error(translate: Callable[[str], str]) -> None:
    """The reader calls itself for each, which Python bounds."""
    with pytest.raises(FormatError, match="more than 100 sets in each other"):
        translate("[" * 5000 + "a" + "]" * 5000)


@given(text=st.text(min_size=1))
def test_a_literal_matches_its_text_and_is_recognized(text: str) -> None:
    """It is written as a String."""
    assert as_literal(literal(text)) == text
    assert kept(literal(text), f"a{text}b") == ["a", "b"] or text in ("a", "b")
