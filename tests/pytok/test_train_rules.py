"""The rules of merging, each compared with the library that defines it."""

import json
import re
import warnings
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any, get_args

import pytest
import tokenizers
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tiktoken import _educational
from tokenizers import models, pre_tokenizers, trainers

import pytok
from pytok import engine as engines
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import TrainingError
from pytok.formats.merge_list import LETTERS
from pytok.merging import MergeRules, Ties
from pytok.patterns import GPT2
from pytok.reference.pretokenize import Pattern
from tests.conftest import CORPUS, ENGINES
from tests.pytok.strategies import corpora, sizes

Pair = tuple[bytes, bytes]
Best = Callable[[Counter[Pair], list[bytes]], Pair]


def learn(texts: list[str], size: int, engine: EngineName = "native", **rules: Any) -> list[bytes]:
    """The merged tokens after the 256 bytes, with gpt2's pattern and no special tokens."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = pytok.train(
            texts, size, pattern="gpt2", special_tokens=(), engine=engine, **rules
        )
    return list(tokenizer.vocab)[256:]


def on_both(texts: list[str], size: int, **rules: Any) -> list[bytes]:
    """The merged tokens, which must be the same in both engines."""
    native, reference = (learn(texts, size, engine, **rules) for engine in ENGINES)
    assert native == reference
    return native


BEST: dict[Ties, Best] = {
    "hf": lambda counts, order: min(
        counts, key=lambda pair: (-counts[pair], *map(order.index, pair))
    ),
    "rustbpe": lambda counts, order: min(
        counts,
        key=lambda pair: (
            -counts[pair],
            *(token[0] if len(token) == 1 else order.index(token) for token in pair),
        ),
    ),
    # A dict keeps insertion order, and max returns the first of several maxima.
    "first": lambda counts, order: max(counts, key=lambda pair: counts[pair]),
    "cs336": lambda counts, order: max(counts, key=lambda pair: (counts[pair], pair)),
}
"""Each rule as the library that defines it states it."""


def by_definition(words: list[bytes], size: int, best: Best) -> list[bytes]:
    """Byte pair encoding that counts all pairs from scratch for each merge."""
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    split = [[bytes([byte]) for byte in word] for word in words]
    while len(tokens) < size:
        counts = Counter(pair for word in split for pair in pairwise(word))
        if not counts:
            break
        chosen = best(counts, tokens)
        tokens.append(b"".join(chosen))
        for word in split:
            for index in range(len(word)):
                if tuple(word[index : index + 2]) == chosen:
                    word[index : index + 2] = [tokens[-1]]
    return tokens[256:]


def pieces(texts: list[str]) -> list[bytes]:
    """The pieces of *texts*, in order."""
    return [piece.encode() for text in texts for piece in Pattern(GPT2).split(text)]


@pytest.mark.parametrize("ties", get_args(Ties))
@given(texts=corpora(), size=sizes())
@example(texts=["aaaaaa abab baba", "ééé 11 1"], size=280)
def test_ties_are_broken_as_each_rule_is_defined(ties: Ties, texts: list[str], size: int) -> None:
    """Both engines agree with a count of all pairs from scratch."""
    assert on_both(texts, size, ties=ties) == by_definition(pieces(texts), size, BEST[ties])


@pytest.mark.parametrize("ties", get_args(Ties))
def test_both_engines_break_ties_identically_on_real_text(ties: Ties) -> None:
    """More merges than the slow definition could make in a test."""
    assert len(on_both(CORPUS, 2000, ties=ties)) > 500


@given(text=st.text("aab bcé\n'1", max_size=60), size=sizes())
def test_first_breaks_ties_as_tiktoken_educational(text: str, size: int) -> None:
    """All merges are equal, as long as pairs remain."""
    ours = on_both([text], size, ties="first")
    assume(ours)

    theirs = _educational.bpe_train(text, 256 + len(ours), GPT2, visualise=None)

    assert ours == list(theirs)[256:]


@given(texts=corpora(), size=sizes())
def test_rustbpe_breaks_ties_as_rustbpe(texts: list[str], size: int) -> None:
    """All merges are equal."""
    rustbpe = pytest.importorskip("rustbpe")
    theirs = rustbpe.Tokenizer()
    theirs.train_from_iterator(iter(texts), size, pattern=GPT2)

    ranks = sorted((rank, bytes(token)) for token, rank in theirs.get_mergeable_ranks())

    assert on_both(texts, size, ties="rustbpe") == [token for _, token in ranks[256:]]


def their_tokens(texts: list[str], size: int, **rules: Any) -> list[bytes]:
    """The merged tokens of Hugging Face's BpeTrainer, in the order of merging."""
    theirs = tokenizers.Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, show_progress=False, **rules
    )
    theirs.train_from_iterator(texts, trainer)
    byte_of = {letter: byte for byte, letter in LETTERS.items()}
    model = json.loads(theirs.to_str())["model"]
    in_order = sorted(model["vocab"], key=model["vocab"].__getitem__)[256:]
    assert len(model["merges"]) == len(in_order)
    return [bytes(map(byte_of.__getitem__, token)) for token in in_order]


@given(texts=st.lists(st.text("ab", max_size=40), max_size=5), size=sizes())
def test_runs_and_overlaps_merge_as_in_hugging_face(texts: list[str], size: int) -> None:
    """Each merge makes a new token: no two tokens have the same bytes."""
    assert on_both(texts, size) == their_tokens(texts, size)


