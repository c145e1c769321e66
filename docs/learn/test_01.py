"""Tests of the exercises of chapter 1."""

from types import ModuleType

import pytest

TEXT = "né안👋!"


@pytest.mark.parametrize("character", ["A", "\x7f"])
def test_1a_ascii_is_one_byte(chapter: ModuleType, character: str) -> None:
    """Its code point itself."""
    assert chapter.utf8(ord(character)) == character.encode(), (
        "Up to U+007F, the byte is the number."
    )


@pytest.mark.parametrize("character", ["é", "ж", "\x80", "\u07ff"])
def test_1a_two_bytes(chapter: ModuleType, character: str) -> None:
    """110 and five bits, 10 and six bits."""
    encoded = chapter.utf8(ord(character))

    assert len(encoded) == 2, (
        f"{character!r} is U+{ord(character):04X}: the second row of the table"
    )
    assert encoded[1] >> 6 == 0b10, "The second byte must begin with the bits 10."
    assert encoded == character.encode()


@pytest.mark.parametrize("character", ["안", "€", "\u0800", "\uffff", "👋", "\U00010000"])
def test_1a_three_and_four_bytes(chapter: ModuleType, character: str) -> None:
    """The first byte has as many ones as there are bytes."""
    encoded = chapter.utf8(ord(character))

    assert len(encoded) == (3 if ord(character) <= 0xFFFF else 4)
    assert encoded == character.encode(), (
        f"expected {' '.join(f'{byte:08b}' for byte in character.encode())}, "
        f"got {' '.join(f'{byte:08b}' for byte in encoded)}"
    )


def test_1b_each_character_counts_once(chapter: ModuleType) -> None:
    """Whatever its number of bytes."""
    assert chapter.count_characters(TEXT.encode()) == 5, (
        f"{TEXT!r} has {len(TEXT.encode())} bytes; leave out those that begin with the bits 10."
    )


def test_1b_nothing_has_no_characters(chapter: ModuleType) -> None:
    """Also where there is no byte."""
    assert chapter.count_characters(b"") == 0


def test_1c_a_complete_text_has_no_rest(chapter: ModuleType) -> None:
    """Also one that ends with a character of four bytes."""
    for text in ("", "abc", "né", "안", "ab👋"):
        assert chapter.split_complete(text.encode()) == (text.encode(), b""), (
            f"{text!r} is complete: a first byte with as many bytes as it announces."
        )


def test_1c_the_rest_is_less_than_a_character(chapter: ModuleType) -> None:
    """Cut after each byte of a text."""
    data = TEXT.encode()
    for cut in range(len(data)):
        complete, rest = chapter.split_complete(data[:cut])

        assert complete + rest == data[:cut], "No byte may be lost."
        assert TEXT.startswith(complete.decode()), f"cut after {cut} bytes"
        assert len(rest) < 4, "The longest character has four bytes, so at most three wait."
        assert len(complete.decode()) == len(data[:cut].decode(errors="ignore")), (
            f"cut after {cut} bytes: a complete character was left in the rest"
        )
