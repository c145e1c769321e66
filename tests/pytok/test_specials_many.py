"""Very many special tokens: which is found, which is rejected, and with which message.

If none is a prefix of another, tiktoken is the oracle. Otherwise tiktoken takes whichever comes
first in its hash table; there Hugging Face tokenizers is the oracle, which takes the longest.
"""

import random
from collections.abc import Callable, Collection
from typing import Any

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import SpecialTokenError
from tests.conftest import ENGINES
from tests.pytok.strategies import texts, with_specials

Twins = dict[EngineName, pytok.Tokenizer]

BYTES = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}
PATTERN = r"\s*\S|\s+"

RESERVED = [f"<|reserved_special_token_{number:03}|>" for number in range(994)]
APART = [*RESERVED, "<|endoftext|>", "<|endofprompt|>", "[INST]", "[/INST]", "é漢😀", "\n\n\r"]
"""A thousand, none a prefix of another; many differ in three characters only."""

NESTED = [
    "<" * count + middle + ">" * closing
    for middle in ("", "a", "ab", "b", "é")
    for count in range(1, 15)
    for closing in range(15)
][1:1001]
"""A thousand, most of them prefixes, suffixes and substrings of others."""


def twins_with(specials: list[str]) -> Twins:
    """The 256 bytes and *specials*, with ids from 256, on each engine."""
    numbered = {text: 256 + index for index, text in enumerate(specials)}
    return {
        engine: pytok.Tokenizer(
            "many",
            pat_str=PATTERN,
            mergeable_ranks=BYTES,
            special_tokens=numbered,
            engine=engine,
        )
        for engine in ENGINES
    }


@pytest.fixture(scope="module")
def apart() -> Twins:
    """Tokenizers with the special tokens of `APART`."""
    return twins_with(APART)


@pytest.fixture(scope="module")
def nested() -> Twins:
    """Tokenizers with the special tokens of `NESTED`."""
    return twins_with(NESTED)


@pytest.fixture(scope="module")
def theirs() -> tiktoken.Encoding:
    """Tiktoken with the special tokens of `APART`."""
    numbered = {text: 256 + index for index, text in enumerate(APART)}
    return tiktoken.Encoding(
        "many", pat_str=PATTERN, mergeable_ranks=BYTES, special_tokens=numbered
    )


@pytest.fixture(scope="module")
def longest() -> Callable[[str], list[int]]:
    """The ids of Hugging Face tokenizers with the special tokens of `NESTED`."""
    vocab = {}
    for byte, rank in BYTES.items():
        # ByteLevel writes printable bytes as themselves and the others as U+0100, U+0101, ...
        character = byte.decode("latin-1")
        vocab[character if rank < 188 else chr(256 + rank - 188)] = rank
    tokenizer = Tokenizer(models.BPE(vocab, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in NESTED])
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def outcome(tokenizer: Any, text: str, **asked: Any) -> list[int] | str:
    """Return the ids, or the message of the error."""
    try:
        ids: list[int] = tokenizer.encode(text, **asked)
    except ValueError as error:
        return str(error)
    return ids


def arguments(specials: list[str]) -> st.SearchStrategy[Collection[str]]:
    """Values of the arguments: all, none, some special tokens, some other texts."""
    some = st.sets(st.sampled_from([*specials, "no such token", "a"]), max_size=4)
    return st.one_of(st.just("all"), some)


FEW = random.Random(3).sample(APART, 12) + APART[-6:]
"""Few enough that they repeat in one text."""


@given(
    text=with_specials(FEW),
    allowed=arguments(FEW),
    disallowed=st.one_of(arguments(FEW), st.lists(st.sampled_from(FEW), max_size=4)),
)
def test_a_thousand_special_tokens_are_allowed_and_rejected_as_in_tiktoken(
    text: str,
    allowed: Collection[str],
    disallowed: Collection[str],
    apart: Twins,
    theirs: tiktoken.Encoding,
) -> None:
    """With the same ids or the same message."""
    asked = {"allowed_special": allowed, "disallowed_special": disallowed}
    expected = outcome(theirs, text, **asked)

    for tokenizer in apart.values():
        assert outcome(tokenizer, text, **asked) == expected


@pytest.mark.parametrize("special", APART[::97] + APART[-6:])
def test_each_special_token_has_its_id_among_words(
    special: str, engine: EngineName, apart: Twins, theirs: tiktoken.Encoding
) -> None:
    """Alone, repeated, and cut at either end."""
    text = f"a{special}b {special}{special}\n{special[1:]}{special[:-1]}{special}"

    ids = apart[engine].encode(text, allowed_special={special}, disallowed_special=())

    assert ids == theirs.encode(text, allowed_special={special}, disallowed_special=())
    assert ids.count(apart[engine].special_tokens[special]) >= 4


def test_all_of_a_thousand_are_found_in_one_text(
    engine: EngineName, apart: Twins, theirs: tiktoken.Encoding
) -> None:
    """In any order."""
    shuffled = random.Random(1).sample(APART, len(APART))

    ids = apart[engine].encode(" ".join(shuffled), allowed_special="all")

    assert ids == theirs.encode(" ".join(shuffled), allowed_special="all")


