"""A million characters of hostile text: the ids are tiktoken's, and nothing hangs or overflows.

No time is measured, but anything that is not nearly linear would take hours.
"""

import base64
import random
from collections.abc import Callable

import numpy as np
import pytest
import tiktoken

import pytok
from tests.conftest import ENGINES

NAMES = ["r50k_base", "cl100k_base", "o200k_base"]
pytestmark = pytest.mark.usefixtures("rank_files")


def noise(alphabet: str, seed: int) -> Callable[[int], str]:
    """Return a function of a length to that many random characters, always the same."""
    return lambda length: "".join(random.Random(seed).choices(alphabet, k=length))


def repeated(unit: str) -> Callable[[int], str]:
    """Return a function of a length to that many characters of *unit*, repeated."""
    return lambda length: (unit * (length // len(unit) + 1))[:length]


LATIN = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x100)]))

TEXTS: dict[str, Callable[[int], str]] = {
    "one letter": repeated("a"),
    "one capital": repeated("Z"),
    "one letter beyond ASCII": repeated("é"),
    "one ideograph": repeated("漢"),
    "one emoji": repeated("👋"),
    "one digit": repeated("7"),
    "one sign": repeated("^"),
    "newlines": repeated("\n"),
    "windows newlines": repeated("\r\n"),
    "NUL characters": repeated("\x00"),
    "combining marks": repeated("e\u0301\u0302\u0303"),
    "joined emoji": repeated("👨\u200d👩\u200d👧"),
    "two letters in turn": repeated("ab"),
    "small and capital in turn": repeated("aB"),
    "apostrophes": repeated("'"),
    "contractions": repeated("'s'LL've"),
    "slashes": repeated("/"),
    "slashes and newlines": repeated("/\n"),
    "spaces and newlines": repeated(" \n"),
    "one word": repeated("antidisestablishmentarianism"),
    "cut special tokens": repeated("<|endoftext"),
    "base64": lambda length: base64.b64encode(random.Random(5).randbytes(length)).decode()[:length],
    "hexadecimal": noise("0123456789abcdef", 6),
    "letters": noise("abcdefghijklmnopqrstuvwxyz", 7),
    "DNA": noise("ACGT", 8),
    "Latin-1": noise(LATIN, 9),
    "Latin-1 letters": noise("".join(filter(str.isalpha, LATIN)), 10),
    "white space": noise(" \t\n\r\x0b\x0c\x85\xa0\u2028\u3000", 11),
    "ideographs": noise("".join(map(chr, range(0x4E00, 0x9FA6))), 12),
    "signs": noise("!#$%&()*+,-./:;<=>?@[]^_{|}~", 13),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text_of", TEXTS.values(), ids=TEXTS)
def test_a_million_characters_have_tiktokens_ids(text_of: Callable[[int], str], name: str) -> None:
    """And decode to the text."""
    text = text_of(1_000_000)
    tokenizer = pytok.get_encoding(name)

    ids = tokenizer.encode_to_numpy(text, disallowed_special=())

    expected = tiktoken.get_encoding(name).encode_to_numpy(text, disallowed_special=())
    np.testing.assert_array_equal(ids, expected)
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", [" ", "\t", "\u3000", "\x85", "\x0b"], ids=ascii)
def test_a_million_spaces_are_one_piece(space: str, name: str) -> None:
    """Tiktoken's regex engine fails on so many, but its merging of the piece is the oracle."""
    text = space * 1_000_000

    ids = pytok.get_encoding(name).encode_ordinary(text)

    assert ids == tiktoken.get_encoding(name)._encode_single_piece(text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text_of", TEXTS.values(), ids=TEXTS)
def test_both_engines_agree_on_hostile_text(text_of: Callable[[int], str], name: str) -> None:
    """On a shorter text, since the reference is slow."""
    text = text_of(20_000)

    native, reference = (
        pytok.get_encoding(name, engine).encode_ordinary(text) for engine in ENGINES
    )

    assert native == reference


@pytest.mark.parametrize("text_of", TEXTS.values(), ids=TEXTS)
def test_hostile_texts_in_a_batch_have_the_ids_of_single_texts(
    text_of: Callable[[int], str],
) -> None:
    """Most of them cannot be cut for threads, and some can be cut almost anywhere."""
    tokenizer = pytok.get_encoding("o200k_base")
    text = text_of(400_000)

    ids, _ = tokenizer.encode_batch_to_numpy([text], num_threads=2, disallowed_special=())

    expected = tokenizer.encode_to_numpy(text, disallowed_special=())
    np.testing.assert_array_equal(ids, expected)


def test_a_million_texts_of_one_character_are_a_batch() -> None:
    """Each has its own offset."""
    tokenizer = pytok.get_encoding("cl100k_base")

    ids, offsets = tokenizer.encode_batch_to_numpy(["a", "", "b", "\n"] * 250_000)

    expected = [*tokenizer.encode("a"), *tokenizer.encode("b"), *tokenizer.encode("\n")]
    np.testing.assert_array_equal(ids, expected * 250_000)
    np.testing.assert_array_equal(np.diff(offsets), [1, 0, 1, 1] * 250_000)
