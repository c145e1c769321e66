"""BPE on one page against both engines and tiktoken."""

import warnings

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.engine import EngineName
from pytok.patterns import PATTERNS
from pytok.reference import bpe
from tests.conftest import CORPUS, ENGINES
from tests.pytok.strategies import corpora, sizes, texts

patterns = st.sampled_from(sorted(PATTERNS))


def by_engine(corpus: list[str], size: int, pattern: str, engine: EngineName) -> pytok.Tokenizer:
    """Train a tokenizer of *size* tokens, or fewer if pairs run out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return pytok.train(corpus, size, pattern=pattern, special_tokens=(), engine=engine)


@pytest.fixture(scope="module")
def merges() -> dict[bpe.Pair, int]:
    """The merges of `trained`, which has one special token in 600."""
    return bpe.train(CORPUS, 599, "cl100k")


@given(corpus=corpora(), size=sizes(), pattern=patterns, text=texts())
def test_the_page_equals_both_engines(
    corpus: list[str], size: int, pattern: str, text: str
) -> None:
    """The merges, the vocabulary, the ids of any text, and the text of these ids."""
    merges = bpe.train(corpus, size, pattern)
    ids = bpe.encode(text, merges, pattern)

    for engine in ENGINES:
        tokenizer = by_engine(corpus, size, pattern, engine)
        assert list(tokenizer.vocab) == bpe.vocabulary(merges)
        assert tokenizer._core.merges()[256:] == list(merges)
        assert tokenizer.encode(text) == ids
        assert tokenizer.decode(ids) == bpe.decode(ids, merges) == text


def test_the_page_learns_a_real_vocabulary(
    trained: pytok.Tokenizer, merges: dict[bpe.Pair, int]
) -> None:
    """From several languages, code and a chapter of a manual."""
    assert bpe.vocabulary(merges) == list(trained.vocab)


@given(text=texts())
def test_the_page_gives_tiktokens_ids(
    theirs: tiktoken.Encoding, merges: dict[bpe.Pair, int], text: str
) -> None:
    """On the vocabulary of the test above."""
    ids = theirs.encode_ordinary(text)

    assert bpe.encode(text, merges, "cl100k") == ids
    assert bpe.decode(ids, merges) == text


@given(data=st.data())
def test_any_ids_decode_as_in_tiktoken(
    theirs: tiktoken.Encoding, merges: dict[bpe.Pair, int], data: st.DataObject
) -> None:
    """Also where they cut a character in two."""
    ids = data.draw(st.lists(st.integers(0, 255 + len(merges)), max_size=20))

    assert bpe.decode(ids, merges) == theirs.decode(ids)
