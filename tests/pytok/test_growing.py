"""Added tokens for a vocabulary that exists."""

from dataclasses import replace
from typing import Any

import pytest
from tokenizers import AddedToken as TheirAddedToken
from tokenizers import Tokenizer as TheirTokenizer

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.definition import AddedToken, Settings, Split
from pytok.engine import EngineName
from pytok.errors import TrainingError, VocabError

RANKS = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)} | {b"th": 256, b"the": 257}


def build(engine: EngineName = "native", **changes: Any) -> pytok.Tokenizer:
    """A small tokenizer whose greatest id is 270, with *changes* of its definition."""
    tokenizer = pytok.Tokenizer(
        "x", pat_str="gpt2", mergeable_ranks=RANKS, special_tokens={"<e>": 270}, engine=engine
    )
    return pytok.Tokenizer.from_definition(replace(tokenizer.definition, **changes), engine)


def test_texts_take_the_ids_after_the_greatest(engine: EngineName) -> None:
    """In their order; the tokenizer itself is not changed."""
    tokenizer = build(engine)
    more = tokenizer.with_special_tokens(["<a>", "<b>"])

    assert dict(more.special_tokens) == {"<e>": 270, "<a>": 271, "<b>": 272}
    assert more.encode("the<a>", allowed_special="all") == [257, 271]
    assert (more.engine, more.name, more.vocab) == (engine, "x", tokenizer.vocab)
    assert dict(tokenizer.special_tokens) == {"<e>": 270}


def test_ids_and_flags_can_be_given(engine: EngineName) -> None:
    """Ids by a mapping; all of it by `AddedToken`."""
    think = AddedToken("<think>", 300, special=False)
    tokenizer = build(engine).with_special_tokens({"<a>": 260}).with_special_tokens([think, "<b>"])

    assert dict(tokenizer.special_tokens) == {"<e>": 270, "<a>": 260, "<b>": 301}
    assert tokenizer.encode("the<think>") == [257, 300]


def test_a_known_text_keeps_its_id_as_in_tokenizers(engine: EngineName, tmp_path: Any) -> None:
    """That of an ordinary token, or of an added one."""
    tokenizer = build(engine, added_tokens=(AddedToken("<e>", 258, special=False),))
    tokenizer.save(tmp_path / "tokenizer.json")
    theirs = TheirTokenizer.from_file(str(tmp_path / "tokenizer.json"))
    names = ["the", "<e>", "<new>", "<new>"]
    theirs.add_special_tokens([TheirAddedToken(name, normalized=False) for name in names])

    ours = tokenizer.with_special_tokens(names)

    expected = {name: theirs.token_to_id(name) for name in names}
    assert dict(ours.special_tokens) == expected == {"the": 257, "<e>": 258, "<new>": 259}
    assert ours.encode("then<new>", allowed_special="all") == theirs.encode("then<new>").ids


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ({"<a>": 257}, "the id 257 of the new token '<a>' is that of the token b'the'"),
        ({"<a>": 270}, "the id 270 of the new token '<a>' is that of the token b'<e>'"),
        ({"<a>": 280, "<b>": 280}, "the id 280 of the new token '<b>' is that of the token b'<a>'"),
        ({"the": 280}, "the new token 'the' has the id 257 in the vocabulary, not 280"),
        ({"<e>": 280}, "the new token '<e>' has the id 270 in the vocabulary, not 280"),
        ({"<a>": 290}, "the id 290 of the new token '<a>' is that of the token b''"),
        ({"<a>": -1}, "the id -1 does not lie between 0 and"),
        ([""], "a special token is the empty string"),
        (["\ud800"], "lone surrogate"),
    ],
)
def test_clashes_are_errors(tokens: Any, message: str, engine: EngineName) -> None:
    """Which name both tokens."""
    with pytest.raises(VocabError, match=message):
        build(engine, decode_only={290: b""}).with_special_tokens(tokens)


@pytest.mark.parametrize("tokens", ["<a>", b"<a>", [b"<a>"], [7]])
def test_other_values_than_texts_are_type_errors(tokens: Any) -> None:
    """A string is no list of its characters."""
    with pytest.raises(TypeError, match="special token"):
        build().with_special_tokens(tokens)


def test_all_other_parts_are_kept(engine: EngineName) -> None:
    """Also of a vocabulary that no training makes."""
    changes: dict[str, Any] = {
        "tokens": [*RANKS, b"made by no merge"],
        "ids": range(259),
        "splits": (Split("x"),),
        "normalizer": (("NFC",),),
        "prefix_space": True,
        "decode_only": {280: b"", 281: b"<a>"},
        "settings": Settings(config={"bos_token": "<e>"}),
    }
    tokenizer = build(engine, **changes)
    more = tokenizer.with_special_tokens(["<b>", "<a>"])

    added = (AddedToken("<e>", 270), AddedToken("<b>", 282), AddedToken("<a>", 281))
    expected = replace(tokenizer.definition, added_tokens=added, decode_only={280: b""})
    assert more.definition == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": [*RANKS, b"made by no merge"], "ids": range(259)},
        {"normalizer": (("NFC",),)},
        {"splits": (Split("x"),)},
    ],
    ids=["unmade token", "normalizer", "splits"],
)
def test_training_without_merges_adds_to_any_base(
    changes: dict[str, Any], engine: EngineName
) -> None:
    """As `with_special_tokens` does."""
    base = build(engine, **changes)
    more = pytok.train([], base.n_vocab + 1, base=base, special_tokens=["<a>"], engine=engine)

    assert more.definition == base.with_special_tokens(["<a>"]).definition


def test_training_with_merges_needs_a_base_with_a_single_pattern(engine: EngineName) -> None:
    """Since pieces are counted with one."""
    base = build(engine, normalizer=(("NFC",),))

    with pytest.raises(TrainingError, match="the base normalizes text"):
        pytok.train(["the"], base.n_vocab + 2, base=base, engine=engine)
