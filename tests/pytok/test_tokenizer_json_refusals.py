"""Errors for a tokenizer.json that pytok cannot read, with the field and the reason.

Files that it can read: test_tokenizer_json_shapes.
"""

import contextlib
import json
from collections.abc import Callable
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import pytok
from pytok.engine import EngineName
from pytok.errors import FormatError, PatternError, PytokError, VocabError
from tests.pytok.test_formats_refusals import TOKENIZER, error_of

HALF = "line 1: a string has a lone surrogate"

Edit = Callable[[Any], object]

WHERE = "pre_tokenizer.pretokenizers[0].pattern: "
SPLITS = ("pre_tokenizer", "pretokenizers")
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the text of a valid tokenizer.json."""
    path = tmp_path_factory.mktemp("valid") / "valid.json"
    TOKENIZER.save(path)
    return path.read_text(encoding="utf-8")


def set_to(value: object, *path: str | int) -> Edit:
    """Set the field at *path* to *value*."""
    return lambda document: reduce(getitem, path[:-1], document).__setitem__(path[-1], value)


def without(*path: str | int) -> Edit:
    """Remove the field at *path*."""
    return lambda document: reduce(getitem, path[:-1], document).__delitem__(path[-1])


def split_by(regex: str) -> Edit:
    """Set the regex of the first split."""
    return set_to(regex, *SPLITS, 0, "pattern", "Regex")


def split(regex: str, behavior: str = "Isolated", *, invert: bool = False) -> dict[str, Any]:
    """Return the step of a pre-tokenizer that splits by *regex*."""
    return {
        "type": "Split",
        "pattern": {"Regex": regex},
        "behavior": behavior,
        "invert": invert,
    }


MALFORMED: list[tuple[Edit, str]] = [
    (without("model"), "model is missing"),
    (set_to([], "model"), "model is array, not object"),
    (without("model", "vocab"), "model.vocab is missing"),
    (set_to([], "model", "vocab"), "model.vocab is array, not object"),
    (without("model", "merges"), "model.merges is missing"),
    (set_to("th", "model", "merges"), "model.merges is string, not array"),
    (set_to("256", "model", "vocab", "th"), "model.vocab['th'] is '256', not an id"),
    (set_to(True, "model", "vocab", "th"), "model.vocab['th'] is True, not an id"),
    (set_to(2.0, "model", "vocab", "th"), "model.vocab['th'] is 2.0, not an id"),
    (set_to(7, "model", "vocab", "\ud800"), HALF),
    (set_to(["t"], "model", "merges", 0), "model.merges[0] is ['t'], not two tokens"),
    (set_to("t h e", "model", "merges", 0), "model.merges[0] is 't h e', not two tokens"),
    (set_to(None, "model", "merges", 0), "model.merges[0] is None, not two tokens"),
    (set_to(["x", "q"], "model", "merges", 4), "model.merges[4]: 'xq' is not in the vocabulary"),
    (set_to(["t", "<|endoftext|>"], "model", "merges", 4), "model.merges[4]: 't<|endoftext|>' is"),
    (set_to(5, "added_tokens"), "added_tokens is number, not array"),
    (set_to({"a": 1}, "added_tokens"), "added_tokens is object, not array"),
    (set_to("<|e|>", "added_tokens", 0), "added_tokens[0]"),
    (without("added_tokens", 0, "content"), "added_tokens[0].content is missing"),
    (set_to(1, "added_tokens", 0, "content"), "added_tokens[0].content is number, not string"),
    (set_to("\udc00", "added_tokens", 0, "content"), HALF),
    (set_to("1", "added_tokens", 0, "id"), "added_tokens[0].id is string, not number"),
    (lambda d: d["added_tokens"].append(d["added_tokens"][0] | {"id": 262}), "added_tokens[1]"),
    (split_by("\ud800"), HALF),
    (set_to("yes", "model", "ignore_merges"), "model.ignore_merges is string, not boolean"),
    (set_to("2.0", "version"), "version is '2.0': pytok reads version 1.0"),
    (set_to("NFC", "normalizer"), "normalizer is string, not object"),
    (set_to({"type": "Sequence"}, "normalizer"), "normalizer.normalizers is missing"),
    (set_to("Split", *SPLITS), "pre_tokenizer.pretokenizers is string, not array"),
    (set_to("Split", *SPLITS, 0), "pre_tokenizer.pretokenizers[0] is string, not object"),
    (without(*SPLITS, 0, "type"), "pre_tokenizer.pretokenizers[0].type is missing"),
    (without(*SPLITS, 0, "pattern"), "pre_tokenizer.pretokenizers[0].pattern is missing"),
    (set_to({}, *SPLITS, 0, "pattern"), "pre_tokenizer.pretokenizers[0].pattern is neither"),
    (set_to({"String": ""}, *SPLITS, 0, "pattern"), "pre_tokenizer.pretokenizers[0].pattern is"),
    (without(*SPLITS, 0, "invert"), "pre_tokenizer.pretokenizers[0].invert is missing"),
    (set_to(5, "truncation"), "truncation is number, not object"),
    (set_to([], "padding"), "padding is array, not object"),
    (set_to({"type": "Strip"}, "normalizer"), "normalizer.strip_left is missing"),
    (
        set_to({"type": "BertProcessing", "sep": ["<|x|>", 1], "cls": ["b"]}, "post_processor"),
        "post_processor.cls is not a token and its id",
    ),
    (
        set_to(1, "added_tokens", 0, "special"),
        "added_tokens[0].special is 1: it must be true or false",
    ),
]
UNSUPPORTED: list[tuple[Edit, str]] = [
    (set_to({"type": "Nmt"}, "normalizer"), "normalizer.type is 'Nmt', which pytok cannot apply"),
    (
        set_to({"type": "Sequence", "normalizers": [{"type": "ByteLevel"}]}, "normalizer"),
        "normalizer.normalizers[0].type is 'ByteLevel', which pytok cannot apply: it reads NFC,",
    ),
    (
        set_to({"type": "TemplateProcessing", "single": []}, "post_processor"),
        "post_processor.single has the text 0 times, not once",
    ),
    (
        set_to({"type": "TemplateProcessing", "single": [TEXT, TEXT]}, "post_processor"),
        "post_processor.single has the text 2 times, not once",
    ),
    (
        set_to({"type": "Sequence", "processors": [{"type": "New"}]}, "post_processor"),
        "post_processor.processors[0].type is 'New', which pytok does not know",
    ),
    (set_to({"type": "WordPiece"}, "decoder"), "decoder is WordPiece, not ByteLevel"),
    (set_to(None, "decoder"), "decoder is null, not ByteLevel"),
    (
        set_to({"type": "Sequence", "decoders": [{"type": "Fuse"}, BYTE_LEVEL]}, "decoder"),
        "decoder is Fuse then ByteLevel, not ByteLevel",
    ),
    (
        set_to({"type": "BertProcessing", "sep": ["th", 1], "cls": ["b", 2]}, "post_processor"),
        "post_processor.sep has the id 1 for 'th', whose id is 256",
    ),
    (
        set_to(
            {
                "type": "TemplateProcessing",
                "single": [TEXT],
                "special_tokens": {"s": {"id": "s", "ids": [3], "tokens": ["<|endoftext|>"]}},
            },
            "post_processor",
        ),
        "post_processor.special_tokens['s'].ids has the id 3 for '<|endoftext|>', whose id is 261",
    ),
    (set_to("WordPiece", "model", "type"), "model.type is 'WordPiece': pytok reads byte-level BPE"),
    (set_to("Unigram", "model", "type"), "model.type is 'Unigram': pytok reads byte-level BPE"),
    (set_to(0.1, "model", "dropout"), "model.dropout is 0.1: pytok encodes without dropout"),
    (set_to("##", "model", "continuing_subword_prefix"), "model.continuing_subword_prefix is '##'"),
    (set_to(1, "model", "end_of_word_suffix"), "model.end_of_word_suffix is number, not string"),
    (set_to("終", "model", "end_of_word_suffix"), "model.end_of_word_suffix is '終', which is no"),
    (set_to(None, "pre_tokenizer"), "pre_tokenizer has no ByteLevel: this is BPE over characters"),
    (set_to({"type": "Metaspace"}, "pre_tokenizer"), "pre_tokenizer has no ByteLevel"),
    (lambda d: reduce(getitem, SPLITS, d).append(BYTE_LEVEL), "pre_tokenizer has ByteLevel twice"),
    (
        set_to({"type": "Metaspace"}, *SPLITS, 0),
        "pre_tokenizer.pretokenizers[0].type is 'Metaspace', which pytok cannot follow: it reads",
    ),
    (
        set_to("Merged", *SPLITS, 0, "behavior"),
        "pre_tokenizer.pretokenizers[0].behavior is 'Merged': it is one of Isolated, Removed,",
    ),
    (
        set_to(True, *SPLITS, 1, "add_prefix_space"),
        "pre_tokenizer.pretokenizers[1].add_prefix_space is true: it puts a space before each",
    ),
    (split_by(r"\d{1,3}+|\D"), WHERE + r"the pattern '\\d{1,3}+|\\D' has '{1,3}+|\\D', which"),
    (split_by(r"\X|a"), WHERE + r"the pattern '\\X|a' has '\\X|a', which Hugging"),
    (split_by(r"(?i)a|[^a]"), WHERE + "the pattern '(?i)a|[^a]' has '(?i)a|[^a]', which Hugging"),
    (split_by(r"[a--b]+"), WHERE + "the pattern '[a--b]+' has '--b]+', which Hugging"),
    (split_by(r"[[:graph:]]+"), WHERE + "the pattern '[[:graph:]]+' has '[:graph:]]+', which"),
    (
        set_to(5, "added_tokens", 0, "id"),
        "added_tokens[0].id is 5, but tokenizers gives '<|endoftext|>' the id 261",
    ),
    (
        lambda d: d["added_tokens"].append(d["added_tokens"][0] | {"content": "<|e|>", "id": 300}),
        "added_tokens[1].id is 300, but tokenizers gives '<|e|>' the id 262",
    ),
    (
        lambda d: d["added_tokens"].append(d["added_tokens"][0] | {"content": "Ġthe", "id": 258}),
        "added_tokens[1].content 'Ġthe' stands for b' the' in the byte-level alphabet",
    ),
    (
        lambda d: (
            d["added_tokens"][0].update(single_word=True),
            d["model"].update(ignore_merges=True),
        ),
        "with ignore_merges, ordinary text can be encoded as the special token '<|endoftext|>'",
    ),
    (
        lambda d: (
            d.update(normalizer={"type": "Lowercase"}),
            d["model"].update(ignore_merges=True),
        ),
        "with ignore_merges, ordinary text can be encoded as the special token '<|endoftext|>'",
    ),
    (
        lambda d: (
            d["model"]["vocab"].pop("~"),
            d["model"]["vocab"].update({"<0x7E>": 93}),
            d["model"].update(byte_fallback=True),
        ),
        "model.byte_fallback is true: tokenizers would encode the byte 0x7e, which the vocabulary",
    ),
    (
        lambda d: (d["model"]["vocab"].pop("~"), d["model"].update(unk_token="an")),
        "model.unk_token is merged with its neighbors",
    ),
]
MERGES: list[tuple[Edit, str]] = [
    (
        lambda d: (
            d["model"]["vocab"].update({"nd": 262}),
            d["model"]["merges"].pop(),
            d["model"]["merges"].extend(["n d", "a nd"]),
        ),
        "the order of the tokens implies the merge b'an' + b'd', which is not listed",
    ),
    (
        # Only (ab, c) can make "abc", which comes first in the order of first merges.
        lambda d: (
            d["model"]["vocab"].update({"ab": 264, "bc": 263, "abc": 262}),
            d["model"]["merges"].extend(["a bc", "a b", "b c", "ab c"]),
        ),
        "model.merges[6] merges b'a' + b'b', which is not in the order of the tokens",
    ),
    (
        # By itself it ends as ab, x, cd.
        lambda d: (
            d["model"]["vocab"].update({"ab": 262, "cd": 263, "bx": 264, "bxcd": 265}),
            d["model"]["vocab"].update({"abxcd": 266}),
            d["model"]["merges"].extend(["a b", "c d", "b x", "bx cd", "a bxcd"]),
        ),
        "no merge makes the token b'abxcd' (id 266), which is never encoded when ignore_merges",
    ),
]
NO_VOCABULARY: list[tuple[Edit, str]] = [
    (set_to(5, "model", "vocab", "th"), "two tokens have the id 5"),
    (set_to(-1, "model", "vocab", "and"), "the id -1 does not lie between 0 and 4294967295"),
    (set_to(1 << 32, "model", "vocab", "and"), "the id 4294967296 does not lie between"),
    (set_to({"<|endoftext|>": 261}, "model", "vocab"), "not in the vocabulary"),
    (split_by("("), "the pattern does not compile"),
]


def case_name(parameter: object) -> str:
    """Name a test by the message that it expects."""
    return parameter if isinstance(parameter, str) else ""


def edited(document: str, edit: Edit, folder: Path) -> Path:
    """Write *document*, changed by *edit*, and return the path."""
    changed = json.loads(document)
    edit(changed)
    path = folder / "a.json"
    path.write_text(json.dumps(changed))
    return path


@pytest.mark.parametrize(("edit", "message"), MALFORMED + UNSUPPORTED, ids=case_name)
def test_a_wrong_field_is_reported(edit: Edit, message: str, document: str, tmp_path: Path) -> None:
    """It is malformed, or pytok could not follow it exactly."""
    path = edited(document, edit, tmp_path)

    assert f"a.json: {message}" in error_of(path)


@pytest.mark.parametrize(("edit", "message"), MERGES, ids=case_name)
def test_merges_that_would_encode_differently_are_an_error(
    edit: Edit, message: str, document: str, engine: EngineName, tmp_path: Path
) -> None:
    """Each engine derives the merges that the file must list from the tokens."""
    path = edited(document, edit, tmp_path)

    assert f"a.json: {message}" in error_of(path, engine=engine)


@pytest.mark.parametrize(("edit", "message"), NO_VOCABULARY, ids=case_name)
def test_a_file_without_a_valid_vocabulary_is_reported(
    edit: Edit, message: str, document: str, engine: EngineName, tmp_path: Path
) -> None:
    """The fields can be read but contradict each other."""
    path = edited(document, edit, tmp_path)

    assert message in error_of(path, PytokError, engine=engine)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"model":\n {"type" "BPE"}}', "line 2, column 10: not JSON"),
        (b"", "this is an empty file: get it again"),
        (b'{"version": "\xff"}', "byte 13 is not UTF-8"),
        (b"[1]", "the file is a JSON array, not an object"),
        (b"null", "the file is a JSON null, not an object"),
        (b"[" * 100_000, "the JSON cannot be read: nested too deeply"),
        (b'{"version": ' + b"9" * 5000 + b"}", "the JSON cannot be read"),
    ],
    ids=["syntax", "empty", "not UTF-8", "array", "null", "deep", "huge number"],
)
def test_a_file_that_is_not_a_json_object_is_an_error(
    content: bytes, message: str, tmp_path: Path
) -> None:
    """The message has the line and column, or the byte."""
    (tmp_path / "a.json").write_bytes(content)

    assert f"a.json: {message}" in error_of(tmp_path / "a.json")


def test_a_token_that_is_listed_twice_is_an_error(document: str, tmp_path: Path) -> None:
    """JSON parsers silently keep the last, so the ids would be a guess."""
    (tmp_path / "a.json").write_text(document.replace('"!": 0,', '"!": 0, "!": 7777,'))

    assert "'!'" in error_of(tmp_path / "a.json")


@pytest.mark.parametrize("argument", [{"pattern": "gpt2"}, {"special_tokens": {"<|e|>": 300}}])
def test_a_json_file_accepts_no_pattern_or_special_tokens(
    argument: dict[str, Any], document: str, tmp_path: Path
) -> None:
    """The file contains them itself."""
    (tmp_path / "a.json").write_text(document)

    assert "do not pass any" in error_of(tmp_path / "a.json", **argument)


# ------------------------------------------------------------------------------------ mutations

SIMPLE = ["null", "true", "0", "-1", "8589934592", "1.5", "NaN", '""', '"x"', r'"\ud800"', '"("']
VALUES = st.sampled_from([*SIMPLE, "[]", "[[]]", "{}", '{"": 0}']).map(json.loads)


@given(data=st.data())
def test_a_mutated_json_loads_or_raises_a_known_error(
    data: st.DataObject, document: str, engine: EngineName, tmp_path: Path
) -> None:
    changed = json.loads(document)
    for _ in range(data.draw(st.integers(1, 3))):
        parent = changed
        while True:
            keys = sorted(parent) if isinstance(parent, dict) else range(len(parent))
            assume(keys)
            key = data.draw(st.sampled_from(keys))
            if not parent[key] or not isinstance(parent[key], dict | list):
                break
            if data.draw(st.integers(0, 3)) == 0:
                break
            parent = parent[key]
        if data.draw(st.booleans()):
            del parent[key]
        else:
            parent[key] = data.draw(VALUES)
    (tmp_path / "a.json").write_text(json.dumps(changed))

    with contextlib.suppress(FormatError, VocabError, PatternError):
        pytok.load(tmp_path / "a.json", engine=engine)
