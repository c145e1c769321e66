"""Pruning of tokenizers with all parts that a definition can have."""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.definition import AddedToken, Definition, Settings, Split, Unknown
from pytok.engine import EngineName
from pytok.healing import TokenIndex, heal
from pytok.pruning import kept_ids, prune
from pytok.renumbering import named_ids, renumbered

BYTES = [bytes([byte]) for byte in BYTE_ORDER]
LETTERS = [bytes([byte]) for byte in b" abcdefghijklmnopqrstuvwxyz"]
BOS = {"id": "<s>", "ids": [270, 258], "tokens": ["<s>", "th"]}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A"}}],
    "pair": [],
    "special_tokens": {"<s>": BOS},
}
ROBERTA = {
    "type": "RobertaProcessing",
    "sep": ["</s>", 271],
    "cls": ["<s>", 270],
    "trim_offsets": True,
}
SETTINGS = Settings(
    truncation={"max_length": 270},
    padding={"strategy": "BatchLongest", "pad_id": 271, "pad_type_id": 0, "pad_token": "</s>"},
    post_processor={"type": "Sequence", "processors": [TEMPLATE, ROBERTA, {"type": "ByteLevel"}]},
    decoder={"type": "ByteLevel"},
    config={
        "added_tokens_decoder": {"270": {"content": "<s>"}, "271": {"content": "</s>"}},
        "eos_token_id": [271, 270],
        "bos_token_id": 270,
        "pad_token_id": None,
        "model_max_length": 270,
        "chat_template": "{{ 270 }}",
    },
)


