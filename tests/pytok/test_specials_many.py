"""Very many special tokens: which is found, which is refused, and in which words.

Where none begins another, tiktoken is the oracle. Where some do, tiktoken takes whichever its hash
table has first; Hugging Face tokenizers takes the longest, and so is the oracle there.
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
"""A thousand, none of which begins another; many share all but three characters."""

NESTED = [
    "<" * count + middle + ">" * closing
    for middle in ("", "a", "ab", "b", "é")
    for count in range(1, 15)
    for closing in range(15)
][1:1001]
"""A thousand, most of which begin others, end others, and lie within others; "<" is a byte's."""


def twins_with(specials: list[str]) -> Twins:
    """Bytes and *specials*, numbered on, on each engine."""
    numbered = {text: 256 + place for place, text in enumerate(specials)}
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
    """With the special tokens of `APART`."""
    return twins_with(APART)


@pytest.fixture(scope="module")
def nested() -> Twins:
    """With the special tokens of `NESTED`."""
    return twins_with(NESTED)


@pytest.fixture(scope="module")
def theirs() -> tiktoken.Encoding:
    """Tiktoken with the special tokens of `APART`."""
    numbered = {text: 256 + place for place, text in enumerate(APART)}
    return tiktoken.Encoding(
        "many", pat_str=PATTERN, mergeable_ranks=BYTES, special_tokens=numbered
    )


@pytest.fixture(scope="module")
def longest() -> Callable[[str], list[int]]:
    """The ids by Hugging Face tokenizers, with the special tokens of `NESTED`."""
    vocab = {}
    for byte, rank in BYTES.items():
        # ByteLevel shows printable bytes as themselves and the rest as U+0100 and on, in order.
        character = byte.decode("latin-1")
        vocab[character if rank < 188 else chr(256 + rank - 188)] = rank
    tokenizer = Tokenizer(models.BPE(vocab, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in NESTED])
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def outcome(tokenizer: Any, text: str, **asked: Any) -> list[int] | str:
    """The ids, or the words of the refusal."""
    try:
        ids: list[int] = tokenizer.encode(text, **asked)
    except ValueError as error:
        return str(error)
    return ids


def ways_to_ask(specials: list[str]) -> st.SearchStrategy[Collection[str]]:
    """What may be said of special tokens: all, none, some of them, some that are none."""
    some = st.sets(st.sampled_from([*specials, "no such token", "a"]), max_size=4)
    return st.one_of(st.just("all"), some)


FEW = random.Random(3).sample(APART, 12) + APART[-6:]
"""Enough to be met again in one text."""


@given(
    text=with_specials(FEW),
    allowed=ways_to_ask(FEW),
    disallowed=st.one_of(ways_to_ask(FEW), st.lists(st.sampled_from(FEW), max_size=4)),
)
def test_a_thousand_special_tokens_are_allowed_and_refused_as_in_tiktoken(
    text: str,
    allowed: Collection[str],
    disallowed: Collection[str],
    apart: Twins,
    theirs: tiktoken.Encoding,
) -> None:
    """The same ids, or the same words of refusal."""
    asked = {"allowed_special": allowed, "disallowed_special": disallowed}
    expected = outcome(theirs, text, **asked)

    for tokenizer in apart.values():
        assert outcome(tokenizer, text, **asked) == expected


@pytest.mark.parametrize("special", APART[::97] + APART[-6:])
def test_each_special_token_has_its_id_among_words(
    special: str, engine: EngineName, apart: Twins, theirs: tiktoken.Encoding
) -> None:
    """By itself, doubled, and cut at either end."""
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


def test_the_leftmost_of_several_refused_is_named_as_in_tiktoken(
    engine: EngineName, apart: Twins, theirs: tiktoken.Encoding
) -> None:
    """Not the first of the list, nor the longest."""
    text = f"one {RESERVED[700]} two [INST] three {RESERVED[1]}"
    named = outcome(theirs, text)

    assert outcome(apart[engine], text) == named
    assert repr(RESERVED[700]) in named


