"""Truncated vocabularies, and training that extends a base."""

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.engine import EngineName
from pytok.errors import TrainingError, VocabError
from tests.conftest import CORPUS, on_engine
from tests.pytok.strategies import corpora


def learn(texts: list[str], size: int, **options: Any) -> pytok.Tokenizer:
    """A tokenizer, smaller than requested where pairs run out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytok.train(texts, size, **options)


@given(texts=corpora(), size=st.integers(257, 300), less=st.integers(0, 40))
def test_truncated_equals_training_at_that_size(texts: list[str], size: int, less: int) -> None:
    """Fingerprints include special tokens."""
    tokenizer = learn(texts, size)
    smaller = max(257, tokenizer.n_vocab - less)

    truncated = tokenizer.truncated(smaller)

    assert truncated.fingerprint == learn(texts, smaller).fingerprint


def test_truncated_keeps_the_engine_and_the_name(engine: EngineName) -> None:
    """Only the vocabulary differs."""
    truncated = learn(CORPUS, 300, engine=engine, name="mine").truncated(280)

    assert (truncated.engine, truncated.name, truncated.n_vocab) == (engine, "mine", 280)


def test_truncating_a_published_encoding_closes_the_gap_before_its_special_tokens(
    rank_files,  # type: ignore[no-untyped-def]
) -> None:
    """cl100k_base has no id 100256."""
    truncated = pytok.get_encoding("cl100k_base").truncated(8192)

    assert list(truncated.vocab.values()) == list(range(8187))
    assert sorted(truncated.special_tokens.values()) == list(range(8187, 8192))
    assert truncated.decode(truncated.encode("tokenizers, truncated")) == "tokenizers, truncated"


@pytest.mark.parametrize("size", [0, 256, 301])
def test_truncating_to_a_size_out_of_range_is_rejected(size: int) -> None:
    """The message has the possible sizes."""
    with pytest.raises(VocabError, match="pass 257 to 300"):
        learn(CORPUS, 300).truncated(size)


def test_truncating_is_rejected_where_ids_are_not_in_the_order_of_merging() -> None:
    """Extending a base puts special tokens between the ids of merges."""
    tokenizer = learn(CORPUS, 310, base=learn(CORPUS, 300))

    with pytest.raises(VocabError, match="ids of the tokens are not 0, 1, 2"):
        tokenizer.truncated(305)


@given(texts=corpora(), size=st.integers(256, 300), less=st.integers(0, 40))
def test_extending_a_truncated_vocabulary_restores_what_was_removed(
    texts: list[str], size: int, less: int
) -> None:
    """Both engines restore the same tokens."""
    whole = learn(texts, size, special_tokens=())
    base = whole.truncated(max(256, whole.n_vocab - less))
    for engine in ("native", "reference"):
        tokenizer = learn(
            texts, whole.n_vocab, base=base, special_tokens=(), ties="hf", engine=engine
        )

        assert tokenizer.fingerprint == whole.fingerprint


@given(texts=corpora(), more=corpora(), size=st.integers(257, 280))
def test_both_engines_extend_a_base_identically(
    texts: list[str], more: list[str], size: int
) -> None:
    """The new text and the rules are arbitrary."""
    base = learn(texts, size)
    options: dict[str, Any] = {"base": base, "special_tokens": ["<|new|>"]}
    for rules in ({}, {"ties": "first"}, {"ties": "cs336"}, {"limit_alphabet": 3}):
        native, reference = (
            learn(more, base.n_vocab + 20, engine=engine, **options, **rules)
            for engine in ("native", "reference")
        )

        assert native.fingerprint == reference.fingerprint


def test_new_ids_follow_the_greatest_of_the_base(engine: EngineName) -> None:
    """The ids of the base are kept; new special tokens come last."""
    base = learn(CORPUS, 300)

    tokenizer = learn(CORPUS, 320, base=base, special_tokens=["<|new|>"], engine=engine)

    assert tokenizer.pattern == base.pattern
    assert tokenizer.special_tokens == {"<|endoftext|>": 299, "<|new|>": 319}
    assert list(tokenizer.vocab.items())[:299] == list(base.vocab.items())
    assert list(tokenizer.vocab.values())[299:] == list(range(300, 319))


@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "o200k_base"])
def test_published_encodings_can_be_extended(rank_files, name: str) -> None:  # type: ignore[no-untyped-def]
    """A word of many tokens becomes one token."""
    base = pytok.get_encoding(name)
    word = " floccinaucinihilipilification"

    tokenizer = learn([word * 9], base.n_vocab + 30, base=base)

    assert len(base.encode(word)) > 4
    assert len(tokenizer.encode(word)) == 1
    assert tokenizer.encode("as it was <|endoftext|>", allowed_special="all") == base.encode(
        "as it was <|endoftext|>", allowed_special="all"
    )


def test_pieces_start_as_the_base_encodes_them() -> None:
    """A new token is the merge of two tokens of the base."""
    base = learn(["ab ab ab"], 258, special_tokens=())

    tokenizer = learn(["abc"] * 2, 260, base=base, special_tokens=())

    assert list(base.vocab)[256:] == [b"ab", b" ab"]
    assert list(tokenizer.vocab)[258:] == [b"abc"]


def test_special_tokens_of_the_base_are_kept_out_of_counting(engine: EngineName) -> None:
    """New special tokens are not counted either."""
    base = learn(CORPUS, 300, special_tokens=["zqz"])

    tokenizer = learn(["zqzzqz"] * 9, 310, base=base, engine=engine)

    assert tokenizer.n_vocab == 300


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (299, {}, "the 300 ids of the base and 0 special tokens make 300$"),
        (300, {"special_tokens": ["<|new|>"]}, "and 1 special tokens make 301$"),
        (400, {"pattern": "gpt2"}, "the pattern 'gpt2' differs from that of the base"),
        (400, {"special_tokens": ["<|a|>", "<|a|>"]}, "listed twice"),
    ],
)
def test_arguments_that_contradict_the_base_are_rejected(
    size: int, options: dict[str, Any], message: str
) -> None:
    """The ids, pattern and special tokens of the base are kept."""
    with pytest.raises(TrainingError, match=message):
        learn(CORPUS, size, base=learn(CORPUS, 300), **options)


def test_a_base_with_a_token_that_no_merge_makes_is_rejected(
    engine: EngineName, trained: pytok.Tokenizer
) -> None:
    """A new merge could make that token a second time."""
    base = pytok.Tokenizer(
        "odd",
        pat_str=trained.pattern,
        mergeable_ranks={**trained.vocab, b"zqzqz": 700},
        special_tokens={},
    )

    with pytest.raises(TrainingError, match="the token 0x7a717a717a, at rank 599, which no merge"):
        learn(CORPUS, 800, base=on_engine(base, engine), engine=engine)
