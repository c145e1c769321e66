"""Truncated vocabularies, and training that extends a base."""

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.engine import EngineName
from pytok.errors import TrainingError, VocabError
from tests.conftest import CORPUS, ENGINES
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


def with_tokens(base: pytok.Tokenizer, tokens: list[bytes], engine: EngineName) -> pytok.Tokenizer:
    """*base* with *tokens* after its own, as rank files can have them that no merge makes."""
    new = {token: base.n_vocab + number for number, token in enumerate(tokens)}
    return pytok.Tokenizer(
        "odd",
        pat_str=base.pattern,
        mergeable_ranks={**base.vocab, **new},
        special_tokens={},
        engine=engine,
    )


def test_no_merge_makes_an_end_of_a_token_that_no_merge_makes(engine: EngineName) -> None:
    """Two of them would spell that token. Other merges are made as ever."""
    base = with_tokens(learn([], 256, special_tokens=()), [b"abc"], engine)

    tokenizer = learn(["zabcd zabcd"], 300, base=base, special_tokens=(), engine=engine)

    assert list(tokenizer.vocab)[257:] == [b"cd", b"bcd", b"abcd", b"zabcd", b" zabcd"]


@given(
    texts=st.lists(st.text("abc ", max_size=40), min_size=1, max_size=4),
    unmade=st.lists(st.text("abc", min_size=2, max_size=6), min_size=1, max_size=4, unique=True),
    size=st.integers(1, 30),
)
def test_a_base_with_any_tokens_encodes_as_its_merges_say(
    texts: list[str], unmade: list[str], size: int
) -> None:
    """Each piece as the base encodes it, then merged in the order of training; on both engines."""
    small = learn(["ab abc"], 258, special_tokens=())
    extra = [token for token in map(str.encode, unmade) if token not in small.vocab]
    grown = []
    for engine in ENGINES:
        base = with_tokens(small, extra, engine)
        grown.append(learn(texts, base.n_vocab + size, base=base, engine=engine))
    tokenizer = grown[0]
    assert list(tokenizer.vocab) == list(grown[1].vocab)
    merges = tokenizer._core.merges()
    for piece in {piece.encode() for text in texts for piece in tokenizer.pieces(text)}:
        ranks = base._core.encode_piece(piece)
        for rank in range(len(base.vocab), len(tokenizer.vocab)):
            ranks = merged(ranks, merges[rank], rank)
        assert tokenizer._core.encode_piece(piece) == ranks


def merged(ranks: list[int], pair: tuple[int, int] | None, rank: int) -> list[int]:
    """Replace each occurrence of *pair* in *ranks* by *rank*, from the left."""
    done = list[int]()
    for each in ranks:
        if done and (done[-1], each) == pair:
            done[-1] = rank
        else:
            done.append(each)
    return done
