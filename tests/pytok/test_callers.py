"""What callers pass: ids of other libraries, and tiktoken's arguments."""

import copy
import pickle
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import tiktoken
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as TheirTokenizer

import pytok
from pytok.definition import AddedToken, Settings, Split, Unknown
from pytok.engine import EngineName
from pytok.errors import CorpusError, VocabError
from tests.conftest import ENGINES
from tests.pytok.strategies import texts

Twins = dict[EngineName, pytok.Tokenizer]

IDS = [64, 300, 0, 599, 598, 64]

TENSORS: dict[str, Callable[[list[int]], Any]] = {
    "int64": torch.tensor,
    "int32": lambda ids: torch.tensor(ids, dtype=torch.int32),
    "int16": lambda ids: torch.tensor(ids, dtype=torch.int16),
    "uint32": lambda ids: torch.tensor(ids, dtype=torch.uint32),
    "uint16": lambda ids: torch.tensor(ids, dtype=torch.uint16),
    "with a step": lambda ids: torch.tensor([ids, ids]).T.contiguous()[:, 0],
    "a list of tensors": lambda ids: list(torch.tensor(ids)),
    "a generator": lambda ids: (id for id in ids),
    "an iterator of numpy integers": lambda ids: iter(np.array(ids)),
    "a deque": deque,
}
"""The same ids in tensors and iterables."""


@pytest.mark.parametrize("hold", TENSORS.values(), ids=TENSORS)
def test_ids_of_any_kind_decode_as_a_list_does(
    hold: Callable[[list[int]], Any], engine: EngineName, twins: Twins
) -> None:
    """By every method that decodes."""
    tokenizer = twins[engine]
    data = tokenizer.decode_bytes(IDS)
    text = data.decode("utf-8", "replace")

    assert tokenizer.decode_bytes(hold(IDS)) == data
    assert tokenizer.decode(hold(IDS), skip_special_tokens=True) == text.replace(
        "<|endoftext|>", ""
    )
    assert tokenizer.decode_tokens_bytes(hold(IDS)) == tokenizer.decode_tokens_bytes(IDS)
    assert tokenizer.decode_batch([hold(IDS), IDS]) == [text, text]
    assert tokenizer.decoder().feed(*hold(IDS)) == tokenizer.decoder().feed(*IDS)


@pytest.mark.parametrize(
    "batch",
    [
        torch.tensor([IDS, IDS]),
        torch.tensor([IDS, IDS], dtype=torch.int32).T.contiguous().T,
        np.array([IDS, IDS], np.uint32),
        np.array([IDS, IDS], np.int16),
    ],
    ids=str,
)
@pytest.mark.parametrize("skip", [False, True])
def test_two_dimensions_decode_row_by_row(
    batch: Any, skip: bool, engine: EngineName, twins: Twins
) -> None:
    """As lists of lists."""
    tokenizer = twins[engine]
    expected = tokenizer.decode_batch([IDS, IDS], skip_special_tokens=skip)

    assert tokenizer.decode_batch(batch, skip_special_tokens=skip) == expected
    assert tokenizer.decode_batch(iter(batch), skip_special_tokens=skip) == expected


def test_a_generator_is_a_batch_as_in_tiktoken(
    engine: EngineName, twins: Twins, theirs: tiktoken.Encoding
) -> None:
    """Of lists, for text and for bytes."""
    tokenizer, untyped = twins[engine], cast(Any, theirs)

    assert tokenizer.decode_batch(x for x in [IDS]) == untyped.decode_batch(x for x in [IDS])
    assert tokenizer.decode_bytes_batch(iter([IDS])) == untyped.decode_bytes_batch(iter([IDS]))


def test_a_scalar_tensor_is_an_id(engine: EngineName, twins: Twins) -> None:
    """Where one id is meant."""
    id = torch.tensor(300)

    assert twins[engine].decode_single_token_bytes(id) == twins[engine].decode_bytes([300])  # type: ignore[arg-type]
    assert twins[engine].decoder().feed(id) == twins[engine].decode([300])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.tensor([1.5]), "ids are integers, not Tensor of float32"),
        (torch.tensor([True]), "ids are integers, not Tensor of bool"),
        (torch.tensor(5), r"Tensor of shape \(\) is not a row of ids"),
        (torch.tensor([IDS, IDS]), r"Tensor of shape \(2, 6\) is not a row of ids"),
        (np.array([IDS]), r"ndarray of shape \(1, 6\) is not a row of ids"),
        ({64}, "not set"),
        ({64: 1}, "not dict"),
        ("64", "not str"),
        (64, "not int"),
        (None, "not NoneType"),
        (["a"], "'str' object"),
    ],
    ids=str,
)
def test_other_values_are_named_by_their_type(
    ids: Any, message: str, engine: EngineName, twins: Twins
) -> None:
    """In the same words on both engines."""
    with pytest.raises(TypeError, match=message):
        twins[engine].decode(ids)


