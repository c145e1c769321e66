"""Tokens around a text, padding and named tokens, against tokenizers and transformers."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as TheirTokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

import pytok
from pytok.definition import Settings
from pytok.errors import VocabError
from tests.pytok.strategies import texts

BOS, EOS, PAD = 600, 601, 602
SPECIALS = {"<s>": BOS, "</s>": EOS, "<pad>": PAD}


def special(text: str, type_id: int = 0) -> dict[str, Any]:
    return {"SpecialToken": {"id": text, "type_id": type_id}}


def sequence(name: str, type_id: int = 0) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": type_id}}


LLAMA = {
    "type": "TemplateProcessing",
    "single": [special("<s>"), sequence("A")],
    "pair": [special("<s>"), sequence("A"), special("<s>", 1), sequence("B", 1)],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [BOS], "tokens": ["<s>"]}},
}
BOTH = {
    "type": "TemplateProcessing",
    "single": [special("x"), sequence("A"), special("</s>")],
    "pair": [special("x"), sequence("B", 2), special("</s>"), sequence("A", 3), special("x", 4)],
    "special_tokens": {
        "x": {"id": "x", "ids": [BOS, EOS], "tokens": ["<s>", "</s>"]},
        "</s>": {"id": "</s>", "ids": [EOS], "tokens": ["</s>"]},
    },
}
ENDS = {"sep": ["</s>", EOS], "cls": ["<s>", BOS]}
BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": True,
    "trim_offsets": False,
    "use_regex": True,
}
ROBERTA = {"type": "RobertaProcessing", **ENDS, "trim_offsets": True, "add_prefix_space": False}

POST_PROCESSORS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "Llama-3": {"type": "Sequence", "processors": [BYTE_LEVEL, LLAMA]},
    "BOS and EOS": BOTH,
    "RoBERTa": ROBERTA,
    "BERT": {"type": "BertProcessing", **ENDS},
    "byte level": BYTE_LEVEL,
    "empty": {"type": "Sequence", "processors": []},
}


@pytest.fixture(scope="module")
def with_specials(trained: pytok.Tokenizer) -> pytok.Tokenizer:
    """`trained` with BOS, EOS and padding."""
    return trained.with_special_tokens(SPECIALS)


@pytest.fixture(scope="module")
def document(
    with_specials: pytok.Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Any]:
    """The tokenizer.json of `with_specials`."""
    path = Path(tmp_path_factory.mktemp("inputs")) / "tokenizer.json"
    with_specials.save(path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def both(
    tokenizer: pytok.Tokenizer, document: Mapping[str, Any], settings: Settings
) -> tuple[pytok.Tokenizer, TheirTokenizer]:
    """The tokenizer with *settings*, here and in tokenizers."""
    ours = pytok.Tokenizer.from_definition(replace(tokenizer.definition, settings=settings))
    changed = {**document, "post_processor": settings.post_processor}
    return ours, TheirTokenizer.from_str(json.dumps(changed))


@pytest.mark.parametrize("name", POST_PROCESSORS)
def test_tokens_around_texts_are_those_of_tokenizers(
    name: str, with_specials: pytok.Tokenizer, document: Mapping[str, Any]
) -> None:
    """Ids and type ids, of one text and of two."""
    settings = Settings(post_processor=POST_PROCESSORS[name])
    ours, theirs = both(with_specials, document, settings)
    first, second = "the first text", " über"
    single, pair = theirs.encode(first), theirs.encode(first, second)
    ids, other = ours.encode(first), ours.encode(second)

    assert ours.encode(first, add_special_tokens=True) == single.ids
    assert ours.encode_batch([first, ""], add_special_tokens=True) == [
        single.ids,
        theirs.encode("").ids,
    ]
    assert (ours.post_process(ids), ours.type_ids(ids)) == (single.ids, single.type_ids)
    assert ours.post_process(ids, other) == pair.ids
    assert ours.type_ids(ids, other) == pair.type_ids


def test_tokens_around_texts_are_not_added_unless_asked(
    with_specials: pytok.Tokenizer, document: Mapping[str, Any]
) -> None:
    """As in tiktoken."""
    ours, _ = both(with_specials, document, Settings(post_processor=ROBERTA))

    assert ours.encode("a") == with_specials.encode("a")


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        ({"type": "Sequence", "processors": [ROBERTA, LLAMA]}, "several templates"),
        ({"type": "Other"}, "the post_processor is a Other, which pytok does not know"),
        ({**LLAMA, "special_tokens": {}}, "TemplateProcessing, is malformed: KeyError"),
        ({"type": "BertProcessing", "sep": 1, "cls": 2}, "BertProcessing, is malformed"),
    ],
)
def test_a_template_that_cannot_be_applied_is_an_error_when_it_is_used(
    processor: dict[str, Any], message: str, with_specials: pytok.Tokenizer
) -> None:
    """Encoding without it works."""
    settings = Settings(post_processor=processor)
    definition = replace(with_specials.definition, settings=settings)
    tokenizer = pytok.Tokenizer.from_definition(definition)

    assert tokenizer.encode("a") == with_specials.encode("a")
    with pytest.raises(VocabError, match=message):
        tokenizer.encode("a", add_special_tokens=True)


@given(
    batch=st.lists(texts(), min_size=1, max_size=5),
    side=st.sampled_from(["left", "right"]),
    limits=st.sampled_from([(None, 1), (None, 8), (3, 1), (5, 1), (9, 3)]),
    adds=st.booleans(),
    name=st.sampled_from(["none", "Llama-3", "BOS and EOS", "RoBERTa"]),
)
def test_padded_batches_are_those_of_transformers(
    batch: list[str],
    side: str,
    limits: tuple[int | None, int],
    adds: bool,
    name: str,
    with_specials: pytok.Tokenizer,
    document: Mapping[str, Any],
) -> None:
    """Ids and masks, on both sides, cut or not, with and without tokens around the texts."""
    max_length, multiple_of = limits
    config = {"pad_token": "<pad>", "padding_side": side}
    settings = Settings(post_processor=POST_PROCESSORS[name], config=config)
    ours, theirs = both(with_specials, document, settings)
    fast = cast(Any, PreTrainedTokenizerFast)(tokenizer_object=theirs, **config)
    expected = fast(
        batch,
        padding=True,
        truncation=max_length is not None,
        max_length=max_length,
        pad_to_multiple_of=multiple_of,
        add_special_tokens=adds,
        return_tensors="np",
    )

    padded = ours.encode_batch_padded(
        batch, max_length=max_length, multiple_of=multiple_of, add_special_tokens=adds
    )

    for rows, name in zip(padded, padded._fields, strict=True):
        assert rows.dtype == np.int64
        assert rows.tolist() == expected[name].tolist()


def test_a_batch_can_have_a_fixed_length(with_specials: pytok.Tokenizer) -> None:
    """And is cut to it only if asked."""
    ids, mask = with_specials.encode_batch_padded(["the", "", "the the"], length=3, pad_id=PAD)

    assert ids.shape == mask.shape == (3, 3)
    assert mask.sum(axis=1).tolist() == [1, 0, 2]
    assert with_specials.encode_batch_padded([], length=3, pad_id=PAD).input_ids.shape == (0, 3)
    with pytest.raises(ValueError, match="a text has 4 ids, more than length, 3: pass max_length"):
        with_specials.encode_batch_padded(["the the the the"], length=3, pad_id=PAD)
    cut = with_specials.encode_batch_padded(["the" * 9], length=3, max_length=3, pad_id=PAD)
    assert cut.input_ids.tolist() == [with_specials.encode("the" * 9)[:3]]


def test_padding_needs_a_token(with_specials: pytok.Tokenizer) -> None:
    """Which the error names; an id of a text would be indistinguishable."""
    with pytest.raises(ValueError, match="names no padding token: pass pad_id"):
        with_specials.encode_batch_padded(["a"])


def test_a_maximum_below_the_tokens_around_a_text_is_an_error(
    with_specials: pytok.Tokenizer, document: Mapping[str, Any]
) -> None:
    """They are never cut."""
    ours, _ = both(with_specials, document, Settings(post_processor=ROBERTA))

    with pytest.raises(ValueError, match="max_length is 1, but 2 ids are added"):
        ours.encode_batch_padded(["a"], max_length=1, pad_id=PAD, add_special_tokens=True)


@pytest.mark.parametrize("named", ["<s>", {"content": "<s>", "lstrip": False}, None, "missing"])
@pytest.mark.parametrize("role", ["bos_token", "eos_token", "pad_token"])
def test_named_tokens_are_those_of_transformers(
    named: Any,
    role: str,
    with_specials: pytok.Tokenizer,
    document: Mapping[str, Any],
) -> None:
    """Text and id, from tokenizer_config.json."""
    ours, theirs = both(with_specials, document, Settings(config={role: named}))
    text = named["content"] if isinstance(named, dict) else named

    assert getattr(ours, role) == text
    assert getattr(ours, f"{role}_id") == (text and theirs.token_to_id(text))


def test_padding_of_a_tokenizer_json_names_the_token(with_specials: pytok.Tokenizer) -> None:
    """And the side, if there is no tokenizer_config.json."""
    padding = {"pad_token": "<pad>", "pad_id": PAD, "direction": "Left"}
    definition = replace(with_specials.definition, settings=Settings(padding=padding))
    tokenizer = pytok.Tokenizer.from_definition(definition)

    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("<pad>", PAD)
    assert tokenizer.encode_batch_padded(["a", ""], length=2).input_ids.tolist() == [
        [PAD, *with_specials.encode("a")],
        [PAD, PAD],
    ]


def test_a_folder_encodes_as_transformers_does(
    with_specials: pytok.Tokenizer, tmp_path: Path
) -> None:
    """With what its files say of BOS, EOS and padding, after it was written and read."""
    config = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "padding_side": "left"}
    settings = Settings(post_processor=BOTH, config=config)
    definition = replace(with_specials.definition, settings=settings)
    pytok.Tokenizer.from_definition(definition).save(tmp_path / "folder")
    ours = pytok.load(tmp_path / "folder")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "folder")

    assert ours.encode("über", add_special_tokens=True) == theirs.encode("über")
    padded = ours.encode_batch_padded(["a", "ab c"], add_special_tokens=True)
    expected = theirs(["a", "ab c"], padding=True, return_tensors="np")
    assert padded.input_ids.tolist() == expected["input_ids"].tolist()
    assert padded.attention_mask.tolist() == expected["attention_mask"].tolist()
    for role in ("bos_token", "eos_token", "pad_token"):
        assert getattr(ours, role) == getattr(theirs, role)
        assert getattr(ours, f"{role}_id") == getattr(theirs, f"{role}_id")
    ids = ours.encode("a", add_special_tokens=True)
    assert ours.decode(ids, skip_special_tokens=True) == theirs.decode(
        ids, skip_special_tokens=True
    )
