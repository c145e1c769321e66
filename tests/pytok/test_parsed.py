"""The native readers of files: they give what the readers in Python give, or leave it to them."""

import base64
import json
import pickle
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok import _native
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import PytokError
from pytok.formats.merge_list import LETTERS
from tests.conftest import ENGINES

MERGES = ["Ġ t", "h e", "Ġt he", "i n", "Ã ©", "in Ġt"]
ENTRIES = [*(LETTERS[byte] for byte in BYTE_ORDER), *(merge.replace(" ", "") for merge in MERGES)]
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


def document(entries: Sequence[str] = ENTRIES, **model: Any) -> dict[str, Any]:
    """A tokenizer.json of *entries*, and of an added token after them."""
    vocab = {entry: id for id, entry in enumerate([*entries, "<|end|>"])}
    return {
        "version": "1.0",
        "added_tokens": [{"id": vocab["<|end|>"], "content": "<|end|>", "special": True}],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": BYTE_LEVEL,
        "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "vocab": vocab, "merges": MERGES, **model},
    }


DOCUMENTS = {
    "plain": document(),
    "merges as arrays": document(merges=[merge.split(" ") for merge in MERGES]),
    "the first line of a merges.txt": document(merges=["#version: 0.2", *MERGES]),
    "entries that only decode": document([*ENTRIES, "", "終", "Ġabc"]),
    "tokens without a merge": document([*ENTRIES, "Ġabc", "終"], ignore_merges=True),
    "ids in another order": document(ENTRIES[::-1]),
    "tokens before their parts": document([ENTRIES[-1], *ENTRIES[:-1]], merges=MERGES[::-1]),
    "a byte that no text has": document([entry for entry in ENTRIES if entry != "ÿ"]),
    "a byte that texts have": document([entry for entry in ENTRIES if entry != "b"]),
}
LINES = [base64.b64encode(bytes([byte])).decode() for byte in BYTE_ORDER]
RANKS = "".join(f"{line} {rank}\n" for rank, line in enumerate([*LINES, "dGg=", "dGhl"]))


def read(path: Path, engine: EngineName, **arguments: Any) -> tuple[Any, ...]:
    """Return the parts of the tokenizer in *path*, or the error, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            definition = pytok.load(path, engine=engine, **arguments).definition
        except PytokError as error:
            return type(error), error.message
    parts = {field.name: getattr(definition, field.name) for field in fields(definition)}
    parts |= {"tokens": list(definition.tokens), "ids": list(definition.ids)}
    return parts, [str(warning.message) for warning in caught]


def both(folder: Path, name: str, data: bytes, **arguments: Any) -> list[tuple[Any, ...]]:
    """Return what each engine reads in a file with *data*."""
    path = folder / name
    path.write_bytes(data)
    return [read(path, engine, **arguments) for engine in ENGINES]


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "UTF-8"])
def test_a_tokenizer_json_is_read_as_in_python(name: str, ascii_only: bool, tmp_path: Path) -> None:
    """With any order of ids and merges, and with entries that no text is encoded to."""
    text = json.dumps(DOCUMENTS[name], ensure_ascii=ascii_only, indent=1)

    native, reference = both(tmp_path, "t.json", text.encode())

    assert native == reference


@pytest.mark.filterwarnings("ignore:.*lacks 1 of the bytes")
@pytest.mark.parametrize("name", sorted(set(DOCUMENTS) - {"tokens before their parts"}))
def test_the_engine_reads_what_is_usual(name: str, tmp_path: Path) -> None:
    """Python reads nothing but the small fields."""
    (tmp_path / "t.json").write_text(json.dumps(DOCUMENTS[name]), encoding="utf-8")

    definition = pytok.load(tmp_path / "t.json").definition

    assert isinstance(definition.tokens, _native.Tokens)


CHARACTERS = ['"', "\\", "{", "}", "[", "]", ",", ":", " ", "\n", "\r\n", "-", "0", "9", ".", "e"]
CHARACTERS += ["\t", "\x00", "é", "\\u0120", "\\ud83d", "\\ude00", "\\ud83d\\ude00", "\ufeff", "="]
VALUES = ["1.0", "1e3", "-1", "-0", "4294967295", "4294967296", "9" * 5000, "NaN", "Infinity"]
VALUES += ["null", "true", '"0"', "[]", "{}", "0", "255", "256", "007", "1_0", "+5", "[" * 2000]


@st.composite
def damaged(draw: st.DrawFn, texts: Sequence[str]) -> str:
    """Draw one of *texts* with a few changes: of characters, of values, of lines."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 2))):
        # The beginning and the end have the fields that are few.
        at = draw(
            st.integers(0, len(text)) | st.integers(0, 1000) | st.integers(1, 1000).map(int.__neg__)
        )
        at = at % (len(text) + 1)
        change = draw(st.sampled_from(["insert", "delete", "value", "repeat", "drop", "crlf"]))
        if change == "insert":
            text = text[:at] + draw(st.sampled_from(CHARACTERS)) + text[at:]
        elif change == "delete":
            text = text[:at] + text[at + draw(st.integers(1, 3)) :]
        elif change == "crlf":
            text = text.replace("\n", "\r\n")
        elif change == "value":
            # The next number, or literal, after the position.
            head, tail = text[:at], text[at:]
            start = next((i for i, letter in enumerate(tail) if letter.isdigit()), len(tail))
            end = next((i for i in range(start, len(tail)) if not tail[i].isdigit()), len(tail))
            text = head + tail[:start] + draw(st.sampled_from(VALUES)) + tail[end:]
        else:
            start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at) + 1 or len(text)
            line = text[start:end]
            text = text[:start] + (2 * line if change == "repeat" else "") + text[end:]
    return text