def full_definition() -> Definition:
    """Tokens 0 to 260, with gaps before the added and decode-only ids."""
    tokens = [*BYTES, b"he", b"xy", b"th", b"the", b"zz"]
    added = (
        AddedToken("<s>", 270),
        AddedToken("</s>", 271, rstrip=True),
        AddedToken("<think>", 275, special=False, single_word=True),
    )
    return Definition(
        "full",
        tokens,
        range(len(tokens)),
        "gpt2",
        added,
        splits=(Split(r"\d"),),
        normalizer=(("NFC",),),
        prefix_space=True,
        decode_only={268: b"", 273: b"orphan"},
        unknown=Unknown(270),
        settings=SETTINGS,
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("xyxyxy <think> the", encoding="utf-8")
    return path


def test_every_part_is_carried_over(corpus: Path, engine: EngineName) -> None:
    tokenizer = pytok.Tokenizer.from_definition(full_definition(), engine)

    pruned = prune(tokenizer, corpus, min_count=2)

    # The template names "th".
    expected = [*range(256), 257, 258, 268, 270, 271, 273, 275]
    assert pruned.ids.tolist() == expected
    new = {old: index for index, old in enumerate(expected)}
    before, after = tokenizer.definition, pruned.tokenizer.definition
    assert after.tokens == [*BYTES, b"xy", b"th"]
    assert [token.id for token in after.added_tokens] == [new[270], new[271], new[275]]
    assert [token._replace(id=0) for token in after.added_tokens] == [
        token._replace(id=0) for token in before.added_tokens
    ]
    assert after.decode_only == {new[268]: b"", new[273]: b"orphan"}
    assert after.unknown == Unknown(new[270])
    for name in ("name", "pattern", "splits", "normalizer", "prefix_space"):
        assert getattr(after, name) == getattr(before, name)


def test_ids_in_the_settings_are_renumbered(corpus: Path) -> None:
    tokenizer = pytok.Tokenizer.from_definition(full_definition())

    pruned = prune(tokenizer, corpus, min_count=2)

    bos, eos, th = (pruned.ids.tolist().index(id) for id in (270, 271, 258))
    processors: Any = SETTINGS.post_processor
    template, roberta, other = processors["processors"]
    assert pruned.tokenizer.definition.settings == SETTINGS._replace(
        padding={**(SETTINGS.padding or {}), "pad_id": eos},
        post_processor={
            "type": "Sequence",
            "processors": [
                {**template, "special_tokens": {"<s>": {**BOS, "ids": [bos, th]}}},
                {**roberta, "sep": ["</s>", eos], "cls": ["<s>", bos]},
                other,
            ],
        },
        config={
            **SETTINGS.config,
            "added_tokens_decoder": {
                str(bos): {"content": "<s>"},
                str(eos): {"content": "</s>"},
            },
            "eos_token_id": [eos, bos],
            "bos_token_id": bos,
        },
    )


def test_truncating_renumbers_the_ids_in_the_settings() -> None:
    """The template adds the same token, under its new id."""
    roberta = {**ROBERTA, "sep": ["</s>", 258], "cls": ["<s>", 257]}
    added = (AddedToken("<s>", 257), AddedToken("</s>", 258))
    settings = Settings(post_processor=roberta)
    definition = Definition("full", [*BYTES, b"he"], range(257), "gpt2", added, settings=settings)
    tok = pytok.Tokenizer.from_definition(definition)

    assert tok.truncated(258).encode("", add_special_tokens=True) == [256, 257]


def test_named_ids_are_all_but_those_of_plain_tokens() -> None:
    assert named_ids(full_definition()) == {258, 268, 270, 271, 273, 275}


def test_a_number_that_is_no_id_stays() -> None:
    definition = full_definition()
    ids = [*definition.ids, 268, 270, 271, 273, 275]
    settings = Settings(padding={"pad_id": 999}, config={"eos_token_id": "</s>"})
    plain = Definition("plain", definition.tokens, definition.ids, "gpt2", settings=settings)

    found = renumbered(plain, range(261), {id: index for index, id in enumerate(ids)})

    assert found.settings == settings


def test_kept_ids_follow_from_the_two_tokenizers(corpus: Path) -> None:
    """With decode-only ids and added tokens of all kinds."""
    tokenizer = pytok.Tokenizer.from_definition(full_definition())
    pruned = prune(tokenizer, corpus)

    assert kept_ids(tokenizer, pruned.tokenizer).tolist() == pruned.ids.tolist()


def test_added_tokens_in_the_corpus_count_as_tokens(corpus: Path) -> None:
    """But not among those of the vocabulary."""
    tokenizer = pytok.Tokenizer.from_definition(full_definition())
    ids = tokenizer.encode_ordinary(corpus.read_text())

    before = prune(tokenizer, corpus).before

    assert 275 in ids
    assert before.tokens == len(ids)
    assert before.uses.sum() == len(ids) - 1


@pytest.fixture
def without_bytes(engine: EngineName) -> pytok.Tokenizer:
    """A tokenizer of letters, in which some tokens cannot be made."""
    tokens = [*LETTERS, b"th", b" t", b"the", "é".encode(), b"caf"]
    return pytok.Tokenizer.from_definition(
        Definition("letters", tokens, range(len(tokens)), "gpt2", unknown=Unknown(None)), engine
    )


def test_a_vocabulary_without_all_bytes_is_pruned(
    without_bytes: pytok.Tokenizer, tmp_path: Path
) -> None:
    """The bytes that it has are kept."""
    (tmp_path / "corpus.txt").write_text("the thé")

    pruned = prune(without_bytes, tmp_path / "corpus.txt")

    assert list(pruned.tokenizer.vocab) == [*LETTERS, b"th", b"the"]
    assert pruned.ids[pruned.tokenizer.encode("the th")].tolist() == without_bytes.encode("the th")


def test_only_tokens_that_can_be_completed_are_allowed(without_bytes: pytok.Tokenizer) -> None:
    """By a plain search over sequences of tokens."""
    vocab = without_bytes.vocab

    def completes(rest: bytes) -> bool:
        return any(
            token.startswith(rest) or (rest.startswith(token) and completes(rest[len(token) :]))
            for token in vocab
        )

    for text in ("th", "é", "aé", "cafe", "caf", " the", "t"):
        for rest in (text.encode(), text.encode()[:-1] or b"t"):
            expected = {
                id
                for token, id in vocab.items()
                if token.startswith(rest)
                or (rest.startswith(token) and completes(rest[len(token) :]))
            }

            assert set(TokenIndex(without_bytes).allowed(rest).tolist()) == expected


@pytest.mark.parametrize("text", ["the t", "xthe", "t", "the é", "caf"])
def test_a_text_of_a_vocabulary_without_all_bytes_is_healed(
    text: str, without_bytes: pytok.Tokenizer
) -> None:
    ids, rest = heal(without_bytes, text)

    assert without_bytes.decode_bytes(ids) + rest == without_bytes.decode_bytes(
        without_bytes.encode_ordinary(text)
    )


def test_an_added_token_is_never_sampled_again(engine: EngineName) -> None:
    tokenizer = pytok.Tokenizer.from_definition(full_definition(), engine)

    ids, rest = heal(tokenizer, "xy <think>")

    assert (ids[-1], rest) == (275, b"")
    assert 275 in heal(tokenizer, "xy <think> t").ids
    assert not {270, 271, 275} & set(TokenIndex(tokenizer).allowed(b"<").tolist())


def test_hugging_face_reads_the_renumbered_template(tmp_path: Path) -> None:
    """It adds the token of the new number."""
    tokens = [*BYTES, b"he", b"xy", b"th"]
    template = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [
            {"Sequence": {"id": "A", "type_id": 0}},
            {"Sequence": {"id": "B", "type_id": 1}},
        ],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [259], "tokens": ["<s>"]}},
    }
    definition = Definition(
        "t",
        tokens,
        range(259),
        "gpt2",
        (AddedToken("<s>", 259),),
        settings=Settings(post_processor=template),
    )
    (tmp_path / "corpus.txt").write_text("xyxy")
    pruned = prune(pytok.Tokenizer.from_definition(definition), tmp_path / "corpus.txt")
    pruned.tokenizer.save(tmp_path / "tokenizer.json")

    document = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    document["post_processor"] = pruned.tokenizer.definition.settings.post_processor
    theirs = tokenizers.Tokenizer.from_str(json.dumps(document))

    assert theirs.encode("xy").ids == [257, *pruned.tokenizer.encode("xy")]
