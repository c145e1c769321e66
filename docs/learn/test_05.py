"""Tests of the exercises of chapter 5."""

import base64
import re
from pathlib import Path
from types import ModuleType

import pytest

import pytok

LICENSE = (Path(__file__).parents[2] / "LICENSE-APACHE").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def ranks() -> dict[bytes, int]:
    """The ranks of a tokenizer of the license."""
    return dict(pytok.train([LICENSE], 512, special_tokens=()).vocab)


def test_5a_a_file_of_ranks(chapter: ModuleType, ranks: dict[bytes, int]) -> None:
    """As pytok writes it."""
    lines = [base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items()]

    assert chapter.read_ranks_checked(b"".join(lines)) == ranks
    assert chapter.read_ranks_checked(b"IQ== 0\n\nIg== 1") == {b"!": 0, b'"': 1}, (
        "An empty line is no error, nor is a missing newline at the end."
    )


@pytest.mark.parametrize(
    ("data", "line", "why"),
    [
        (b"IQ== 0\nIg==\n", 2, "a rank is missing"),
        (b"IQ== 0\nIg== 1 2\n", 2, "a field too many"),
        (b"IQ== zero\n", 1, "the rank is no integer"),
        (b"IQ== 0\n\nI*== 1\n", 3, "not base64; empty lines count, too"),
        (b"IQ== 0\nIQ== 1\n", 2, "the same token twice"),
    ],
)
def test_5a_a_damaged_line_is_named(chapter: ModuleType, data: bytes, line: int, why: str) -> None:
    """By its number."""
    try:
        result = f"the result was {chapter.read_ranks_checked(data)}"
    except ValueError as error:
        result = re.sub(r"\W", " ", str(error))

    assert str(line) in result.split(), f"{why}: raise a ValueError that names line {line}"


def test_5b_the_merges_are_those_of_training(chapter: ModuleType, ranks: dict[bytes, int]) -> None:
    """Two parts of lower rank, which pytok's converter writes, too."""
    for token in [b"  ", b" the", b" Contribution"]:
        parts = chapter.recover_merge(token, ranks)

        assert parts is not None, f"{token!r} is made by a merge."
        assert b"".join(parts) == token
        assert max(ranks[part] for part in parts) < ranks[token], (
            "Parts have lower ranks: they existed when the token was learned."
        )
    assert chapter.recover_merge(b" the", ranks) == (b" th", b"e")


def test_5b_only_lower_ranks_take_part(chapter: ModuleType) -> None:
    """A token that was learned later is no part, even if it fits."""
    ranks = {b"a": 0, b"b": 1, b"c": 2, b"ab": 3, b"abc": 4, b"bc": 5}

    assert chapter.recover_merge(b"abc", ranks) == (b"ab", b"c")
    assert chapter.recover_merge(b"bc", ranks) == (b"b", b"c")


def test_5b_what_no_merge_makes_has_no_parts(chapter: ModuleType) -> None:
    """Single bytes, and tokens that somebody added."""
    ranks = {b"a": 0, b"b": 1, b"c": 2, b"abc": 3, b"ab": 4}

    assert chapter.recover_merge(b"a", ranks) is None, "A byte is made by nothing."
    assert chapter.recover_merge(b"abc", ranks) is None, (
        'b"ab" has a higher rank than b"abc", so three parts are left: not a merge.'
    )


def test_5c_text_is_cut_around_special_tokens(chapter: ModuleType) -> None:
    """At the beginning and at the end, too."""
    special = ["<|end|>", "<|user|>"]

    assert chapter.split_special("Hi<|end|>!", special) == ["Hi", "<|end|>", "!"]
    assert chapter.split_special("<|user|>Hi<|end|><|end|>", special) == [
        *("<|user|>", "Hi", "<|end|>", "<|end|>")
    ]
    assert chapter.split_special("nothing special", special) == ["nothing special"]
    assert chapter.split_special("", special) == [], "No empty parts."
    assert chapter.split_special("text", []) == ["text"], "Without special tokens, all is text."


def test_5c_the_longest_special_token_is_found(chapter: ModuleType) -> None:
    """Whatever the order in which they are given."""
    for special in (["<|a", "<|a|>"], ["<|a|>", "<|a"]):
        assert chapter.split_special("x<|a|>y", special) == ["x", "<|a|>", "y"], (
            "Sort the special tokens by length, the longest first."
        )


def test_5c_special_tokens_are_no_regexes(chapter: ModuleType) -> None:
    """The | and the parentheses in them mean themselves."""
    assert chapter.split_special("a.b|c", ["|"]) == ["a.b", "|", "c"], "re.escape"
    assert chapter.split_special("f(x)", ["(x)"]) == ["f", "(x)"], "re.escape"