def test_a_token_both_allowed_and_refused_is_refused_as_in_tiktoken(
    engine: EngineName, apart: Twins, theirs: tiktoken.Encoding
) -> None:
    """Refusal is looked for first."""
    asked = {"allowed_special": {"[INST]"}, "disallowed_special": ["[INST]"]}
    named = outcome(theirs, "x[INST]", **asked)

    assert outcome(apart[engine], "x[INST]", **asked) == named
    assert isinstance(named, str)


def test_a_refused_token_within_an_allowed_one_is_refused_as_in_tiktoken(
    engine: EngineName, apart: Twins, theirs: tiktoken.Encoding
) -> None:
    """Any text can be refused, whether or not it is a special token."""
    asked = {"allowed_special": "all", "disallowed_special": ["INST"]}
    named = outcome(theirs, "x[/INST]", **asked)

    assert outcome(apart[engine], "x[/INST]", **asked) == named
    assert "disallowed special token 'INST'" in named


@pytest.mark.parametrize(
    ("disallowed", "text"), [([""], "a"), (["", "a"], "xa"), ("yx", "ax"), (["(", "x+"], "xx+")]
)
def test_odd_refusals_are_tiktokens(
    disallowed: Collection[str],
    text: str,
    engine: EngineName,
    apart: Twins,
    theirs: tiktoken.Encoding,
) -> None:
    """The empty text is everywhere; a string is its characters; nothing is a regex."""
    named = outcome(theirs, text, disallowed_special=disallowed)

    assert outcome(apart[engine], text, disallowed_special=disallowed) == named
    assert isinstance(named, str)


@given(
    text=st.one_of(
        st.text("<<<<aabé>>>> x", max_size=60),
        with_specials(NESTED[::37]),
    )
)
def test_the_leftmost_and_of_those_the_longest_is_found(
    text: str, nested: Twins, longest: Callable[[str], list[int]]
) -> None:
    """Where one begins another, as Hugging Face tokenizers has it."""
    expected = longest(text)

    for tokenizer in nested.values():
        assert tokenizer.encode(text, allowed_special="all") == expected
        (ids,) = tokenizer.encode_batch([text], allowed_special="all")
        assert ids == expected
        assert tokenizer.count(text, allowed_special="all") == len(expected)


def test_of_those_that_begin_another_the_longest_is_refused(
    engine: EngineName, nested: Twins
) -> None:
    """Whatever the hash order of the day: the message is always the same."""
    with pytest.raises(SpecialTokenError, match="disallowed special token '<<ab>>'"):
        nested[engine].encode("x <<ab>>")


def test_a_longer_token_that_is_not_allowed_hides_no_shorter_one(
    engine: EngineName, nested: Twins
) -> None:
    """What is not allowed is ordinary text, and so is not looked for."""
    tokenizer = nested[engine]

    ids = tokenizer.encode("<<a>>", allowed_special={"<<a", "<<"}, disallowed_special=())

    assert ids == [tokenizer.special_tokens["<<a"], *tokenizer.encode_ordinary(">>")]


@given(text=texts())
def test_text_without_special_tokens_is_untouched_by_them(text: str, apart: Twins) -> None:
    """However many are looked for."""
    for tokenizer in apart.values():
        if not any(special in text for special in APART):
            assert tokenizer.encode(text, allowed_special="all") == tokenizer.encode_ordinary(text)


@given(text=with_specials(FEW))
def test_texts_with_special_tokens_decode_to_themselves(text: str, apart: Twins) -> None:
    """Each special token spells its own text."""
    for tokenizer in apart.values():
        assert tokenizer.decode(tokenizer.encode(text, allowed_special="all")) == text


def test_more_ways_to_ask_than_are_kept_are_answered_alike(
    engine: EngineName, apart: Twins
) -> None:
    """The first again after hundreds of others."""
    tokenizer = apart[engine]
    text = "".join(RESERVED[:300])

    for again in (0, 1):
        for place in range(again, 300, 7):
            special = tokenizer.special_tokens[RESERVED[place]]
            before = "".join(RESERVED[:place])
            after = "".join(RESERVED[place + 1 : 300])
            expected = [len(before.encode()), len(after.encode())]
            ids = tokenizer.encode(text, allowed_special={RESERVED[place]}, disallowed_special=())
            at = ids.index(special)
            assert [at, len(ids) - at - 1] == expected
