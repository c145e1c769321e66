"""Batches: flat arrays, lists and single texts have the same ids, on any number of threads.

`test_spans` is about threads that share one long text, `test_files` about files.
"""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import PatternError, SpecialTokenError
from tests.conftest import ENGINES
from tests.pytok.strategies import texts, with_specials

Twins = dict[EngineName, pytok.Tokenizer]

THREADS = [None, 1, 2, 7]
SPECIAL = "<|endoftext|>"
MANY = [f"text {number}: " + "some words, more words\n" * (number % 90) for number in range(400)]
"""Enough text to use threads (64 KiB), in texts of very different lengths."""


def in_lists(flat: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]) -> list[list[int]]:
    """The result of `encode_batch_to_numpy` in the form of `encode_batch`."""
    ids, offsets = flat
    return [ids[start:end].tolist() for start, end in itertools.pairwise(offsets)]


@given(
    batch=st.lists(with_specials([SPECIAL]), max_size=6),
    threads=st.sampled_from(THREADS),
)
def test_flat_ids_and_offsets_are_those_of_the_lists(
    batch: list[str], threads: int | None, twins: Twins
) -> None:
    """With special tokens, on any number of threads."""
    for tokenizer in twins.values():
        expected = [tokenizer.encode(text, allowed_special="all") for text in batch]
        flat = tokenizer.encode_batch_to_numpy(batch, num_threads=threads, allowed_special="all")
        assert in_lists(flat) == expected


@pytest.mark.parametrize("threads", THREADS)
def test_a_large_batch_is_the_same_on_any_number_of_threads(
    threads: int | None, twins: Twins
) -> None:
    """As lists and as arrays, on both engines."""
    expected = [twins["reference"].encode_ordinary(text) for text in MANY]

    for tokenizer in twins.values():
        assert tokenizer.encode_batch(MANY, num_threads=threads) == expected
        assert in_lists(tokenizer.encode_batch_to_numpy(MANY, num_threads=threads)) == expected


@pytest.mark.parametrize("threads", THREADS)
def test_a_large_batch_decodes_on_any_number_of_threads(threads: int | None, twins: Twins) -> None:
    """To the original texts."""
    for tokenizer in twins.values():
        batch = tokenizer.encode_ordinary_batch(MANY)
        assert tokenizer.decode_batch(batch, num_threads=threads) == MANY


@pytest.mark.parametrize("batch", [[], [""], ["", ""], ["", "a", ""], ["a", "", "", "b"]])
def test_empty_texts_have_no_ids_but_have_an_offset(
    batch: list[str], engine: EngineName, twins: Twins
) -> None:
    """There is one more offset than there are texts, even for an empty batch."""
    ids, offsets = twins[engine].encode_batch_to_numpy(batch)

    assert offsets.tolist() == [len("".join(batch[:i])) for i in range(len(batch) + 1)]
    assert len(ids) == offsets[-1]


def test_flat_arrays_have_fixed_dtypes(engine: EngineName, twins: Twins) -> None:
    """Unsigned 32-bit ids and signed 64-bit offsets, also for an empty batch."""
    for batch in ([], ["some text"]):
        ids, offsets = twins[engine].encode_batch_to_numpy(batch)
        assert (ids.dtype, ids.ndim) == (np.dtype(np.uint32), 1)
        assert (offsets.dtype, offsets.ndim) == (np.dtype(np.int64), 1)


def test_a_batch_can_be_any_iterable(engine: EngineName, twins: Twins) -> None:
    """Such as a generator, which is consumed once."""
    tokenizer = twins[engine]

    assert tokenizer.encode_batch(iter(["a", "b"])) == [[64], [65]]
    assert in_lists(tokenizer.encode_batch_to_numpy(text for text in "ab")) == [[64], [65]]


@given(batch=st.lists(texts(surrogates=True), min_size=1, max_size=5))
def test_surrogates_in_a_batch_are_repaired_as_tiktoken_repairs_them(
    batch: list[str], twins: Twins
) -> None:
    """The repair of one text does not change another."""
    theirs = tiktoken.Encoding(
        "ours",
        pat_str=twins["native"].pattern,
        mergeable_ranks=dict(twins["native"].vocab),
        special_tokens={},
    )
    expected = theirs.encode_ordinary_batch(batch, num_threads=1)

    for tokenizer in twins.values():
        assert tokenizer.encode_ordinary_batch(batch) == expected
        flat = tokenizer.encode_batch_to_numpy(batch, disallowed_special=())
        assert in_lists(flat) == expected


@given(batch=st.lists(with_specials([SPECIAL]), max_size=6), threads=st.sampled_from(THREADS))
def test_texts_in_utf8_have_the_ids_of_strings(
    batch: list[str], threads: int | None, twins: Twins
) -> None:
    """Special tokens in them are text."""
    for tokenizer in twins.values():
        flat = tokenizer.encode_utf8([text.encode() for text in batch], num_threads=threads)
        assert in_lists(flat) == [tokenizer.encode_ordinary(text) for text in batch]


@pytest.mark.parametrize("threads", THREADS)
def test_a_large_batch_in_utf8_has_the_ids_of_strings(threads: int | None, twins: Twins) -> None:
    """On any number of threads, from any iterable."""
    expected = [twins["reference"].encode_ordinary(text) for text in MANY]

    for tokenizer in twins.values():
        flat = tokenizer.encode_utf8((text.encode() for text in MANY), num_threads=threads)
        assert in_lists(flat) == expected


