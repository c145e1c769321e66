"""Tests of the exercises of chapter 0."""

from types import ModuleType

import pytest

import pytok

TEXT = "the cat sat on the mat; the rat sat on the hat"


@pytest.fixture
def tokenizer() -> pytok.Tokenizer:
    """A tokenizer with eight merges."""
    return pytok.train([TEXT], vocab_size=264, pattern="gpt2", special_tokens=())


def test_0a_tokens_are_bytes_of_the_text(chapter: ModuleType, tokenizer: pytok.Tokenizer) -> None:
    """In order; joined, they are the text."""
    tokens = chapter.tokens_of(tokenizer, "the bat sat")

    assert all(isinstance(token, bytes) for token in tokens), (
        "A token is bytes, not text: decode_single_token_bytes() returns those of one id."
    )
    assert b"".join(tokens) == b"the bat sat", "Joined, the tokens must be the text."
    assert tokens == [b"the", b" ", b"b", b"at", b" sat"]


def test_0a_a_token_can_be_a_part_of_a_character(
    chapter: ModuleType, tokenizer: pytok.Tokenizer
) -> None:
    """é is two bytes, and this tokenizer has never seen it."""
    assert chapter.tokens_of(tokenizer, "é") == [b"\xc3", b"\xa9"], (
        "Ask for the bytes of each id by itself; half a character cannot be decoded to text."
    )


def test_0b_bytes_per_token(chapter: ModuleType, tokenizer: pytok.Tokenizer) -> None:
    """Eleven bytes in five tokens."""
    assert chapter.bytes_per_token(tokenizer, "the bat sat") == pytest.approx(11 / 5)


def test_0b_bytes_are_counted_not_characters(
    chapter: ModuleType, tokenizer: pytok.Tokenizer
) -> None:
    """Four characters of é are eight bytes, and here eight tokens."""
    assert chapter.bytes_per_token(tokenizer, "éééé") == pytest.approx(1.0), (
        "len(text) counts characters; len(text.encode()) counts bytes."
    )