@given(texts=corpora(), size=sizes(), least=st.integers(0, 5))
def test_min_frequency_is_that_of_hugging_face(texts: list[str], size: int, least: int) -> None:
    """Rarer pairs are not merged."""
    ours = on_both(texts, size, min_frequency=least)

    assert ours == their_tokens(texts, size, min_frequency=least)


@given(texts=corpora(), size=sizes(), length=st.integers(3, 9))
def test_max_token_length_is_that_of_hugging_face(texts: list[str], size: int, length: int) -> None:
    """Tokens are shorter than the limit."""
    ours = on_both(texts, size, max_token_length=length)

    assert ours == their_tokens(texts, size, max_token_length=length)
    assert all(len(token) < length for token in ours)


@given(texts=corpora(), size=sizes(), limit=st.integers(1, 6))
@example(texts=["éa éa é aéa bb"], size=280, limit=2)
@example(texts=[":\0"], size=257, limit=2)
def test_limit_alphabet_excludes_the_rarer_characters(
    texts: list[str], size: int, limit: int
) -> None:
    """Pieces merge as if they ended there; in case of ties the smaller code point is kept."""
    counts = Counter(character for text in texts for character in text)
    kept = sorted(counts, key=lambda character: (-counts[character], character))[:limit]
    words = [
        word.encode()
        for piece in pieces(texts)
        for word in re.split(f"[^{re.escape(''.join(kept))}]", piece.decode())
    ]

    ours = on_both(texts, size, limit_alphabet=limit)

    assert ours == by_definition(words, size, BEST["hf"])


@given(
    counted=st.dictionaries(
        st.text("abé", min_size=1, max_size=9), st.integers(1, 10**12), min_size=1, max_size=12
    ),
    size=sizes(),
    ties=st.sampled_from(get_args(Ties)),
)
def test_both_engines_merge_counts_of_any_size_identically(
    counted: dict[str, int], size: int, ties: Ties
) -> None:
    """Counts range from one to a trillion, with more rare pairs than frequent ones."""
    words = [piece.encode() for piece in counted]
    trained = []
    for engine in map(engines.load, ENGINES):
        counts = engine.PieceCounts("gpt2", in_order=True)
        counts.add_counted(words, list(counted.values()))
        trained.append(engine.train(counts, size, rules=MergeRules(ties=ties)))

    assert trained[0] == trained[1]


def test_thousands_of_occurrences_merge_identically_on_any_number_of_threads() -> None:
    """Enough occurrences to be divided among threads, with runs of one letter."""
    texts = [" ".join(f"{number:b}{number:x}" for number in range(20_000))]

    one, three = (learn(texts, 700, num_threads=threads) for threads in (1, 3))

    assert one == three == learn(texts, 700, "reference")


@pytest.mark.parametrize("ties", get_args(Ties))
def test_a_pair_that_loses_a_little_to_each_merge_is_merged_in_its_turn(ties: Ties) -> None:
    """Before each of 120 merges, "ab" appears to be the most frequent pair."""
    words, counts = [b"abc", b"dab", b"abab"], [1000, 1, 1]
    for number, letter in enumerate(range(0x21, 0x21 + 120)):
        before = bytes([letter]) if letter < 0x61 else chr(letter + 0x80).encode()
        words += [before + b"ab", before + b"a", before]
        counts += [4, 1000 + 4 * (120 - number), 10**6 - number]
    trained = []
    for engine in map(engines.load, ENGINES):
        counted = engine.PieceCounts("gpt2", in_order=True)
        counted.add_counted(words, counts)
        trained.append(engine.train(counted, 600, rules=MergeRules(ties=ties)))

    assert trained[0] == trained[1]
    assert trained[0].index(b"ab") > 256 + 120


def test_a_vocabulary_beyond_16_bits_starts_with_the_same_tokens() -> None:
    """The width of stored ranks changes no merge."""
    assert learn(CORPUS, 70_000) == learn(CORPUS, 60_000)


def test_counts_that_exceed_64_bits_in_total_are_rejected(engine: EngineName) -> None:
    """An overflow would change the order of merges."""
    counts = engines.load(engine).PieceCounts("gpt2")
    counts.add_counted([b"ab", b"cd"], [(1 << 63) - 1] * 2)

    with pytest.raises(TrainingError, match="exceed 64 bits in total"):
        engines.load(engine).train(counts, 300)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"ties": "random"}, "ties is 'random': pass one of hf, rustbpe, first, cs336"),
        ({"min_frequency": -1}, "min_frequency is -1"),
        ({"max_token_length": 2}, "max_token_length is 2: pass 3 to"),
        ({"limit_alphabet": 0}, "limit_alphabet is 0: pass 1 to 1114112"),
        ({"limit_alphabet": 1 << 64}, "limit_alphabet is 1844"),
    ],
)
def test_rules_out_of_range_are_rejected(rules: dict[str, Any], message: str) -> None:
    """Nothing is counted before."""
    with pytest.raises(TrainingError, match=message):
        learn(["a"], 300, **rules)


def test_counts_have_no_first_pair() -> None:
    """Counts can have been added up in any order."""
    counts = pytok.count_pieces(["some text"])

    with pytest.raises(TrainingError, match="train on the corpus itself"):
        pytok.train(counts, 300, ties="first")
