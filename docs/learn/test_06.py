"""Tests of the exercises of chapter 6."""

import json
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

import pytok

LEARN = Path(__file__).parent
LICENSE = (LEARN.parents[1] / "LICENSE-APACHE").read_text(encoding="utf-8")
TEXTS = json.loads((LEARN / "languages.json").read_text(encoding="utf-8"))
MIDDLE = len(LICENSE) // 2


@pytest.fixture(scope="module")
def tokenizer() -> pytok.Tokenizer:
    """A tokenizer of half of the license, with one special token."""
    return pytok.train([LICENSE[:MIDDLE]], 513, special_tokens=["<|endoftext|>"])


@pytest.fixture(scope="module")
def plain() -> pytok.Tokenizer:
    """The same without special tokens, so that all sizes from 256 on are possible."""
    return pytok.train([LICENSE[:MIDDLE]], 512, special_tokens=())


def test_6a_the_base_pays_one(chapter: ModuleType, tokenizer: pytok.Tokenizer) -> None:
    """And every language has its entry."""
    paid = chapter.premiums(tokenizer, TEXTS, "English")

    assert set(paid) == set(TEXTS)
    assert paid["English"] == 1
    assert paid["Hindi"] == pytest.approx(
        tokenizer.count(TEXTS["Hindi"]) / tokenizer.count(TEXTS["English"])
    ), "Divide tokens by tokens, neither characters nor bytes."


def test_6a_the_most_expensive_language_is_first(
    chapter: ModuleType, tokenizer: pytok.Tokenizer
) -> None:
    """Whatever the base is."""
    paid = chapter.premiums(tokenizer, TEXTS, "Korean")

    assert paid["Korean"] == 1
    assert list(paid.values()) == sorted(paid.values(), reverse=True), "Sort by what they pay."


def test_6b_used_and_unused_are_the_vocabulary(
    chapter: ModuleType, tokenizer: pytok.Tokenizer
) -> None:
    """Without special tokens."""
    text = LICENSE[MIDDLE:]
    unused = chapter.never_used(tokenizer, text)
    used = {tokenizer.decode_single_token_bytes(id) for id in tokenizer.encode_ordinary(text)}

    assert not used & set(unused), "A token that occurs is not unused."
    assert used | set(unused) == set(tokenizer.vocab), (
        "Every token of tokenizer.vocab is one or the other; a special token is neither."
    )


def test_6b_tokens_come_in_the_order_of_ids(
    chapter: ModuleType, tokenizer: pytok.Tokenizer
) -> None:
    """Of an empty text, all are unused, from "!" on."""
    unused = chapter.never_used(tokenizer, "")

    assert unused[:2] == [b"!", b'"']
    assert [tokenizer.vocab[token] for token in unused] == list(range(512))


def test_6b_special_tokens_in_the_text_are_text(
    chapter: ModuleType, tokenizer: pytok.Tokenizer
) -> None:
    """Text of others can contain them."""
    assert b"<" not in chapter.never_used(tokenizer, "<|endoftext|>"), "encode_ordinary"


def test_6c_the_size_after_which_steps_save_too_little(
    chapter: ModuleType, plain: pytok.Tokenizer
) -> None:
    """On text that the tokenizer has not seen."""
    text, sizes = LICENSE[MIDDLE:], [256, 320, 384, 448, 512]
    counts = [plain.truncated(size).count(text) for size in sizes]
    savings = [1 - after / before for before, after in pairwise(counts)]

    for index in range(len(savings)):
        needed = savings[index] + 1e-6  # this step saves a little too little
        first = next(at for at, saving in enumerate(savings) if saving < needed)
        assert chapter.choose_size(plain, text, sizes, needed) == sizes[first], (
            f"tokens {counts}, savings {[round(saving, 3) for saving in savings]}, "
            f"asked for {needed:.6f}"
        )


def test_6c_the_ends(chapter: ModuleType, plain: pytok.Tokenizer) -> None:
    """Nothing is worth everything, and everything is worth nothing."""
    assert chapter.choose_size(plain, LICENSE, [256, 300, 512], 1.0) == 256
    assert chapter.choose_size(plain, LICENSE, [256, 300, 512], 0.0) == 512
    assert chapter.choose_size(plain, LICENSE, [300], 0.5) == 300, "One size: no step to take."
    assert chapter.choose_size(plain, "é", [256, 300, 512], 0.0) == 512, (
        "No step saves anything, and nothing was asked for: at least 0 is 0, too."
    )