@given(good=st.lists(texts(), max_size=3), bad=st.binary(max_size=9))
def test_invalid_utf8_raises_the_error_of_python(good: list[str], bad: bytes, twins: Twins) -> None:
    """The error has the bytes of that text and the position of the invalid byte."""
    batch = [*(text.encode() for text in good), bad, b"\xff"]
    with pytest.raises(UnicodeDecodeError) as expected:
        [text.decode() for text in batch]

    for tokenizer in twins.values():
        with pytest.raises(UnicodeDecodeError) as error:
            tokenizer.encode_utf8(batch)
        assert error.value.args == expected.value.args


def test_strings_are_not_accepted_as_utf8(engine: EngineName, twins: Twins) -> None:
    """Other methods encode strings."""
    with pytest.raises(TypeError):
        twins[engine].encode_utf8(["text"])  # type: ignore[list-item]


BAD_THREADS = [0, -1, 1025]


@pytest.mark.parametrize("threads", BAD_THREADS)
@pytest.mark.parametrize(
    "method", ["encode_batch", "encode_ordinary_batch", "encode_batch_to_numpy", "encode_utf8"]
)
def test_encoding_on_an_invalid_number_of_threads_is_rejected(
    method: str, threads: int, engine: EngineName, twins: Twins
) -> None:
    """Even for an empty batch."""
    with pytest.raises(ValueError, match=f"^num_threads is {threads}: pass 1 to 1024$"):
        getattr(twins[engine], method)([], num_threads=threads)


@pytest.mark.parametrize("threads", BAD_THREADS)
@pytest.mark.parametrize("method", ["decode_batch", "decode_bytes_batch"])
def test_decoding_on_an_invalid_number_of_threads_is_rejected(
    method: str, threads: int, engine: EngineName, twins: Twins
) -> None:
    """With the same message."""
    with pytest.raises(ValueError, match=f"^num_threads is {threads}: pass 1 to 1024$"):
        getattr(twins[engine], method)([[64]], num_threads=threads)


@pytest.mark.parametrize("filler", ["", "long enough to be shared by threads " * 4000])
def test_a_disallowed_special_token_in_any_text_rejects_the_batch(
    filler: str, engine: EngineName, twins: Twins
) -> None:
    """With the message of `encode`, with and without threads."""
    with pytest.raises(SpecialTokenError) as one:
        twins[engine].encode(SPECIAL)

    with pytest.raises(SpecialTokenError) as flat:
        twins[engine].encode_batch_to_numpy(["fine", filler, "x" + SPECIAL])
    with pytest.raises(SpecialTokenError) as lists:
        twins[engine].encode_batch(["fine", filler, "x" + SPECIAL])

    assert str(flat.value) == str(lists.value) == str(one.value)


@pytest.mark.parametrize("filler", ["", "a" * 100_000])
def test_a_pattern_that_fails_on_one_text_rejects_the_batch(
    filler: str, engine: EngineName
) -> None:
    """With the position in that text, with and without threads."""
    tokenizer = pytok.Tokenizer(
        "bytes",
        pat_str="é|a+|(?=b)",
        mergeable_ranks={bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)},
        special_tokens={},
        engine=engine,
    )

    with pytest.raises(PatternError, match="matches the empty string at byte 3:"):
        tokenizer.encode_batch([filler, "éab"])


@given(
    batch=st.lists(st.lists(st.integers(0, 599), max_size=20), max_size=6),
    threads=st.sampled_from(THREADS),
)
def test_a_batch_of_ids_decodes_as_its_rows_do(
    batch: list[list[int]], threads: int | None, twins: Twins
) -> None:
    """To bytes, and to text with invalid UTF-8 replaced."""
    for tokenizer in twins.values():
        expected = [tokenizer.decode_bytes(ids) for ids in batch]
        assert tokenizer.decode_bytes_batch(batch, num_threads=threads) == expected
        decoded = tokenizer.decode_batch(batch, num_threads=threads)
        assert decoded == [data.decode("utf-8", "replace") for data in expected]


def test_an_unknown_id_in_a_batch_raises_the_error_of_a_single_row(twins: Twins) -> None:
    """A KeyError with the same message from both engines."""
    outcomes = []
    for engine in ENGINES:
        for decode in (twins[engine].decode_bytes_batch, twins[engine].decode_batch):
            with pytest.raises(KeyError) as error:
                decode([[64], [65, 99_999]])
            outcomes.append(error.value.args)

    assert outcomes == [("Invalid token for decoding: 99999",)] * 4


def test_errors_of_a_decoded_batch_are_those_of_bytes_decode(
    engine: EngineName, twins: Twins
) -> None:
    """By default invalid bytes are replaced."""
    half = twins[engine]._encode_bytes(b"\xc3")

    assert twins[engine].decode_batch([half, [64]]) == ["\ufffd", "a"]
    assert twins[engine].decode_batch([half, [64]], errors="ignore") == ["", "a"]
    with pytest.raises(UnicodeDecodeError):
        twins[engine].decode_batch([half], errors="strict")
