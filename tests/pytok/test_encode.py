"""Encoding and decoding: both engines return the ids of tiktoken on the same ranks."""

import random

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import UnknownTokenError
from pytok.formats.token_parts import parts_of
from pytok.reference.encode import encode_piece, merge
from pytok.reference.vocab import Vocab
from tests.conftest import ENGINES, on_engine
from tests.pytok.strategies import texts, with_specials

Twins = dict[EngineName, pytok.Tokenizer]


@given(text=texts(surrogates=True))
def test_ordinary_text_has_tiktokens_ids(
    text: str, twins: Twins, theirs: tiktoken.Encoding
) -> None:
    """Also with lone surrogates."""
    expected = theirs.encode_ordinary(text)

    assert [twins[engine].encode_ordinary(text) for engine in ENGINES] == [expected] * 2


@given(text=with_specials(["<|endoftext|>"]))
def test_special_tokens_have_tiktokens_ids(
    text: str, twins: Twins, theirs: tiktoken.Encoding
) -> None:
    """If they are allowed."""
    expected = theirs.encode(text, allowed_special="all")

    assert [twins[e].encode(text, allowed_special="all") for e in ENGINES] == [expected] * 2


@given(text=texts())
def test_decoding_returns_the_text(text: str, twins: Twins) -> None:
    """Any text that UTF-8 can encode."""
    for tokenizer in twins.values():
        assert tokenizer.decode(tokenizer.encode_ordinary(text)) == text


@given(data=st.one_of(st.binary(max_size=40), texts().map(str.encode)))
def test_bytes_have_tiktokens_ids_and_decode_to_themselves(
    data: bytes, twins: Twins, theirs: tiktoken.Encoding
) -> None:
    """Valid UTF-8 or not."""
    for tokenizer in twins.values():
        ids = tokenizer._encode_bytes(data)
        assert ids == theirs._encode_bytes(data)
        assert tokenizer.decode_bytes(ids) == data


@given(batch=st.lists(texts(surrogates=True), max_size=5), threads=st.sampled_from([None, 1, 3]))
def test_a_batch_has_the_ids_of_its_texts(
    batch: list[str], threads: int | None, twins: Twins
) -> None:
    """In order, on any number of threads."""
    for tokenizer in twins.values():
        expected = [tokenizer.encode_ordinary(text) for text in batch]
        assert tokenizer.encode_ordinary_batch(batch, num_threads=threads) == expected


@given(text=with_specials(["<|endoftext|>"]))
def test_count_is_the_number_of_ids(text: str, twins: Twins) -> None:
    """With and without special tokens."""
    for tokenizer in twins.values():
        assert tokenizer.count(text, disallowed_special=()) == len(tokenizer.encode_ordinary(text))
        ids = tokenizer.encode(text, allowed_special="all")
        assert tokenizer.count(text, allowed_special="all") == len(ids)


@given(text=texts())
def test_numpy_ids_are_those_of_the_list(text: str, twins: Twins) -> None:
    """They are unsigned 32-bit integers in a writable array."""
    for tokenizer in twins.values():
        array = tokenizer.encode_to_numpy(text)
        assert array.tolist() == tokenizer.encode(text)
        assert (array.dtype.name, array.flags.writeable) == ("uint32", True)


@given(text=texts())
def test_unstable_encoding_is_tiktokens(text: str, twins: Twins, theirs: tiktoken.Encoding) -> None:
    """Stable ids are compared in order, completions in any order."""
    stable, completions = theirs.encode_with_unstable(text[-6:])
    for tokenizer in twins.values():
        ours, ours_completions = tokenizer.encode_with_unstable(text[-6:])
        assert ours == stable
        assert sorted(ours_completions) == sorted(map(list, completions))


@pytest.mark.parametrize("unit", ["a", "^", "0", " ", "\n", "ab", "a ", "\n ", "é", "漢", "A"])
def test_a_hundred_thousand_repeats_have_tiktokens_ids(
    unit: str, twins: Twins, theirs: tiktoken.Encoding
) -> None:
    """Long pieces are merged with a heap instead of a scan."""
    text = unit * 100_000

    ids = twins["native"].encode_ordinary(text)

    assert ids == theirs.encode_ordinary(text)
    assert ids == twins["reference"].encode_ordinary(text)


@pytest.mark.parametrize("unit", ["a", "0", " ", "\n", "A", "!"])
def test_a_million_repeats_decode_to_themselves(unit: str, twins: Twins) -> None:
    """Also white space before a word, on which tiktoken's regex fails."""
    text = unit * 1_000_000 + "x"

    assert twins["native"].decode(twins["native"].encode_ordinary(text)) == text


@given(
    tokens=st.lists(
        st.text("ab", min_size=2, max_size=5).map(str.encode), max_size=10, unique=True
    ),
    piece=st.text("ab", min_size=1, max_size=80).map(str.encode),
)
def test_any_order_of_ranks_merges_as_in_tiktoken(tokens: list[bytes], piece: bytes) -> None:
    """Even an order that no training produces, such as abc before ab."""
    ranks = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}
    ranks |= {token: 256 + rank for rank, token in enumerate(tokens)}
    parts = {"pat_str": "gpt2", "mergeable_ranks": ranks, "special_tokens": {}}
    theirs = tiktoken.Encoding("any", **parts | {"pat_str": r"\w+"})  # type: ignore[arg-type]

    expected = theirs._encode_single_piece(piece)

    for engine in ENGINES:
        ours = pytok.Tokenizer("any", **parts, engine=engine)  # type: ignore[arg-type]
        assert ours._encode_single_piece(piece) == expected


