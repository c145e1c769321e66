"""Long texts: threads share one, cut into spans where no piece crosses.

Batches are cut into spans of about 256 KiB; a single text is encoded without cuts. So a batch of
one text must have the ids of that text, and tiktoken's, wherever the cuts are. Only the native
engine cuts.
"""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.patterns import PATTERNS
from tests.pytok.strategies import CONTRACTIONS, MARKS, NUMBERS, SPACES, WORDS

SPAN = 1 << 18
SPECIAL = "<|endoftext|>"

Known = dict[str, tuple[pytok.Tokenizer, tiktoken.Encoding]]


def kind(byte: int) -> str:
    """The class that patterns distinguish: a letter, digit, white space, sign; or beyond ASCII."""
    if byte > 0x7F:
        return "beyond ASCII"
    kinds = {"letter": str.isalpha, "digit": str.isdigit, "white": str.isspace}
    return next((name for name, holds in kinds.items() if holds(chr(byte))), "sign")


def pairs_of_bytes() -> dict[bytes, int]:
    """Return ranks in which every two bytes are a token; those of different kinds merge first.

    With few tokens, most wrong cuts would have no effect, since no merge would cross them.
    """
    source = random.Random(2)
    alike = {
        bytes([first, second]): (kind(first) == kind(second), source.random())
        for first in range(256)
        for second in range(256)
    }
    tokens = [bytes([byte]) for byte in BYTE_ORDER] + sorted(alike, key=alike.__getitem__)
    return {token: rank for rank, token in enumerate(tokens)}


@pytest.fixture(scope="module")
def known() -> Known:
    """Each known pattern with `pairs_of_bytes`, in pytok and in tiktoken."""
    ranks = pairs_of_bytes()
    pairs = {}
    for name, regex in PATTERNS.items():
        parts: dict[str, Any] = {
            "pat_str": regex,
            "mergeable_ranks": ranks,
            "special_tokens": {SPECIAL: len(ranks)},
        }
        ours = pytok.Tokenizer(name, **parts)
        theirs = tiktoken.Encoding(name, **parts)
        pairs[name] = (ours, theirs)
    return pairs


def repeated(unit: str, spans: float) -> str:
    """*unit*, repeated to fill that many *spans*."""
    return unit * (int(spans * SPAN / len(unit.encode())) + 1)


def assert_cuts_do_not_change_ids(tokenizer: pytok.Tokenizer, text: str, threads: int = 2) -> None:
    """Assert that a batch has the ids of `encode_to_numpy`, which does not cut."""
    ids, offsets = tokenizer.encode_batch_to_numpy(
        [text], num_threads=threads, allowed_special="all"
    )

    np.testing.assert_array_equal(ids, tokenizer.encode_to_numpy(text, allowed_special="all"))
    assert offsets.tolist() == [0, len(ids)]


LONG = {
    "english": "The dog's bone isn't hers; they'll've found 1,234 of them, won't they? ",
    "paragraphs": 'It was late.\n\n   Nobody  spoke.\tThen:\n"Who\'s there?"\n\n\n',
    "code": "def one(number: int) -> int:\n    return number << 2  # why?\n\n\n",
    "windows": "first line\r\nsecond's line\r\n\r\n\tthird, 3.14\r\n",
    "chinese": "你好，世界。今天是2024年1月1日，星期一。",
    "japanese": "吾輩は猫である。名前はまだ無い。\n",
    "slashes": "path\n//comment\n/usr/bin/env\n/\n//\nword/\n/word!\n/",
    "apostrophes": "IT'S THEY'LL don'T l'eau we'Ve'd x'ſ rock'n'roll 'tis Ann's'\n",
    "marks": "cafe\u0301's na\u0308ive e\u0301\u0301 a\u0301! a\u0301 b \u0301c\n\u0301d",
    "digits": "1234567 12 123 1234 ٣٤٥٦ ½² 12a34b\n56\n",
    "lines": "a\nb\nc\n\nd\n e\n\tf\n",
    "spaces": "a  b   c    d\u3000e \u3000f\u00a0\u00a0g\x85h\u2028i\n",
    "symbols": "a!b?c...d--e__f$g%h(i)j[k]l{m}n=o+p😀q👋🏽r",
    "upper and lower": "aBcD EfGh iJKl MNop ǅungla ʰigh ꟸ\n",
}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("unit", LONG.values(), ids=LONG)
def test_a_text_of_many_spans_has_tiktokens_ids(unit: str, pattern: str, known: Known) -> None:
    """More than a megabyte."""
    ours, theirs = known[pattern]
    text = repeated(unit, 4.5)

    ids, _ = ours.encode_batch_to_numpy([text])

    np.testing.assert_array_equal(ids, theirs.encode_to_numpy(text))


