"""Training: the same merges in both engines, from Hugging Face, and from the plain definition."""

import warnings
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import CorpusError, PatternError, TrainingError
from pytok.patterns import PATTERNS
from pytok.reference.pretokenize import Pattern
from tests.conftest import CORPUS, ENGINES
from tests.pytok.strategies import corpora, sizes


def learn(
    texts: list[str], size: int, engine: EngineName = "native", **options: object
) -> list[bytes]:
    """The tokens of a vocabulary of *size*, or fewer where pairs run out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = pytok.train(texts, size, special_tokens=(), engine=engine, **options)
    return list(tokenizer.vocab)


def recount(texts: list[str], size: int, pattern: str) -> list[bytes]:
    """Byte pair encoding by its definition: count all pairs anew for each merge."""
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    words = [
        [BYTE_ORDER.index(byte) for byte in piece.encode()]
        for text in texts
        for piece in Pattern(pattern).split(text)
    ]
    while len(tokens) < size:
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        for word in words:
            at = 0
            while at < len(word) - 1:
                if (word[at], word[at + 1]) == best:
                    word[at : at + 2] = [len(tokens)]
                at += 1
        tokens.append(tokens[best[0]] + tokens[best[1]])
    return tokens


@given(texts=corpora(), size=sizes())
def test_both_engines_learn_what_the_definition_says(texts: list[str], size: int) -> None:
    """Token for token, ties included."""
    expected = recount(texts, size, "gpt2")

    assert [learn(texts, size, engine, pattern="gpt2") for engine in ENGINES] == [expected] * 2


@given(texts=corpora(), size=sizes())
def test_the_order_of_documents_does_not_matter(texts: list[str], size: int) -> None:
    """Equal inputs give equal vocabularies."""
    assert learn(texts, size) == learn(texts[::-1], size)


def test_the_number_of_threads_does_not_matter() -> None:
    """Nor does it change what a single thread learns."""
    assert learn(CORPUS, 500, num_threads=1) == learn(CORPUS, 500, num_threads=3)


@given(texts=corpora(), size=sizes())
def test_a_larger_vocabulary_begins_with_the_smaller(texts: list[str], size: int) -> None:
    """Merges are learnt one after another, whatever comes later."""
    assert learn(texts, size + 10)[:size] == learn(texts, size)


def test_no_pair_is_counted_across_documents(engine: EngineName) -> None:
    """Neither at their borders nor in a list of one-letter documents."""
    assert learn(["x", "y", "x", "y"], 300, engine) == learn([], 300, engine)


def test_a_long_document_is_counted_as_one(engine: EngineName) -> None:
    """Cutting it into parts for the threads changes nothing."""
    text = "one two\nthree\n\n four\n" * 100_000

    assert learn([text], 280, engine) == learn([text[: len(text) // 2]], 280, engine)


def test_ids_are_bytes_then_merges_then_special_tokens(engine: EngineName) -> None:
    """`vocab_size` counts them all."""
    tokenizer = pytok.train(CORPUS, 300, special_tokens=("<|a|>", "<|b|>"), engine=engine)

    assert tokenizer.n_vocab == 300
    assert tokenizer.special_tokens == {"<|a|>": 298, "<|b|>": 299}
    assert list(tokenizer.vocab.values()) == list(range(298))


def test_a_corpus_without_enough_pairs_gives_fewer_tokens_and_says_so(engine: EngineName) -> None:
    """The special token follows the last merge."""
    with pytest.warns(UserWarning, match=r"the vocabulary has 258 ids, not 1,000$"):
        tokenizer = pytok.train(["ab"], 1000, engine=engine)

    assert tokenizer.special_tokens == {"<|endoftext|>": 257}


def test_a_vocabulary_without_room_for_the_bytes_is_refused(engine: EngineName) -> None:
    """With the least size that would do."""
    with pytest.raises(TrainingError, match=r"a vocabulary of 256 is too small: .* make 257$"):
        pytok.train(CORPUS, 256, engine=engine)


def test_a_special_token_listed_twice_is_refused() -> None:
    """It could have but one id."""
    with pytest.raises(TrainingError, match="listed twice"):
        pytok.train(CORPUS, 300, special_tokens=("<|a|>", "<|a|>"))


def test_a_list_of_something_else_than_text_is_refused() -> None:
    """And the place of the wrong document is said."""
    with pytest.raises(TypeError, match="document 1 is bytes, not str"):
        pytok.train(["a", b"b"], 300)  # type: ignore[list-item]


def test_a_file_that_does_not_exist_is_an_error() -> None:
    """A str is a path, never a text."""
    with pytest.raises(CorpusError, match="no-such-file"):
        pytok.train("no-such-file.txt", 300)


def test_a_pattern_that_fails_while_counting_is_an_error(engine: EngineName) -> None:
    """It is not a reason to count less."""
    with pytest.raises(PatternError, match="matches the empty string"):
        pytok.train(["abc"], 300, pattern="a*", engine=engine)


def test_lone_surrogates_are_replaced_before_counting(engine: EngineName) -> None:
    """As `encode` does it."""
    assert learn(["a\ud800b"] * 2, 259, engine) == learn(["a\ufffdb"] * 2, 259, engine)


def test_an_exception_in_progress_stops_the_training(engine: EngineName) -> None:
    """So Ctrl-C leaves, and so a caller can."""

    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pytok.train(CORPUS, 600, engine=engine, progress=stop)


def test_files_are_counted_document_by_document(engine: EngineName, tmp_path) -> None:
    """Three files, one of them of two lines of JSON, equal four documents."""
    (tmp_path / "a.txt").write_text("hello hello")
    (tmp_path / "b.txt").write_text(" world world")
    (tmp_path / "c.jsonl").write_text('{"text": "abab"}\n{"text": "ababab"}\n')

    from_files = pytok.train(str(tmp_path), 265, engine=engine)

    assert (
        list(from_files.vocab)[256:]
        == list(
            pytok.train(["hello hello", " world world", "abab", "ababab"], 265, engine=engine).vocab
        )[256:]
    )


def test_known_patterns_have_one_spelling_in_both_languages() -> None:
    """The crate's table and the reference's."""
    from pytok import _native

    assert dict(_native.PATTERNS) == PATTERNS
