"""The characters that each id stands for, against tokenizers and against decoding."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from tokenizers import Tokenizer as TheirTokenizer
from tokenizers import normalizers

import pytok
from pytok.definition import Step
from pytok.engine import EngineName
from tests.conftest import ENGINES
from tests.pytok.strategies import texts, with_specials

Twins = dict[EngineName, pytok.Tokenizer]

STEPS: list[tuple[Step, ...]] = [
    (),
    (("NFC",),),
    (("NFD",), ("Lowercase",)),
    (("NFKC",),),
    (("Replace", "[b-e]", "zz"), ("Prepend", "_")),
]
"""Normalizers: each changes text in another way."""


@pytest.fixture(scope="module")
def oracle(trained: pytok.Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> TheirTokenizer:
    """`trained` in tokenizers."""
    path = Path(tmp_path_factory.mktemp("oracle")) / "tokenizer.json"
    trained.save(path)
    return TheirTokenizer.from_file(str(path))


@given(text=with_specials(["<|endoftext|>"]))
def test_offsets_are_those_of_tokenizers(text: str, twins: Twins, oracle: TheirTokenizer) -> None:
    """With a special token, on both engines."""
    theirs = oracle.encode(text, add_special_tokens=False)

    for tokenizer in twins.values():
        ids, offsets = tokenizer.encode_with_offsets(text, allowed_special="all")
        assert (ids, offsets) == (theirs.ids, theirs.offsets)


@pytest.mark.parametrize("text", ["CAFÉ x", "abc dİ", "Ａ b", "the café"])
def test_offsets_after_lowercasing_are_those_of_tokenizers(
    text: str, engine: EngineName, trained: pytok.Tokenizer, oracle: TheirTokenizer
) -> None:
    """One character can become two, which have its offsets."""
    definition = replace(trained.definition, normalizer=(("Lowercase",),))
    ours = pytok.Tokenizer.from_definition(definition, engine)
    oracle = TheirTokenizer.from_str(oracle.to_str())
    oracle.normalizer = normalizers.Lowercase()
    theirs = oracle.encode(text, add_special_tokens=False)

    assert ours.encode_with_offsets(text) == (theirs.ids, theirs.offsets)


def test_a_composed_character_has_the_offsets_of_all_that_it_is_made_of(
    engine: EngineName, trained: pytok.Tokenizer
) -> None:
    """In tokenizers it has those of the first character only."""
    definition = replace(trained.definition, normalizer=(("NFC",),))
    tokenizer = pytok.Tokenizer.from_definition(definition, engine)

    ids, offsets = tokenizer.encode_with_offsets("e\u0301x")

    assert tokenizer.decode(ids) == "\xe9x"
    assert (offsets[0][0], offsets[-2][1], offsets[-1]) == (0, 2, (2, 3))


@given(text=texts(surrogates=True))
def test_offsets_are_within_the_text_and_ascend(text: str, trained: pytok.Tokenizer) -> None:
    """On both engines, with every normalizer, for lone surrogates too; the ids are `encode`'s."""
    for steps in STEPS:
        definition = replace(trained.definition, normalizer=steps)
        results = []
        for name in ENGINES:
            tokenizer = pytok.Tokenizer.from_definition(definition, name)
            ids, offsets = tokenizer.encode_with_offsets(text)
            assert ids == tokenizer.encode(text)
            results.append((ids, offsets))
        assert results[0] == results[1]
        starts, ends = [start for start, _ in offsets], [end for _, end in offsets]
        assert starts == sorted(starts)
        assert ends == sorted(ends)
        assert all(0 <= start < end <= len(text) for start, end in offsets)


@given(text=texts())
def test_offsets_start_where_those_of_decoding_do(text: str, twins: Twins) -> None:
    """For text that is not normalized."""
    for tokenizer in twins.values():
        ids, offsets = tokenizer.encode_with_offsets(text)
        assert tokenizer.decode_with_offsets(ids) == (text, [start for start, _ in offsets])


def test_a_pair_of_surrogates_is_two_characters_of_the_text(
    engine: EngineName, twins: Twins
) -> None:
    """As Python counts them; the text is encoded as if they were one."""
    _, offsets = twins[engine].encode_with_offsets("a\ud83d\ude00\ud83db")

    assert offsets[0] == (0, 1)
    assert {*offsets[1:-1]} == {(1, 3), (3, 4)}
    assert offsets[-1] == (4, 5)