@given(damaged([json.dumps(each, indent=1, ensure_ascii=False) for each in DOCUMENTS.values()]))
def test_a_damaged_tokenizer_json_is_read_as_in_python(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """The same tokenizer, or the same error."""
    native, reference = both(tmp_path_factory.getbasetemp(), "t.json", text.encode())

    assert native == reference


@given(damaged([RANKS]))
def test_damaged_ranks_are_read_as_in_python(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """The same tokenizer, or the same error."""
    folder = tmp_path_factory.getbasetemp()

    native, reference = both(folder, "t.tiktoken", text.encode(), pattern="gpt2")

    assert native == reference


@pytest.fixture(scope="module")
def tokens() -> _native.Tokens:
    """The tokens of `RANKS`."""
    parsed = _native.parse_ranks(RANKS.encode())
    assert parsed is not None
    return parsed[0]


def test_tokens_are_a_sequence_of_bytes(tokens: _native.Tokens) -> None:
    """Like a tuple, but without an object for each token."""
    listed = [*(bytes([byte]) for byte in BYTE_ORDER), b"th", b"the"]

    assert isinstance(tokens, Sequence)
    assert len(tokens) == 258
    assert list(tokens) == list(reversed(list(reversed(tokens)))) == listed
    assert (tokens[0], tokens[257], tokens[-1], tokens[-258]) == (b"!", b"the", b"the", b"!")
    for part in (slice(255, None), slice(None, None, -100), slice(5, 1), slice(-2, 1000)):
        assert tokens[part] == listed[part]


@pytest.mark.parametrize("index", [258, -259, 1 << 40])
def test_a_token_beyond_the_last_is_an_error(tokens: _native.Tokens, index: int) -> None:
    with pytest.raises(IndexError, match=str(index)):
        tokens[index]


def test_tokens_contain_only_bytes(tokens: _native.Tokens) -> None:
    """Look-ups take the time of one, however many tokens there are."""
    assert b"the" in tokens
    assert b"he" not in tokens
    things: list[object] = ["the", 256, None]
    assert not any(thing in tokens for thing in things)


def test_tokens_equal_any_sequence_of_the_same_bytes(tokens: _native.Tokens) -> None:
    same = list(tokens)

    for equal in (tokens, same, tuple(same)):
        assert tokens == equal
        assert equal == tokens
    others: list[object] = [same[:-1], [*same[:-1], b"x"], [*same[:-1], "the"], "the", 5]
    assert not any(tokens == other or other == tokens for other in others)


def test_tokens_are_pickled_without_the_engine(tokens: _native.Tokens) -> None:
    """Another process can read them with either engine."""
    data = pickle.dumps(tokens)

    assert b"_native" not in data
    assert pickle.loads(data) == tuple(tokens)
