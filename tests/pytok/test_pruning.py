"""Pruned vocabularies, compared with Hugging Face's tokenizers, brute force and their originals."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.engine import EngineName
from pytok.errors import VocabError
from pytok.pruning import Pruned, kept_ids, prune
from tests.conftest import CORPUS, on_engine
from tests.pytok import lines
from tests.pytok.lines import BYTES
from tests.pytok.strategies import texts


def tokenizer_of(*merged: bytes, engine: EngineName = "native") -> pytok.Tokenizer:
    """Build a tokenizer of the bytes and the *merged* tokens, whose pieces are lines."""
    return lines.tokenizer_of(*merged, special="<|s|>", gap=2, engine=engine)


def written(folder: Path, *documents: str) -> Path:
    path = folder / "corpus.txt"
    path.write_text("\n".join(documents), encoding="utf-8", newline="")
    return path


def merged(pruned: Pruned) -> list[bytes]:
    return list(pruned.tokenizer.vocab)[256:]


def parts(tokenizer: pytok.Tokenizer, ranks: Sequence[int]) -> Iterator[bytes]:
    """Yield the tokens of *ranks* and all that they are merged from."""
    tokens, merges = list(tokenizer.vocab), tokenizer._core.merges()
    for rank in ranks:
        yield tokens[rank]
        yield from parts(tokenizer, merges[rank] or ())


@pytest.fixture(scope="module")
def pruned(trained: pytok.Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Pruned:
    """`trained` with 400 of its 600 ids, by a quarter of its corpus."""
    return prune(trained, written(tmp_path_factory.mktemp("corpus"), *CORPUS[:3]), 400)


def test_the_size_is_exact(trained: pytok.Tokenizer, engine: EngineName, tmp_path: Path) -> None:
    corpus = written(tmp_path, *CORPUS[:3])
    for size in (257, 258, 300, 599):
        found = prune(on_engine(trained, engine), corpus, size)

        assert found.tokenizer.n_vocab == len(found.ids) == size
        assert found.tokenizer.engine == engine


def test_a_token_that_is_rare_itself_is_kept_for_a_frequent_one(tmp_path: Path) -> None:
    """``he`` occurs only inside ``the``, and ``xy`` more often than any other token."""
    corpus = written(tmp_path, "the" * 5, "xy" * 3, "ab" * 4)
    tokenizer = tokenizer_of(b"he", b"the", b"xy", b"ab")

    assert merged(prune(tokenizer, corpus, 259)) == [b"he", b"the"]
    assert merged(prune(tokenizer, corpus, 260)) == [b"he", b"the", b"ab"]


def test_a_part_of_higher_rank_is_kept_too(tmp_path: Path, engine: EngineName) -> None:
    """``abc`` precedes ``ab``, from which it is made."""
    tokenizer = tokenizer_of(b"abc", b"xy", b"ab", engine=engine)

    found = prune(tokenizer, written(tmp_path, "abcabc"), 259)

    assert merged(found) == [b"abc", b"ab"]
    assert found.tokenizer.encode("xyabc") == [*found.tokenizer.encode("xy"), 256]


def test_min_count_counts_tokens_inside_longer_ones(tmp_path: Path) -> None:
    corpus = written(tmp_path, "thethe", "ab", "xyxyxy")
    tokenizer = tokenizer_of(b"he", b"the", b"xy", b"ab", b"zz")

    assert merged(prune(tokenizer, corpus)) == [b"he", b"the", b"xy", b"ab"]
    assert merged(prune(tokenizer, corpus, min_count=2)) == [b"he", b"the", b"xy"]
    assert merged(prune(tokenizer, corpus, min_count=3)) == [b"xy"]


def test_two_ways_to_choose_are_an_error(trained: pytok.Tokenizer) -> None:
    with pytest.raises(ValueError, match="two ways to choose"):
        prune(trained, "no-such-file", 300, min_count=2)


def test_unused_tokens_fill_the_size_by_rank(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(b"he", b"the", b"xy", b"ab")

    assert merged(prune(tokenizer, written(tmp_path, "ab"), 260)) == [b"he", b"the", b"ab"]


@given(
    pairs=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=3, max_size=7),
    text=st.text("abcd", min_size=1, max_size=60),
)
def test_no_other_vocabulary_of_the_size_saves_more_merges(
    pairs: list[tuple[int, int]],
    text: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """By brute force over all that have the parts of their tokens."""
    tokens = [b"a", b"b", b"c", b"d"]
    for left, right in pairs:
        token = tokens[left % len(tokens)] + tokens[right % len(tokens)]
        if token not in tokens:
            tokens.append(token)
    tokenizer = tokenizer_of(*tokens[4:])
    ranks = tokenizer.encode(text)
    applied = dict.fromkeys(tokens[4:], 0)
    for token in parts(tokenizer, ranks):
        if len(token) > 1:
            applied[token] += 1
    needed = {
        token: set(parts(tokenizer, [tokenizer.vocab[token]])) - set(BYTES) for token in applied
    }
    path = written(tmp_path_factory.mktemp("corpus"), text)
    for count in range(len(applied)):
        kept = merged(prune(tokenizer, path, 257 + count))
        complete = (
            chosen
            for chosen in map(set, itertools.combinations(applied, count))
            if all(needed[token] <= chosen for token in chosen)
        )

        assert all(needed[token] <= set(kept) for token in kept)
        assert sum(applied[token] for token in kept) == max(
            sum(applied[token] for token in chosen) for chosen in complete
        )


@given(text=texts())
def test_a_text_whose_merges_are_kept_has_the_same_tokens(
    text: str, trained: pytok.Tokenizer, pruned: Pruned
) -> None:
    """And any text decodes to itself."""
    before, after = trained.encode_ordinary(text), pruned.tokenizer.encode_ordinary(text)

    assert pruned.tokenizer.decode_bytes(after) == trained.decode_bytes(before)
    for id in before:  # the ids of `trained` are its ranks
        if set(parts(trained, [id])) <= pruned.tokenizer.vocab.keys():
            continue
        break
    else:
        assert pruned.ids[after].tolist() == before


def test_the_corpus_has_the_same_tokens_if_none_of_it_is_dropped(
    trained: pytok.Tokenizer, tmp_path: Path
) -> None:
    found = prune(trained, written(tmp_path, *CORPUS[:2]))

    for text in CORPUS[:2]:
        ids = found.tokenizer.encode_ordinary(text)
        assert found.ids[ids].tolist() == trained.encode_ordinary(text)
    assert len(found.ids) < 600


def test_hugging_face_encodes_as_the_pruned_tokenizer_does(
    pruned: Pruned, engine: EngineName, tmp_path: Path
) -> None:
    """So the merges of all its tokens are there."""
    pruned.tokenizer.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ours = pytok.load(tmp_path / "tokenizer.json", engine=engine)

    for text in CORPUS:
        assert ours.encode_ordinary(text) == theirs.encode(text).ids


def test_ids_keep_their_order_without_gaps(tmp_path: Path) -> None:
    """Special tokens take part in it."""
    tokenizer = tokenizer_of(b"he", b"the", b"xy", b"ab")

    found = prune(tokenizer, written(tmp_path, "xyxy"), 258)

    assert found.ids.tolist() == [*range(256), 258, 262]
    assert found.tokenizer.vocab[b"xy"] == 256
    assert dict(found.tokenizer.special_tokens) == {"<|s|>": 257}


def test_kept_ids_follow_from_the_two_tokenizers(
    trained: pytok.Tokenizer, pruned: Pruned, tmp_path: Path
) -> None:
    """Also after the pruned one was saved."""
    pruned.tokenizer.save(tmp_path / "pruned.json")

    found = kept_ids(trained, pytok.load(tmp_path / "pruned.json"))

    assert np.array_equal(found, pruned.ids)


def test_kept_ids_rejects_another_vocabulary(trained: pytok.Tokenizer) -> None:
    other = pytok.train(CORPUS[1:2], 300)
    with pytest.raises(VocabError, match=r"^not pruned from this vocabulary, which has no token b"):
        kept_ids(trained, other)
    with pytest.raises(VocabError, match=r"has no token '<\|x\|>'$"):
        kept_ids(trained, pytok.train(CORPUS[:1], 257, special_tokens=("<|x|>",)))


def test_kept_ids_rejects_another_pattern_and_another_order(trained: pytok.Tokenizer) -> None:
    small = trained.truncated(300)
    ranks = dict(small.vocab)
    swapped = dict(ranks)
    first, second = list(ranks)[256:258]
    swapped[first], swapped[second] = ranks[second], ranks[first]

    for pattern, vocab in (("gpt2", ranks), ("cl100k", swapped)):
        other = pytok.Tokenizer(
            "other",
            pat_str=pattern,
            mergeable_ranks=vocab,
            special_tokens=small.special_tokens,
        )
        with pytest.raises(VocabError, match="in another order, further added tokens"):
            kept_ids(trained, other)
    assert kept_ids(trained, small).tolist() == [*range(299), 599]


@pytest.mark.parametrize("size", [256, 600])
def test_a_size_that_is_impossible_is_an_error_before_the_corpus_is_read(
    size: int, trained: pytok.Tokenizer
) -> None:
    with pytest.raises(VocabError, match=rf"to {size} ids: pass 257 to 599, since"):
        prune(trained, "no-such-file", size)


def test_the_use_before_is_that_of_the_original(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    corpus = written(tmp_path, *CORPUS)
    text = corpus.read_bytes().decode()
    before = prune(trained, corpus, 400).before

    ids = trained.encode_ordinary(text)
    assert (before.tokens, before.bytes) == (len(ids), len(text.encode()))
    assert before.uses.tolist() == np.bincount(ids, minlength=599).tolist()
    assert before.bytes_per_token == before.bytes / before.tokens
