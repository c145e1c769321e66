"""Tests of the exercises of chapter 3."""

from types import ModuleType

import pytest
import regex

from pytok.patterns import CL100K, GPT2

TEXTS = [
    "the cat, 2\n sat",
    "  two  spaces ",
    "héllo, 안녕! 👋\n\n\tпривет",
    "",
    " ",
    "12345",
    "f(x) = x**2",
]


@pytest.mark.parametrize("text", TEXTS)
def test_3a_pieces_are_the_text(chapter: ModuleType, text: str) -> None:
    """Joined: nothing is lost, nothing is added."""
    pieces = chapter.split_words(text)

    assert "".join(pieces) == text, "What no alternative matches, findall drops: match everything."
    assert "" not in pieces, "A piece has at least one character: use +, not *."


def test_3a_a_word_takes_one_space(chapter: ModuleType) -> None:
    """Only a space, and only one."""
    assert chapter.split_words("the cat") == ["the", " cat"], "The space belongs to the next word."
    assert chapter.split_words("a  b") == ["a", " ", " b"], "Of two spaces, the word takes one."
    assert chapter.split_words("a\tb") == ["a", "\t", "b"], "A tab is no space."
    assert chapter.split_words("the cat, 2\n sat") == ["the", " cat", ", 2\n", " sat"], (
        "All that is between two words is one piece, except the space before a word."
    )


def test_3a_letters_are_those_of_all_scripts(chapter: ModuleType) -> None:
    """Neither digits nor the underscore."""
    assert chapter.split_words("안녕 привет") == ["안녕", " привет"], r"\p{L} has all letters."
    assert chapter.split_words("x_1") == ["x", "_1"], r"\w would match digits and underscores."


@pytest.mark.parametrize(
    ("digits", "groups"),
    [
        ("1234567", ["1", "234", "567"]),
        ("12", ["12"]),
        ("123", ["123"]),
        ("1000000000", ["1", "000", "000", "000"]),
        ("", []),
    ],
)
def test_3b_groups_end_at_thousands(chapter: ModuleType, digits: str, groups: list[str]) -> None:
    """As in 1,234,567."""
    assert chapter.group_digits(digits) == groups, "The last group always has three digits."


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("one\ntwo\nthree", 8),
        ("one\ntwo\n three", 4),
        ("one\n\ntwo", 0),
        ("one\n", 0),
        ("\none", 0),
        ("one two", 0),
        ("", 0),
    ],
)
def test_3c_the_last_newline_between_characters(chapter: ModuleType, text: str, index: int) -> None:
    """That are no white space."""
    assert chapter.last_cut(text) == index, repr(text)


@pytest.mark.parametrize("pattern", [GPT2, CL100K], ids=["gpt2", "cl100k"])
def test_3c_the_pieces_are_the_same(chapter: ModuleType, pattern: str) -> None:
    """Whether the text is cut there or not."""
    text = "It's 2024:\nif x:\n    return y\n\n  # done.\nprint(12345)\n"
    cut = chapter.last_cut(text)

    assert cut > 0, "This text has lines that can be cut."
    assert regex.findall(pattern, text[:cut]) + regex.findall(pattern, text[cut:]) == (
        regex.findall(pattern, text)
    )