@pytest.mark.parametrize("unit", LONG.values(), ids=LONG)
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_spans_are_the_same_on_any_number_of_threads(unit: str, threads: int, known: Known) -> None:
    """And they are in the order of the text."""
    assert_cuts_do_not_change_ids(known["o200k"][0], repeated(unit, 3.2), threads)


LONG_EXAMPLES = settings(max_examples=min(600, settings().max_examples))
"""An example is a megabyte: thousands of them would take most of an hour."""

AWKWARD = SPACES + CONTRACTIONS + WORDS + NUMBERS + MARKS + ["\n/", "a\n", "\na", "n't", "!\n"]


@pytest.mark.parametrize("pattern", PATTERNS)
@LONG_EXAMPLES
@given(
    unit=st.lists(st.sampled_from(AWKWARD), min_size=1, max_size=12).map("".join),
    shift=st.integers(0, 40),
)
def test_cuts_do_not_change_the_ids_of_awkward_text(
    pattern: str, unit: str, shift: int, known: Known
) -> None:
    """Whatever is at the end of a span; some texts cannot be cut at all."""
    assert_cuts_do_not_change_ids(known[pattern][0], "x" * shift + repeated(unit, 2.1))


@pytest.mark.parametrize("pattern", PATTERNS)
@LONG_EXAMPLES
@given(
    before=st.lists(st.sampled_from(AWKWARD), max_size=6).map("".join),
    after=st.lists(st.sampled_from(AWKWARD), max_size=6).map("".join),
    distance=st.integers(-40, 40),
)
def test_special_tokens_near_a_cut_do_not_change_ids(
    pattern: str, before: str, after: str, distance: int, known: Known
) -> None:
    """Text ends at a special token as at its own end, with or without a cut next to it."""
    filler = repeated("so many words ", 1)
    text = filler[: SPAN + distance - len(before.encode())] + before + SPECIAL + after
    text += filler[: SPAN + distance] + SPECIAL * 2 + after + filler

    assert_cuts_do_not_change_ids(known[pattern][0], text)


@pytest.mark.parametrize("unit", ["1", " ", "a", "\n", "é", "!", "/\n"])
def test_a_text_that_cannot_be_cut_is_one_span(unit: str, known: Known) -> None:
    """Of any length, between texts that can be cut."""
    words = repeated("some words ", 1.1)

    for ours, _ in known.values():
        assert_cuts_do_not_change_ids(ours, words + repeated(unit, 2.5) + words)


def test_a_custom_pattern_is_never_cut() -> None:
    """It is unknown where its pieces end: here after every seven characters."""
    parts: dict[str, Any] = {
        "pat_str": r"[\s\S]{1,7}",
        "mergeable_ranks": pairs_of_bytes(),
        "special_tokens": {},
    }
    text = repeated("words and lines\nof text. ", 3.1)

    ids, _ = pytok.Tokenizer("custom", **parts).encode_batch_to_numpy([text], num_threads=2)

    theirs = tiktoken.Encoding("custom", **parts).encode_to_numpy(text)
    np.testing.assert_array_equal(ids, theirs)


def test_long_and_short_texts_share_a_batch(trained: pytok.Tokenizer) -> None:
    """In the order of the batch, with empty texts."""
    batch = ["", repeated(LONG["english"], 2.3), "", "short", repeated("漢", 1.4), "", "\n"]

    assert trained.encode_batch(batch) == [trained.encode(text) for text in batch]


def test_surrogates_are_repaired_in_every_span(trained: pytok.Tokenizer) -> None:
    """Also after the first one."""
    text = repeated("some words ", 1.5) + "\ud800 and \ud83d\ude00"

    assert trained.encode_batch([text]) == [trained.encode(text)]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_long_file_is_encoded_and_counted_as_its_text(
    pattern: str, known: Known, tmp_path: Path
) -> None:
    """Files are cut in the same way."""
    ours, theirs = known[pattern]
    text = "".join(repeated(unit, 0.3) for unit in LONG.values())
    path = tmp_path / "long.txt"
    path.write_bytes(text.encode())

    ids, _ = ours.encode_files([path], num_threads=2)

    np.testing.assert_array_equal(ids, theirs.encode_to_numpy(text))
    assert ours.count_files([path], num_threads=2) == [len(ids)]


def test_the_reference_has_the_same_ids_for_a_long_text(
    twins: dict[EngineName, pytok.Tokenizer],
) -> None:
    """It does not cut, so it is another oracle."""
    text = "".join(repeated(unit, 0.2) for unit in LONG.values())

    ours, _ = twins["native"].encode_batch_to_numpy([text])
    theirs, _ = twins["reference"].encode_batch_to_numpy([text])

    np.testing.assert_array_equal(ours, theirs)
