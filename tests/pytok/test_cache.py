"""The cache of pieces in the native engine changes the speed, but never the ids.

The reference and tiktoken have no such cache: they are the oracles.
"""

import itertools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from tests.conftest import CORPUS, on_engine
from tests.pytok.strategies import texts

Twins = dict[EngineName, pytok.Tokenizer]

BYTES = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}


def whole(tokens: dict[bytes, int]) -> pytok.Tokenizer:
    """A tokenizer whose pieces are spaces and the text between them."""
    return pytok.Tokenizer("whole", pat_str="[^ ]+| ", mergeable_ranks=tokens, special_tokens={})


def assert_cached_ids_are_equal(tokenizer: pytok.Tokenizer, pieces: list[bytes]) -> None:
    """Assert that each piece has its own ids, twice in one text and again in the next.

    `_encode_single_piece` does not use the cache.
    """
    space = tokenizer._encode_single_piece(b" ")
    expected = [id for piece in pieces for id in [*tokenizer._encode_single_piece(piece), *space]]
    text = b"".join(piece + b" " for piece in pieces).decode()

    assert tokenizer.encode_to_numpy(text * 2).tolist() == expected * 2
    assert tokenizer.encode_to_numpy(text).tolist() == expected


@given(first=texts(), between=st.lists(texts(), max_size=4))
def test_a_text_has_the_same_ids_after_any_other_texts(
    first: str, between: list[str], trained: pytok.Tokenizer, twins: Twins
) -> None:
    """A new tokenizer, a used one and the reference agree."""
    fresh = on_engine(trained, "native")
    expected = twins["reference"].encode_ordinary(first)

    assert fresh.encode_ordinary(first) == expected
    for text in between:
        assert fresh.encode_ordinary(text) == twins["reference"].encode_ordinary(text)
    assert fresh.encode_ordinary(first) == expected


LENGTHS = [1, 2, 7, 8, 9, 14, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 1023, 1024, 1025, 5000]


@pytest.mark.parametrize("length", LENGTHS)
def test_cached_pieces_of_any_length_keep_their_ids(length: int) -> None:
    """Pieces that differ in their first, middle or last byte only."""
    plain = b"a" * length
    pieces = [plain]
    for i in {0, length // 2, length - 1}:
        pieces += [plain[:i] + other + plain[i + 1 :] for other in (b"b", b"c", b"d")]
    tokenizer = whole(BYTES | {b"aa": 256, b"aaaa": 257, b"ab": 258, b"da": 259})

    assert_cached_ids_are_equal(tokenizer, pieces + pieces[::-1])


@pytest.mark.parametrize("length", LENGTHS)
def test_the_cache_distinguishes_a_piece_from_its_prefixes(length: int) -> None:
    """Above all where NUL bytes follow the prefix."""
    pieces = [b"a" * length + b"\x00" * count for count in range(20)]
    pieces += [b"\x00" * count + b"a" * length for count in range(20)]
    pieces += [b"\x00" * (length + count) for count in range(20)]
    tokenizer = whole(BYTES | {b"\x00\x00": 256, b"a\x00": 257, b"aa": 258})

    assert_cached_ids_are_equal(tokenizer, pieces)


@pytest.mark.parametrize("step", [1, 7, 1 << 13, 1 << 21])
@pytest.mark.parametrize("length", [*range(1, 10), 15, 16, 40])
def test_cached_pieces_of_any_number_of_ids_keep_them(length: int, step: int) -> None:
    """With ids of few bits or many: a few small ids are packed together."""
    tokens = {token: rank * step for token, rank in BYTES.items()}
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [(letters[start:] + letters * 2)[:length].encode() for start in range(26)]

    assert_cached_ids_are_equal(whole(tokens), pieces)


@pytest.mark.parametrize("greatest", [(1 << 21) - 3, (1 << 21) - 2, (1 << 21) - 1, 1 << 21])
def test_cached_ids_around_21_bits_are_kept(greatest: int) -> None:
    """Six ids of 21 bits are packed into 128 bits; the greatest value means no id."""
    tokens = {token: greatest - rank for token, rank in BYTES.items()}
    pieces = [piece * count for piece in (b"!", b"!a", b"\xc3\xa9") for count in range(1, 9)]

    assert_cached_ids_are_equal(whole(tokens), pieces)


def numbered_words(count: int, length: int) -> str:
    """*count* different words of *length* letters, with a space before each."""
    letters = "bcdfghjklmnpqrst"
    words = itertools.islice(itertools.product(letters, repeat=5), count)
    return "".join(" " + "e" * (length - 5) + "".join(word) for word in words)


@pytest.mark.parametrize(
    ("count", "length"),
    [(1 << 20, 6), (400_000, 40)],
    ids=["short ones", "long ones"],
)
def test_more_pieces_than_the_cache_holds_have_tiktokens_ids(
    count: int, length: int, trained: pytok.Tokenizer, theirs: tiktoken.Encoding
) -> None:
    """Tables grow, are emptied and fill up again; the text is encoded twice."""
    fresh = on_engine(trained, "native")
    text = numbered_words(count, length)
    expected = theirs.encode_to_numpy(text)

    np.testing.assert_array_equal(fresh.encode_to_numpy(text), expected)
    np.testing.assert_array_equal(fresh.encode_to_numpy(text), expected)


def test_a_growing_number_of_pieces_has_tiktokens_ids(
    trained: pytok.Tokenizer, theirs: tiktoken.Encoding
) -> None:
    """Compared after each hundred, together with earlier pieces."""
    fresh = on_engine(trained, "native")
    words = numbered_words(20_000, 7).split()

    for start in range(0, len(words), 100):
        some = words[start : start + 100] + words[: start + 100 : 37]
        text = " ".join(some)
        assert fresh.encode_ordinary(text) == theirs.encode_ordinary(text)


def test_concurrent_threads_have_tiktokens_ids(
    trained: pytok.Tokenizer, theirs: tiktoken.Encoding
) -> None:
    """Threads start together and encode different texts with one tokenizer."""
    fresh = on_engine(trained, "native")
    all_texts = [numbered_words(9_000 + 100 * thread, 6 + thread) for thread in range(4)]
    expected = [theirs.encode_ordinary(text) for text in all_texts]
    found: dict[int, list[list[int]]] = {thread: [] for thread in range(4)}
    together = threading.Barrier(4)

    def encode(thread: int) -> None:
        together.wait()
        for turn in range(6):
            other = (thread + turn) % 4
            found[thread].append(fresh.encode_ordinary(all_texts[other]))

    threads = [threading.Thread(target=encode, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for thread_number, answers in found.items():
        assert answers == [expected[(thread_number + turn) % 4] for turn in range(6)]


FORKING = """
import os, sys, warnings
warnings.simplefilter("ignore")  # newer Pythons warn of a fork while other threads run
import pytok
tokenizer = pytok.train({corpus!r}, 400, num_threads=2)
text = "a text, and more of it " * 9_000
expected = tokenizer.encode_batch([text], num_threads=2)
child = os.fork()
if child == 0:
    same = tokenizer.encode_batch([text], num_threads=2) == expected
    os._exit(0 if same and [tokenizer.encode(text)] == expected else 1)
_, status = os.waitpid(child, 0)
same = tokenizer.encode_batch([text], num_threads=2) == expected
sys.exit(os.waitstatus_to_exitcode(status) or not same)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_can_encode() -> None:
    """With the tokenizer of its parent, on new threads; and so can its parent."""
    script = FORKING.format(corpus=CORPUS)

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
