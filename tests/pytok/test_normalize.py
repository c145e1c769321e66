"""Normalization: equal to `unicodedata` and to tokenizers, in both engines."""

import unicodedata
from typing import Any

import pytest
import tokenizers.normalizers as theirs
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.definition import Definition, Step
from pytok.engine import Core, EngineName
from pytok.errors import PatternError, VocabError
from pytok.reference.normalize import Form, normal_form
from tests.conftest import ENGINES
from tests.pytok.strategies import texts

FORMS: list[Form] = ["NFC", "NFD", "NFKC", "NFKD"]
BYTES = [bytes([byte]) for byte in BYTE_ORDER]
KNOWN = [
    chr(point)
    for point in range(0x30000)
    if not 0xD800 <= point < 0xE000 and unicodedata.category(chr(point)) != "Cn"
]
"""The characters that the installed Python knows; their normalization never changes."""
MARKS = [character for character in KNOWN if unicodedata.combining(character)]
COMPOSED = [c for c in KNOWN if unicodedata.normalize("NFKD", c) != c]


def core(engine: EngineName, *steps: Step) -> Core:
    """Return the core of a tokenizer of bytes with *steps*."""
    definition = Definition("bytes", BYTES, range(256), "gpt2", normalizer=steps)
    return pytok.Tokenizer.from_definition(definition, engine)._core


def composable() -> st.SearchStrategy[str]:
    """Texts of characters that decompose, compose, or are ordered."""
    jamo = st.characters(min_codepoint=0x1100, max_codepoint=0x11FF)
    hangul = st.characters(min_codepoint=0xAC00, max_codepoint=0xAC40)
    part = st.one_of(
        st.sampled_from("aeoAn q1\n"),
        st.sampled_from(MARKS),
        st.sampled_from(COMPOSED),
        jamo,
        hangul,
        st.sampled_from(KNOWN),
    )
    return st.lists(part, max_size=12).map("".join)


@pytest.mark.parametrize("form", FORMS)
def test_all_characters_have_the_forms_of_unicodedata(engine: EngineName, form: Form) -> None:
    """One by one, with a character between them."""
    text = "q".join(KNOWN)

    assert core(engine, (form,)).normalize(text) == unicodedata.normalize(form, text)


@given(composable(), st.sampled_from(FORMS))
def test_texts_have_the_forms_of_unicodedata(text: str, form: Form) -> None:
    """Whatever composes with what."""
    for engine in ENGINES:
        assert core(engine, (form,)).normalize(text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", FORMS)
def test_all_characters_have_one_form_in_both_engines(form: Form) -> None:
    """Also those that the installed Python does not know; from U+30000 on all are inert."""
    every = (chr(point) for point in range(0x30000) if not 0xD800 <= point < 0xE000)
    text = "".join(f"e{character}\u0301" for character in every)
    native, reference = (core(engine, (form,)).normalize(text) for engine in ENGINES)

    assert native == reference


@given(st.lists(st.sampled_from("\U000113c2\U000113b8\U00016121\U0001611e\u0301\u0897e")))
def test_characters_newer_than_python_compose(parts: list[str]) -> None:
    """The algorithm in Python equals the crate on characters of Unicode 16."""
    text = "".join(parts)
    for form in FORMS:
        assert normal_form(form, text) == core("native", (form,)).normalize(text)


STEPS: list[tuple[Step, Any]] = [
    (("NFC",), theirs.NFC()),
    (("NFKC",), theirs.NFKC()),
    (("Lowercase",), theirs.Lowercase()),
    (("Prepend", "▁"), theirs.Prepend("▁")),
    (("Replace", r"\s+", " "), theirs.Replace(Regex(r"\s+"), " ")),
    (("Replace", "a", "bb"), theirs.Replace("a", "bb")),
]


@given(composable() | texts(), st.lists(st.sampled_from(STEPS), max_size=3))
def test_steps_equal_those_of_tokenizers(text: str, steps: list[tuple[Step, Any]]) -> None:
    """Alone and in sequence. tokenizers 0.23 has the tables of an older Unicode."""
    text = "".join(c for c in text if unicodedata.ucd_3_2_0.category(c) != "Cn")
    expected = theirs.Sequence([their for _, their in steps]).normalize_str(text)
    for engine in ENGINES:
        assert core(engine, *(ours for ours, _ in steps)).normalize(text) == expected


def test_a_composed_character_stands_for_all_that_it_was_composed_of(engine: EngineName) -> None:
    """Its bytes have the range of both."""
    ids, offsets = core(engine, ("NFC",)).encode_with_offsets("ae\u0301b", None)

    assert len(ids) == 4
    assert offsets == [(0, 1), (1, 3), (1, 3), (3, 4)]


def test_what_is_put_before_a_text_stands_for_its_first_character(engine: EngineName) -> None:
    """As in tokenizers."""
    _, offsets = core(engine, ("Prepend", "__")).encode_with_offsets("ab", None)

    assert offsets == [(0, 1), (0, 1), (0, 1), (1, 2)]


def test_a_replacement_that_matches_nothing_at_all_is_an_error(engine: EngineName) -> None:
    """With the position."""
    with pytest.raises(PatternError, match="the empty string at byte 0"):
        core(engine, ("Replace", "x*", "y")).normalize("abc")


@pytest.mark.parametrize("step", [("NFX",), ("NFC", "x"), ("Replace", "x")])
def test_an_unknown_step_is_an_error(step: Step) -> None:
    """A definition names the steps that there are."""
    with pytest.raises(VocabError, match="not a step of normalization: use NFC"):
        Definition("bytes", BYTES, range(256), "gpt2", normalizer=(step,))
