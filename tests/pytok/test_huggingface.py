"""Parity with Hugging Face tokenizers: its BpeTrainer learns the same merges on the same pieces."""

import json
import pydoc_data.topics
import random
import warnings

import pytest
import tokenizers
from hypothesis import given
from tokenizers import models, pre_tokenizers, trainers

import pytok
from pytok.patterns import CL100K, GPT2, O200K
from tests.conftest import CORPUS
from tests.pytok.strategies import corpora, sizes

# Written by hand for Hugging Face's engine: not the translations of pytok.formats.
PATTERNS = {
    GPT2: r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    CL100K: r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]|\s+(?!\S)|\s",
    O200K: O200K,
}


def manual(length: int) -> list[str]:
    """Return English text with code, one document per chapter, of *length* characters."""
    texts = []
    for text in pydoc_data.topics.topics.values():
        texts.append(text[:length])
        length -= len(texts[-1])
    return texts


def noise() -> list[str]:
    """Return random letters of three scripts, in which most counts are tied."""
    source = random.Random(7)
    alphabet = [*map(chr, [*range(0x20, 0x7F), *range(0x400, 0x430), *range(0x4E00, 0x4E40)])]
    return ["".join(source.choices([*alphabet, *" \n\u3000"], k=40_000)) for _ in range(2)]


def their_merges(texts: list[str], size: int, pattern: str) -> list[tuple[str, str]]:
    """Return the merges that BpeTrainer learns on the pieces of *pattern*."""
    theirs = tokenizers.Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(PATTERNS[pattern]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    theirs.train_from_iterator(texts, trainer)
    return [tuple(merge) for merge in json.loads(theirs.to_str())["model"]["merges"]]


def our_merges(texts: list[str], size: int, pattern: str, tmp_path) -> list[tuple[str, str]]:  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = pytok.train(texts, size, pattern=pattern, special_tokens=())
    tokenizer.save(tmp_path / "ours.json")
    saved = json.loads((tmp_path / "ours.json").read_text(encoding="utf-8"))
    return [tuple(merge) for merge in saved["model"]["merges"]]


@pytest.mark.parametrize("pattern", PATTERNS, ids=["gpt2", "cl100k", "o200k"])
@pytest.mark.parametrize(
    "texts",
    [manual(300_000), noise(), CORPUS, ["a" * 1000, "ab" * 500]],
    ids=["manual", "noise", "scripts", "runs"],
)
def test_merges_equal_those_of_hugging_face(texts: list[str], pattern: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """They have the same order, up to 2,000 ids or until no pairs are left."""
    ours = our_merges(texts, 2000, pattern, tmp_path)

    assert ours == their_merges(texts, 2000, pattern)
    assert ours


def test_special_tokens_after_a_hole_keep_their_ids(tmp_path, trained) -> None:  # type: ignore[no-untyped-def]
    """If they were in added_tokens only, they would be numbered after the last token."""
    holes = pytok.Tokenizer(
        "holes",
        pat_str=trained.pattern,
        mergeable_ranks=trained.vocab,
        special_tokens={"<|a|>": 601, "<|b|>": 620},
    )
    holes.save(tmp_path / "holes.json")

    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "holes.json"))

    assert theirs.encode("x<|b|><|a|>").ids == holes.encode("x<|b|><|a|>", allowed_special="all")
    assert theirs.decode([620, 601], skip_special_tokens=False) == "<|b|><|a|>"
    assert pytok.load(tmp_path / "holes.json").fingerprint == holes.fingerprint


@given(texts=corpora(), size=sizes())
def test_merges_of_any_corpus_equal_those_of_hugging_face(  # type: ignore[no-untyped-def]
    texts: list[str], size: int, tmp_path_factory
) -> None:
    """Ties are frequent in small corpora."""
    folder = tmp_path_factory.mktemp("merges")

    assert our_merges(texts, size, GPT2, folder) == their_merges(texts, size, GPT2)