def test_every_token_is_encoded_as_itself(trained: pytok.Tokenizer) -> None:
    """Also by merging: every token of a trained vocabulary can be reached."""
    vocab = Vocab(trained.vocab)

    for rank, token in enumerate(vocab.tokens):
        assert encode_piece(vocab, token) == [rank]
        assert merge(vocab, token, limit=len(vocab)) == [rank]


@given(
    tokens=st.lists(
        st.text("ab", min_size=2, max_size=7).map(str.encode), min_size=1, max_size=12, unique=True
    )
)
def test_parts_of_a_token_are_those_of_the_reference_without_it(tokens: list[bytes]) -> None:
    """For any order of ranks, such as abc before ab."""
    vocab = Vocab([bytes([byte]) for byte in BYTE_ORDER] + tokens)
    ranks = dict(vocab.ranks)

    for token in tokens:
        rank = vocab.ranks.pop(token)
        assert parts_of(token, ranks) == merge(vocab, token, limit=len(vocab))
        vocab.ranks[token] = rank


def test_ids_with_holes_and_out_of_order_are_kept(engine: EngineName) -> None:
    """The ids are those of *mergeable_ranks*, with special tokens between them."""
    ranks = {bytes([byte]): 2 * rank + 10 for rank, byte in enumerate(BYTE_ORDER)}
    tokenizer = pytok.Tokenizer(
        "holes", pat_str="gpt2", mergeable_ranks=ranks, special_tokens={"<e>": 11}, engine=engine
    )

    assert tokenizer.encode("!<e>", allowed_special="all") == [10, 11]
    assert tokenizer.decode([10, 11]) == "!<e>"
    assert tokenizer.n_vocab == 2 * 255 + 11


@given(ids=st.lists(st.integers(0, 700), max_size=12))
def test_decoding_any_ids_is_the_same_in_both_engines(
    ids: list[int], twins: Twins, theirs: tiktoken.Encoding
) -> None:
    """They return tiktoken's bytes or raise its error."""

    def outcome(decode) -> bytes | tuple[object, ...]:  # type: ignore[no-untyped-def]
        try:
            return decode(ids)  # type: ignore[no-any-return]
        except KeyError as error:
            return error.args

    expected = outcome(theirs.decode_bytes)

    assert [outcome(twins[engine].decode_bytes) for engine in ENGINES] == [expected] * 2


@pytest.mark.parametrize("id", [-1, 1 << 32, 1 << 70])
def test_an_id_beyond_32_bits_is_an_overflow(id: int, twins: Twins) -> None:
    """As in tiktoken, with the same message on both engines."""
    for tokenizer in twins.values():
        with pytest.raises(OverflowError, match=r"^a token id lies between 0 and 4294967295$"):
            tokenizer.decode_bytes([id])
        with pytest.raises(OverflowError, match=r"^a token id lies between 0 and 4294967295$"):
            tokenizer.decode_single_token_bytes(id)


@given(text=texts(), seed=st.integers(0, 1000))
def test_a_stream_of_ids_decodes_to_the_text(text: str, seed: int, twins: Twins) -> None:
    """In any grouping of ids, and always in complete characters."""
    ids = twins["native"].encode_ordinary(text)
    decoder = twins["native"].decoder()
    source = random.Random(seed)
    shown = []
    while ids:
        count = source.randint(1, 3)
        shown.append(decoder.feed(*ids[:count]))
        ids = ids[count:]

    assert "".join(shown) + decoder.finish() == text
    assert "\ufffd" in text or not any("\ufffd" in part for part in shown)


def test_a_stream_that_ends_inside_a_character_ends_with_a_replacement(
    trained: pytok.Tokenizer,
) -> None:
    """After it, the decoder is reset."""
    decoder = trained.decoder()
    first, *_ = trained._encode_bytes("€".encode()[:1])

    assert (decoder.feed(first), decoder.finish(), decoder.finish()) == ("", "\ufffd", "")


@given(text=with_specials(["<|endoftext|>"]), limit=st.integers(0, 12))
def test_truncated_text_is_a_prefix_within_the_limit(text: str, limit: int, twins: Twins) -> None:
    """And the complete text if that is within the limit."""
    for tokenizer in twins.values():
        beginning = tokenizer.truncate(text, limit, allowed_special="all")
        assert text.startswith(beginning)
        assert tokenizer.count(beginning, allowed_special="all") <= limit
        if tokenizer.count(text, allowed_special="all") <= limit:
            assert beginning == text


def test_truncating_after_a_special_token_with_a_shared_id_keeps_it(
    engine: EngineName,
) -> None:
    """The id decodes to the first special token with it, which is not in the text."""
    ranks = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}
    specials = {"<a>": 256, "<bb>": 256}
    tokenizer = pytok.Tokenizer(
        "x", pat_str="gpt2", mergeable_ranks=ranks, special_tokens=specials, engine=engine
    )

    assert tokenizer.truncate("<bb>xyz", 2, allowed_special="all") == "<bb>x"


def test_one_tokenizer_serves_many_threads(trained: pytok.Tokenizer) -> None:
    """At the same time, with the same results."""
    from concurrent.futures import ThreadPoolExecutor

    texts = [f"text number {number} " * 50 for number in range(40)]
    expected = [trained.encode(text) for text in texts]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(trained.encode, texts * 5)) == expected * 5


def test_unknown_tokens_are_key_errors(engine: EngineName, trained: pytok.Tokenizer) -> None:
    """As in tiktoken, with the bytes, or the id as text."""
    tokenizer = on_engine(trained, engine)

    with pytest.raises(UnknownTokenError) as one:
        tokenizer.encode_single_token("no such token")
    with pytest.raises(UnknownTokenError) as two:
        tokenizer.decode_single_token_bytes(99_999)

    assert (one.value.args, two.value.args) == ((b"no such token",), ("99999",))
    assert isinstance(one.value, KeyError)
