"""Token healing, compared with brute force over continuations and over all tokens."""

import itertools
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok import healing
from pytok.engine import EngineName
from pytok.healing import TokenIndex, heal
from pytok.patterns import PATTERNS
from tests.conftest import CORPUS, ENGINES
from tests.pytok import lines
from tests.pytok.strategies import texts


def tokenizer_of(*merged: bytes, engine: EngineName = "native") -> pytok.Tokenizer:
    """Build a tokenizer of the bytes and the *merged* tokens, whose pieces are lines."""
    return lines.tokenizer_of(*merged, special="abc", engine=engine)


@pytest.fixture(scope="module", params=PATTERNS)
def of_pattern(request: pytest.FixtureRequest) -> pytok.Tokenizer:
    """A trained tokenizer of each known pattern."""
    return pytok.train(CORPUS, 500, pattern=request.param)


def common(left: list[int], right: list[int]) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
        min(len(left), len(right)),
    )


def test_a_space_at_the_end_is_removed(engine: EngineName) -> None:
    """The token of the next word can begin with it."""
    tokenizer = tokenizer_of(b" c", b"th", b"the", engine=engine)

    assert heal(tokenizer, "the ") == ([tokenizer.vocab[b"the"]], b" ")


def test_a_text_that_cannot_change_is_kept(engine: EngineName) -> None:
    tokenizer = tokenizer_of(b"th", b"the", engine=engine)

    assert heal(tokenizer, "the") == ([tokenizer.vocab[b"the"]], b"")
    assert heal(tokenizer, "") == ([], b"")


def test_more_than_the_last_token_is_removed() -> None:
    """``abcd`` is a token, and ``abc`` has two."""
    tokenizer = tokenizer_of(b"ab", b"cd", b"abcd")

    assert heal(tokenizer, "xabc") == ([tokenizer.vocab[b"x"]], b"abc")


def test_a_character_that_is_split_is_healed() -> None:
    """Its first byte stays if it is a token of its own."""
    euro = "€".encode()
    tokenizer = tokenizer_of(euro[1:], euro[1:] + b"a")

    assert heal(tokenizer, "x€") == ([tokenizer.vocab[b"x"], tokenizer.vocab[euro[:1]]], euro[1:])


def test_special_tokens_in_the_text_are_text() -> None:
    tokenizer = tokenizer_of(b"bc", b"bcd")

    assert heal(tokenizer, "abc") == ([tokenizer.vocab[b"a"]], b"bc")


def test_a_long_piece_is_healed() -> None:
    """Only its end can change."""
    tokenizer = tokenizer_of(b"ab", b"cd", b"abcd")

    ids, rest = heal(tokenizer, "x" * 100_000 + "abc")

    assert (len(ids), rest) == (100_000, b"abc")


@pytest.mark.parametrize("long", [0, healing._LONG])
def test_a_change_at_the_end_of_a_piece_can_reach_its_beginning(long: int) -> None:
    """Each pair of neighboring letters is a token, and the later one in the alphabet is first."""
    letters = "abcdefghijklmnop"
    pairs = [letters[i : i + 2].encode() for i in reversed(range(len(letters) - 1))]
    tokenizer = tokenizer_of(*pairs)

    with mock.patch.object(healing, "_LONG", long):
        ids, rest = heal(tokenizer, f"xyz{letters[:-1]}")

    assert (tokenizer.decode(ids), rest) == ("xyz", letters[:-1].encode())


@pytest.mark.parametrize("long", [0, healing._LONG])
@given(
    pairs=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=9),
    text=st.text("abc", min_size=1, max_size=8),
)
def test_exactly_the_ids_that_no_continuation_changes_are_kept(
    pairs: list[tuple[int, int]], text: str, long: int
) -> None:
    """By brute force over all continuations of up to five letters; also of the ends of pieces."""
    tokens = [b"a", b"b", b"c"]
    for left, right in pairs:
        token = tokens[left % len(tokens)] + tokens[right % len(tokens)]
        if token not in tokens and len(token) <= 5:
            tokens.append(token)
    tokenizer = tokenizer_of(*tokens[3:])
    ids = tokenizer.encode_ordinary(text)
    continuations = [
        "".join(letters)
        for length in range(1, 6)
        for letters in itertools.product("abc", repeat=length)
    ]
    longer = tokenizer.encode_ordinary_batch([text + more for more in continuations])

    with mock.patch.object(healing, "_LONG", long):
        healed = heal(tokenizer, text)

    assert tokenizer.decode_bytes(healed.ids) + healed.rest == text.encode()
    assert len(healed.ids) == min(common(ids, other) for other in longer)


@given(text=texts(), more=texts())
def test_no_continuation_changes_the_ids_before_the_rest(
    text: str, more: str, of_pattern: pytok.Tokenizer
) -> None:
    """With each known pattern."""
    healed = heal(of_pattern, text)

    assert of_pattern.encode_ordinary(text + more)[: len(healed.ids)] == healed.ids
    assert of_pattern.decode_bytes(healed.ids) + healed.rest == text.encode()


@pytest.mark.parametrize("name", ["r50k_base", "cl100k_base", "o200k_base"])
def test_real_vocabularies_are_healed(name: str, rank_files: Path) -> None:
    """At each position of a text, the tokens of the text itself remain possible."""
    tokenizer = pytok.get_encoding(name)
    index, text = TokenIndex(tokenizer), CORPUS[0] + CORPUS[2]
    ids = tokenizer.encode_ordinary(text)
    for length in range(1, len(text), 3):
        healed = heal(tokenizer, text[:length])
        rest, following = healed.rest, iter(ids[len(healed.ids) :])
        assert healed.ids == ids[: len(healed.ids)]
        assert len(rest) < 40
        while rest:
            id = next(following)
            assert id in index.allowed(rest)
            rest = rest[len(tokenizer.decode_bytes([id])) :]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "rest", ["a", "he", " the", " th", "\xff", "日", "日本", "\n", "zzz", " ", "e\u0301"]
)
def test_allowed_ids_are_those_of_brute_force(
    rest: str, engine: EngineName, twins: dict[EngineName, pytok.Tokenizer]
) -> None:
    """Over all ids; special tokens are never allowed."""
    tokenizer = twins[engine]
    for data in (rest.encode(), rest.encode("utf-8")[1:] or b"\xff", rest.encode()[:-1] or b"<"):
        expected = {
            id
            for token, id in tokenizer.vocab.items()
            if token.startswith(data) or data.startswith(token)
        }
        found = TokenIndex(tokenizer).allowed(data).tolist()

        assert len(found) == len(expected)
        assert set(found) == expected


@given(rest=st.binary(min_size=1, max_size=3))
def test_tokens_that_start_with_bytes_are_those_of_brute_force(
    rest: bytes, trained: pytok.Tokenizer
) -> None:
    found = TokenIndex(trained).starting_with(rest).tolist()

    assert sorted(found) == [id for token, id in trained.vocab.items() if token.startswith(rest)]


def test_nothing_left_is_an_error(trained: pytok.Tokenizer) -> None:
    with pytest.raises(ValueError, match="so all ids are allowed"):
        TokenIndex(trained).allowed(b"")
