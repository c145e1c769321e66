"""Tests of the exercises of chapter 8."""

import math
from types import ModuleType

import pytest


def test_8a_a_bit_a_byte(chapter: ModuleType) -> None:
    """Tokens of four bytes have four bits each."""
    found = chapter.nats_per_token(1.0, tokens=25, size=100)

    assert found != pytest.approx(4.0), "That is bits per token: a bit is ln 2 nats."
    assert found == pytest.approx(4 * math.log(2)), "A token stands for size / tokens bytes."


def test_8a_it_undoes_the_formula_of_the_chapter(chapter: ModuleType) -> None:
    """From nats per token to bits per byte and back."""
    bits = 3.41 * 3284 / 8793 / math.log(2)

    assert chapter.nats_per_token(bits, tokens=3284, size=8793) == pytest.approx(3.41)


def test_8b_two_ids_alike(chapter: ModuleType) -> None:
    """One bit decides between them."""
    assert chapter.unigram_bits_per_byte([7, 7, 8, 8], 4) == pytest.approx(1.0)


def test_8b_frequent_ids_count_more(chapter: ModuleType) -> None:
    """The mean is over the text, in which an id of probability 3/4 is three quarters."""
    expected = -(3 * math.log2(3 / 4) + math.log2(1 / 4)) / 8

    assert chapter.unigram_bits_per_byte([5, 5, 5, 9], 8) == pytest.approx(expected), (
        "Sum over every id of the text, also over the repeated ones, and divide by the bytes."
    )


def test_8b_all_bytes_alike_are_eight_bits(chapter: ModuleType) -> None:
    """Nothing can be guessed."""
    assert chapter.unigram_bits_per_byte(range(256), 256) == pytest.approx(8.0)


def test_8c_documents_of_different_lengths(chapter: ModuleType) -> None:
    """A long document counts more than a short one."""
    long, short = (1.0, 1000, 4000), (5.0, 1, 1)
    expected = (1000 + 5) / math.log(2) / 4001

    found = chapter.overall([long, short])

    mean = (1000 / 4000 + 5) / math.log(2) / 2
    assert found != pytest.approx(mean), "That is the mean of both: the short one counts too much."
    assert found == pytest.approx(expected)


def test_8c_one_document(chapter: ModuleType) -> None:
    """Then there is nothing to weigh."""
    assert chapter.overall([(2.0, 30, 90)]) == pytest.approx(2 / 3 / math.log(2))


def test_8d_bytes_guessed_evenly(chapter: ModuleType) -> None:
    """In bits, it is the eight of a byte."""
    nats, bits = chapter.first_loss(256, 1.0)

    assert nats == pytest.approx(math.log(256))
    assert bits == pytest.approx(8.0)


def test_8d_gpt2(chapter: ModuleType) -> None:
    """The first line of a run with GPT-2's vocabulary says about 10.8."""
    nats, bits = chapter.first_loss(50_257, 4.5)

    assert nats == pytest.approx(10.82, abs=0.01)
    assert bits == pytest.approx(15.617 / 4.5, abs=0.01), (
        "The bits of a token are for all its bytes."
    )
