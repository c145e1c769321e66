"""Training: both engines make the merges of the plain definition, from any kind of source."""

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
    """The tokens of a vocabulary of *size*, or of fewer where pairs run out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = pytok.train(texts, size, special_tokens=(), engine=engine, **options)
    return list(tokenizer.vocab)


def recount(texts: list[str], size: int, pattern: str) -> list[bytes]:
    """Byte pair encoding by its definition: count all pairs from scratch for each merge."""
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
            index = 0
            while index < len(word) - 1:
                if (word[index], word[index + 1]) == best:
                    word[index : index + 2] = [len(tokens)]
                index += 1
        tokens.append(tokens[best[0]] + tokens[best[1]])
    return tokens


@given(texts=corpora(), size=sizes())
def test_both_engines_make_the_merges_of_the_definition(texts: list[str], size: int) -> None:
    """Token for token, ties included."""
    expected = recount(texts, size, "gpt2")

    assert [learn(texts, size, engine, pattern="gpt2") for engine in ENGINES] == [expected] * 2


@given(texts=corpora(), size=sizes())
def test_the_order_of_documents_does_not_matter(texts: list[str], size: int) -> None:
    """Documents in another order give the same vocabulary."""
    assert learn(texts, size) == learn(texts[::-1], size)


def test_the_number_of_threads_does_not_matter() -> None:
    """Three threads make the merges of one."""
    assert learn(CORPUS, 500, num_threads=1) == learn(CORPUS, 500, num_threads=3)


@given(texts=corpora(), size=sizes())
def test_a_larger_vocabulary_starts_with_a_smaller_one(texts: list[str], size: int) -> None:
    """A merge does not depend on later ones."""
    assert learn(texts, size + 10)[:size] == learn(texts, size)


def test_no_pair_is_counted_across_documents(engine: EngineName) -> None:
    """Documents of one letter have no pairs."""
    assert learn(["x", "y", "x", "y"], 300, engine) == learn([], 300, engine)


def test_cutting_a_long_document_for_threads_changes_no_count(engine: EngineName) -> None:
    """A document of twice the length has the same merges."""
    text = "one two\nthree\n\n four\n" * 100_000

    assert learn([text], 280, engine) == learn([text[: len(text) // 2]], 280, engine)


def test_ids_are_bytes_then_merges_then_special_tokens(engine: EngineName) -> None:
    """`vocab_size` includes all of them."""
    tokenizer = pytok.train(CORPUS, 300, special_tokens=("<|a|>", "<|b|>"), engine=engine)

    assert tokenizer.n_vocab == 300
    assert tokenizer.special_tokens == {"<|a|>": 298, "<|b|>": 299}
    assert list(tokenizer.vocab.values()) == list(range(298))


def test_a_corpus_without_enough_pairs_gives_fewer_tokens_and_a_warning(engine: EngineName) -> None:
    """The special token follows the last merge."""
    with pytest.warns(UserWarning, match=r"the vocabulary has 258 ids, not 1,000$"):
        tokenizer = pytok.train(["ab"], 1000, engine=engine)

    assert tokenizer.special_tokens == {"<|endoftext|>": 257}


def test_a_vocabulary_too_small_for_the_bytes_is_rejected(engine: EngineName) -> None:
    """The message has the minimum size."""
    with pytest.raises(TrainingError, match=r"a vocabulary of 256 is too small: .* make 257$"):
        pytok.train(CORPUS, 256, engine=engine)


def test_a_special_token_listed_twice_is_rejected() -> None:
    """A special token has one id."""
    with pytest.raises(TrainingError, match="listed twice"):
        pytok.train(CORPUS, 300, special_tokens=("<|a|>", "<|a|>"))


def test_a_list_with_a_document_that_is_not_text_is_rejected() -> None:
    """The message has the index of the document."""
    with pytest.raises(TypeError, match="document 1 is bytes, not str"):
        pytok.train(["a", b"b"], 300)  # type: ignore[list-item]


def test_a_file_that_does_not_exist_is_an_error() -> None:
    """A str as the source is a path, never a text."""
    with pytest.raises(CorpusError, match="no-such-file"):
        pytok.train("no-such-file.txt", 300)


def test_a_pattern_that_fails_while_counting_is_an_error(engine: EngineName) -> None:
    """The text is not skipped."""
    with pytest.raises(PatternError, match="matches the empty string"):
        pytok.train(["abc"], 300, pattern="a*", engine=engine)


def test_lone_surrogates_are_replaced_before_counting(engine: EngineName) -> None:
    """`encode` replaces them, too."""
    assert learn(["a\ud800b"] * 2, 259, engine) == learn(["a\ufffdb"] * 2, 259, engine)


def test_an_exception_in_progress_stops_the_training(engine: EngineName) -> None:
    """Ctrl-C ends training in the same way."""

    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pytok.train(CORPUS, 600, engine=engine, progress=stop)


def test_files_are_counted_document_by_document(engine: EngineName, tmp_path) -> None:
    """Three files, one of which has two lines of JSON, are four documents."""
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
    """The crate and the reference have the same table."""
    from pytok import _native

    assert dict(_native.PATTERNS) == PATTERNS