@pytest.mark.parametrize("batch", [[64, 65], torch.tensor([64, 65]), None, 64])
def test_a_batch_without_rows_is_a_type_error(batch: Any, engine: EngineName, twins: Twins) -> None:
    """Its ids are not texts."""
    with pytest.raises(TypeError):
        twins[engine].decode_batch(batch)


def test_no_disallowed_special_is_an_empty_set_as_in_tiktoken(
    engine: EngineName, twins: Twins, theirs: tiktoken.Encoding
) -> None:
    """With and without allowed ones."""
    text = "a <|endoftext|>"
    for allowed in (set[str](), {"<|endoftext|>"}):
        expected = theirs.encode(text, allowed_special=allowed, disallowed_special=None)  # type: ignore[arg-type]
        ours = twins[engine].encode(text, allowed_special=allowed, disallowed_special=None)
        assert ours == expected


@pytest.mark.parametrize("argument", ["allowed_special", "disallowed_special"])
@pytest.mark.parametrize("method", ["encode", "encode_to_numpy", "count", "encode_with_offsets"])
def test_a_text_instead_of_a_set_is_a_type_error(
    argument: str, method: str, engine: EngineName, twins: Twins
) -> None:
    """It would mean the set of its characters."""
    with pytest.raises(TypeError, match=f"{argument} is 'all' or a set of texts"):
        getattr(twins[engine], method)("e", **{argument: "<|endoftext|>"})


ADDED = (
    AddedToken("<|endoftext|>", 600),
    AddedToken("<think>", 601, special=False),
    AddedToken("<mask>", 602, lstrip=True),
)


@pytest.fixture(scope="module")
def with_kinds(trained: pytok.Tokenizer) -> Twins:
    """`trained` with added tokens of several kinds, and an id without bytes."""
    tokens = trained.definition.tokens[:599]
    definition = replace(
        trained.definition,
        tokens=tokens,
        ids=range(599),
        added_tokens=ADDED,
        decode_only={700: b""},
    )
    return {name: pytok.Tokenizer.from_definition(definition, name) for name in ENGINES}


