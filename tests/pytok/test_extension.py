"""Which tokens a tokenizer has more than another, and what spells them."""

from dataclasses import replace
from typing import Any

import pytest

import pytok
from pytok.engine import EngineName
from pytok.errors import VocabError
from pytok.extension import spelling

TEXTS = ["the theme of the thesis", "then and there", "über über"]


@pytest.fixture
def base(engine: EngineName) -> pytok.Tokenizer:
    """A small tokenizer whose last id is special."""
    return pytok.train(TEXTS, 262, engine=engine)


def test_new_tokens_have_the_ids_that_the_base_encodes_their_bytes_to(
    base: pytok.Tokenizer, engine: EngineName
) -> None:
    """Also those that are no characters, such as the first byte of an ü and what precedes it."""
    more = pytok.train(["then and thereü", "bü bú bü bú"], 266, base=base, engine=engine)
    found = spelling(more, base)

    assert list(found) == list(range(262, 266))
    assert b"b\xc3" in more.vocab
    for id, ids in found.items():
        assert len(ids) > 1
        assert base.decode_bytes(ids) == more.decode_single_token_bytes(id)


def test_special_tokens_are_spelled_by_nothing(base: pytok.Tokenizer) -> None:
    """They are no text; those of the base are not new."""
    more = base.with_special_tokens(["<|a|>", "<|endoftext|>"])

    assert spelling(more, base) == {262: []}
    assert spelling(base, base) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pattern": "gpt2"}, "its pattern differs"),
        ({"normalizer": (("NFC",),)}, "its normalizer differs"),
        ({"ids": (*range(260), 300)}, "the id 260 is no token in it, and b'"),
        ({"added_tokens": ()}, r"no token in it, and b'<\|endoftext\|>' in"),
    ],
)
def test_another_tokenizer_is_no_extension(
    base: pytok.Tokenizer, changes: dict[str, Any], message: str
) -> None:
    """The error names the first difference."""
    other = pytok.Tokenizer.from_definition(replace(base.definition, **changes))

    with pytest.raises(VocabError, match=message):
        spelling(other, base)


def test_another_order_of_merging_is_no_extension(base: pytok.Tokenizer) -> None:
    """It encodes text of old tokens in another way."""
    tokens, ids = list(base.definition.tokens), list(base.definition.ids)
    for each in (tokens, ids):
        each[256], each[257] = each[257], each[256]
    other = pytok.Tokenizer.from_definition(replace(base.definition, tokens=tokens, ids=ids))

    with pytest.raises(VocabError, match="in another order"):
        spelling(other, base)