def test_the_leftmost_of_several_disallowed_is_reported_as_in_tiktoken(
    engine: EngineName, apart: Twins, theirs: tiktoken.Encoding
) -> None:
    """Neither the first of the list nor the longest."""
    text = f"one {RESERVED[700]} two [INST] three {RESERVED[1]}"
    named = outcome(theirs, text)

    assert outcome(apart[engine], text) == named
    assert repr(RESERVED[700]) in named


def test_a_token_both_allowed_and_disallowed_is_rejected_as_in_tiktoken(
    engine: EngineName, apart: Twins, theirs: tiktoken.Encoding
) -> None:
    """Disallowed texts are searched first."""
    asked = {"allowed_special": {"[INST]"}, "disallowed_special": ["[INST]"]}
    named = outcome(theirs, "x[INST]", **asked)

    assert outcome(apart[engine], "x[INST]", **asked) == named
    assert isinstance(named, str)


def test_a_disallowed_text_within_an_allowed_token_is_rejected_as_in_tiktoken(
    engine: EngineName, apart: Twins, theirs: tiktoken.Encoding
) -> None:
    """Any text can be disallowed, even if it is not a special token."""
    asked = {"allowed_special": "all", "disallowed_special": ["INST"]}
    named = outcome(theirs, "x[/INST]", **asked)

    assert outcome(apart[engine], "x[/INST]", **asked) == named
    assert "disallowed special token 'INST'" in named


@pytest.mark.parametrize(
    ("disallowed", "text"), [([""], "a"), (["", "a"], "xa"), (["(", "x+"], "xx+")]
)
def test_unusual_disallowed_texts_are_rejected_as_in_tiktoken(
    disallowed: Collection[str],
    text: str,
    engine: EngineName,
    apart: Twins,
    theirs: tiktoken.Encoding,
) -> None:
    """The empty text occurs everywhere; nothing is a regex."""
    named = outcome(theirs, text, disallowed_special=disallowed)

    assert outcome(apart[engine], text, disallowed_special=disallowed) == named
    assert isinstance(named, str)


@given(
    text=st.one_of(
        st.text("<<<<aabé>>>> x", max_size=60),
        with_specials(NESTED[::37]),
    )
)
def test_the_leftmost_and_at_equal_starts_the_longest_is_found(
    text: str, nested: Twins, longest: Callable[[str], list[int]]
) -> None:
    """As in Hugging Face tokenizers, if one is a prefix of another."""
    expected = longest(text)

    for tokenizer in nested.values():
        assert tokenizer.encode(text, allowed_special="all") == expected
        (ids,) = tokenizer.encode_batch([text], allowed_special="all")
        assert ids == expected
        assert tokenizer.count(text, allowed_special="all") == len(expected)


def test_at_equal_starts_the_longest_is_rejected(engine: EngineName, nested: Twins) -> None:
    """The message does not depend on the order of a hash table."""
    with pytest.raises(SpecialTokenError, match="disallowed special token '<<ab>>'"):
        nested[engine].encode("x <<ab>>")


def test_a_longer_token_that_is_not_allowed_does_not_hide_a_shorter_one(
    engine: EngineName, nested: Twins
) -> None:
    """A token that is not allowed is ordinary text."""
    tokenizer = nested[engine]

    ids = tokenizer.encode("<<a>>", allowed_special={"<<a", "<<"}, disallowed_special=())

    assert ids == [tokenizer.special_tokens["<<a"], *tokenizer.encode_ordinary(">>")]


@given(text=texts())
def test_text_without_special_tokens_has_ordinary_ids(text: str, apart: Twins) -> None:
    """However many special tokens there are."""
    for tokenizer in apart.values():
        if not any(special in text for special in APART):
            assert tokenizer.encode(text, allowed_special="all") == tokenizer.encode_ordinary(text)


@given(text=with_specials(FEW))
def test_texts_with_special_tokens_decode_to_themselves(text: str, apart: Twins) -> None:
    """Each special token decodes to its text."""
    for tokenizer in apart.values():
        assert tokenizer.decode(tokenizer.encode(text, allowed_special="all")) == text


def test_more_combinations_of_arguments_than_are_cached_are_correct(
    engine: EngineName, apart: Twins
) -> None:
    """Also the first one again, after hundreds of others."""
    tokenizer = apart[engine]
    text = "".join(RESERVED[:300])

    for again in (0, 1):
        for i in range(again, 300, 7):
            special = tokenizer.special_tokens[RESERVED[i]]
            before = "".join(RESERVED[:i])
            after = "".join(RESERVED[i + 1 : 300])
            expected = [len(before.encode()), len(after.encode())]
            ids = tokenizer.encode(text, allowed_special={RESERVED[i]}, disallowed_special=())
            index = ids.index(special)
            assert [index, len(ids) - index - 1] == expected