def test_special_tokens_are_skipped_and_other_added_tokens_are_not(
    engine: EngineName, with_kinds: Twins, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As in tokenizers: at once, in a batch, and in a stream."""
    tokenizer = with_kinds[engine]
    ids = tokenizer.encode("a<think>b<|endoftext|> c <mask>", allowed_special="all")

    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    stream = tokenizer.decoder(skip_special_tokens=True)

    assert decoded == "a<think>b c"
    assert tokenizer.decode_batch([ids], skip_special_tokens=True) == [decoded]
    assert "".join(map(stream.feed, ids)) == decoded


def test_skipping_equals_tokenizers(trained: pytok.Tokenizer, tmp_path: Any) -> None:
    """For a file with a special token."""
    trained.save(tmp_path / "tokenizer.json")
    theirs = TheirTokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ids = trained.encode("über<|endoftext|>x", allowed_special="all")

    for skip in (True, False):
        expected = theirs.decode(ids, skip_special_tokens=skip)
        assert trained.decode(ids, skip_special_tokens=skip) == expected


def test_an_id_without_bytes_has_an_offset(engine: EngineName, with_kinds: Twins) -> None:
    """Whisper has one."""
    assert with_kinds[engine].decode_with_offsets([64, 700, 65]) == ("ab", [0, 1, 1])


@given(text=texts(), limit=st.integers(0, 9))
def test_truncated_normalized_text_is_a_prefix_within_the_limit(
    text: str, limit: int, normalizing: Twins
) -> None:
    """And both engines cut at the same character."""
    text = text.replace("a", "e\u0301")
    beginnings = {each.truncate(text, limit) for each in normalizing.values()}
    (beginning,) = beginnings

    assert text.startswith(beginning)
    assert normalizing["native"].count(beginning) <= limit
    if normalizing["native"].count(text) <= limit:
        assert beginning == text


@pytest.fixture(scope="module")
def normalizing(trained: pytok.Tokenizer) -> Twins:
    """`trained` with NFC and a space in front."""
    definition = replace(trained.definition, normalizer=(("NFC",),), prefix_space=True)
    return {name: pytok.Tokenizer.from_definition(definition, name) for name in ENGINES}


def test_truncation_does_not_part_what_is_composed(engine: EngineName, normalizing: Twins) -> None:
    """The two ids of an é stand for an e and an accent together."""
    tokenizer = normalizing[engine]

    assert len(tokenizer.encode("x e\u0301")) == 5
    assert tokenizer.truncate("x e\u0301", 4) == "x "


def test_truncation_counts_tokens_that_take_white_space(
    engine: EngineName, with_kinds: Twins
) -> None:
    """A token with lstrip stands for the space before it."""
    tokenizer = with_kinds[engine]

    assert tokenizer.truncate("x  <mask>y", 2, allowed_special="all") == "x  <mask>"


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": (("NFC",),)},
        {"prefix_space": True},
        {"splits": (Split("x", "removed"),)},
        {"unknown": Unknown(None)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_unstable_tokens_need_ids_that_stand_for_bytes(
    change: dict[str, Any], trained: pytok.Tokenizer, engine: EngineName
) -> None:
    """Else the completions would not follow from the bytes."""
    definition = replace(trained.definition, **change)
    tokenizer = pytok.Tokenizer.from_definition(definition, engine)

    with pytest.raises(VocabError, match="use encode"):
        tokenizer.encode_with_unstable("some text")
    with pytest.raises(VocabError, match="use encode"):
        tokenizer._encode_bytes(b"a\xff")
    assert tokenizer._encode_bytes(b"a") == tokenizer.encode("a")


def test_unstable_tokens_start_after_the_last_added_token(
    engine: EngineName, with_kinds: Twins
) -> None:
    """Also one that is found in every text."""
    tokenizer = with_kinds[engine]
    stable, completions = tokenizer.encode_with_unstable("xy<think>th")
    alone, expected = tokenizer.encode_with_unstable("th")

    assert stable == [*tokenizer.encode("xy<think>"), *alone]
    assert sorted(completions) == sorted(expected)
    assert tokenizer.decode_bytes(tokenizer._encode_bytes(b"<think>\xff")) == b"<think>\xff"


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_copies_have_all_parts(
    duplicate: Callable[[Any], Any], engine: EngineName, trained: pytok.Tokenizer
) -> None:
    """By copying and pickling."""
    definition = replace(
        trained.definition,
        added_tokens=ADDED,
        tokens=trained.definition.tokens[:599],
        ids=range(599),
        splits=(Split("x", "contiguous"),),
        normalizer=(("Lowercase",),),
        prefix_space=True,
        decode_only={700: b""},
        unknown=Unknown(601, fuse=True),
        settings=Settings(padding={"pad_id": 3}, config={"bos_token": "<|endoftext|>"}),
    )
    tokenizer = pytok.Tokenizer.from_definition(definition, engine)
    twin = duplicate(tokenizer)

    assert twin.definition == definition
    assert (twin.engine, twin.fingerprint) == (engine, tokenizer.fingerprint)
    assert twin.encode("Ab x<THINK>") == tokenizer.encode("Ab x<THINK>")


# ------------------------------------------------------------------- texts and names of files


def test_files_can_be_a_list_of_names(tmp_path: Path) -> None:
    """They are read, as with a list of Paths."""
    names = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    for name in names:
        Path(name).write_text("she sells sea shells " * 9)
    expected = pytok.train([Path(name) for name in names], 262)

    assert pytok.train(files=names, vocab_size=262).vocab == expected.vocab
    assert dict(pytok.count_pieces(files=names).items()) == dict(
        pytok.count_pieces([Path(name) for name in names]).items()
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"vocab_size": 300}, "pass a source"),
        ({"source": ["a"], "files": ["b"], "vocab_size": 300}, "not both"),
        ({"source": ["a"]}, "vocab_size is missing"),
    ],
)
def test_what_is_missing_is_a_type_error(arguments: dict[str, Any], words: str) -> None:
    """As in any call."""
    with pytest.raises(TypeError, match=words):
        pytok.train(**arguments)


def test_a_list_of_names_of_files_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names themselves would be the corpus; Paths are read."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt"):
        Path(name).write_text("the theme of the thesis")

    for call in (lambda texts: pytok.train(texts, 260), pytok.count_pieces):
        with pytest.raises(CorpusError, match="the texts are names of files"):
            call(["a.txt", "b.txt"])
        call(["a.txt", "the theme of the thesis"])
        call([Path("a.txt"), Path("b.txt")])


@pytest.mark.parametrize("text", ["the theme of the thesis", "a\nb", "[" * 10_000, "a" * 10_000])
def test_a_text_instead_of_a_list_of_texts_is_an_error(text: str) -> None:
    """It says how to pass it, and does not repeat all of it."""
    with pytest.raises(CorpusError, match=r"if it is the text itself, pass \[text\]") as error:
        pytok.train(text, 260)

    assert len(error.value.message) < 400
