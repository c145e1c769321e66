"""Tokenizer files that are refused, with the file and the place in it, and writes that fail."""

import base64
import contextlib
import json
import os
import re
from collections.abc import Callable
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import pytok
from pytok.engine import EngineName
from pytok.errors import FormatError, PatternError, PytokError, VocabError
from pytok.reference.vocab import BYTE_ORDER
from pytok.tokenizer import Tokenizer

TOKENS = [b"th", b"the", b" the", b"an", b"and"]
RANKS = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}
RANKS |= {token: 256 + place for place, token in enumerate(TOKENS)}
TOKENIZER = Tokenizer(
    "valid", pat_str="gpt2", mergeable_ranks=RANKS, special_tokens={"<|endoftext|>": 261}
)
LINES = [base64.b64encode(token) + b" %d" % id for token, id in RANKS.items()]

HALF = "line 1: a string holds half a surrogate pair"

Edit = Callable[[Any], object]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of a valid tokenizer.json."""
    path = tmp_path_factory.mktemp("valid") / "valid.json"
    TOKENIZER.save(path)
    return path.read_text(encoding="utf-8")


def refusal(path: Path, error: type[PytokError] = FormatError, **told: Any) -> str:
    """The message with which *path* is refused, which names it and is one line."""
    with pytest.raises(error) as caught:
        pytok.load(path, **told)
    message = caught.value.message
    assert message.startswith(f"{path}")
    assert "\n" not in message
    return message


# -------------------------------------------------------------------------------- tokenizer.json


def set_to(value: object, *place: str | int) -> Edit:
    """Puts *value* at *place*."""
    return lambda document: reduce(getitem, place[:-1], document).__setitem__(place[-1], value)


def without(*place: str | int) -> Edit:
    """Takes away what is at *place*."""
    return lambda document: reduce(getitem, place[:-1], document).__delitem__(place[-1])


def split_by(regex: str) -> Edit:
    """Splits by *regex*."""
    return set_to(regex, "pre_tokenizer", "pretokenizers", 0, "pattern", "Regex")


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
    (set_to(7, "model", "vocab", "東"), "'東' is neither in the byte-level alphabet"),
    (set_to(7, "model", "vocab", "\ud800"), HALF),
    (set_to(["t"], "model", "merges", 0), "model.merges[0] is ['t'], not two tokens"),
    (set_to("t h e", "model", "merges", 0), "model.merges[0] is 't h e', not two tokens"),
    (set_to(None, "model", "merges", 0), "model.merges[0] is None, not two tokens"),
    (set_to(["x", "q"], "model", "merges", 4), "model.merges[4]: 'xq' is not in the vocabulary"),
    (lambda d: d["model"]["merges"].reverse(), "model.merges[0] merges b'an' + b'd', but"),
    (lambda d: d["model"]["merges"].pop(), "lists 4 merges"),
    (lambda d: d["model"]["merges"].append(["a", "n"]), "lists 6 merges"),
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
]
UNSUPPORTED: list[tuple[Edit, str]] = [
    (set_to({"type": "NFC"}, "normalizer"), "normalizer is {'type': 'NFC'}"),
    (set_to({"max_length": 512}, "truncation"), "truncation"),
    (set_to({"strategy": "BatchLongest"}, "padding"), "padding"),
    (set_to({"type": "TemplateProcessing"}, "post_processor"), "post_processor"),
    (set_to({"type": "WordPiece"}, "decoder"), "decoder"),
    (set_to(None, "decoder"), "decoder"),
    (set_to("WordPiece", "model", "type"), "model.type is 'WordPiece'"),
    (set_to("Unigram", "model", "type"), "model.type is 'Unigram'"),
    (set_to(0.1, "model", "dropout"), "model.dropout is 0.1"),
    (set_to("##", "model", "continuing_subword_prefix"), "model.continuing_subword_prefix"),
    (set_to("</w>", "model", "end_of_word_suffix"), "model.end_of_word_suffix is '</w>'"),
    (set_to(None, "pre_tokenizer"), "pre_tokenizer"),
    (set_to({"type": "Metaspace"}, "pre_tokenizer"), "pre_tokenizer"),
    (set_to("Removed", "pre_tokenizer", "pretokenizers", 0, "behavior"), "pre_tokenizer"),
    (set_to(True, "pre_tokenizer", "pretokenizers", 0, "invert"), "pre_tokenizer"),
    (set_to(True, "pre_tokenizer", "pretokenizers", 1, "add_prefix_space"), "pre_tokenizer"),
    (set_to(True, "pre_tokenizer", "pretokenizers", 1, "use_regex"), "pre_tokenizer"),
    (split_by(r"\s+$|\S+"), r"pre_tokenizer: the pattern '\\s+$|\\S+' has '$|\\S+'"),
    (split_by(r"^\s|\S+"), r"pre_tokenizer: the pattern"),
    (split_by(r"\d{1,3}+|\D"), "pre_tokenizer: the pattern"),
    (split_by(r"\w+|\W"), "pre_tokenizer: the pattern"),
    (set_to(True, "added_tokens", 0, "lstrip"), "added_tokens[0].lstrip is True"),
    (set_to(True, "added_tokens", 0, "rstrip"), "added_tokens[0].rstrip is True"),
    (set_to(True, "added_tokens", 0, "single_word"), "added_tokens[0].single_word is True"),
    (set_to(False, "added_tokens", 0, "special"), "added_tokens[0].special is False"),
]
NO_VOCABULARY: list[tuple[Edit, str]] = [
    (set_to(5, "model", "vocab", "th"), "two tokens have the id 5"),
    (set_to(5, "added_tokens", 0, "id"), "two tokens have the id 5"),
    (set_to(-1, "added_tokens", 0, "id"), "the id -1 does not lie between 0 and 4294967295"),
    (set_to(1 << 32, "model", "vocab", "and"), "the id 4294967296 does not lie between"),
    (set_to("", "added_tokens", 0, "content"), "a special token is the empty string"),
    (without("model", "vocab", "~"), "the byte 0x7e is no token"),
    (set_to({}, "model", "vocab"), "not in the vocabulary"),
    (set_to(300, "model", "vocab", ""), "empty"),
    (split_by("("), "the pattern does not compile"),
]


def named(part: object) -> str:
    """A test's name by the message that it expects."""
    return part if isinstance(part, str) else ""


@pytest.mark.parametrize(("edit", "said"), MALFORMED + UNSUPPORTED, ids=named)
def test_a_field_that_is_wrong_is_named(
    edit: Edit, said: str, document: str, tmp_path: Path
) -> None:
    """What is malformed, and what pytok would not do exactly."""
    changed = json.loads(document)
    edit(changed)
    (tmp_path / "a.json").write_text(json.dumps(changed))

    assert f"a.json: {said}" in refusal(tmp_path / "a.json")


@pytest.mark.parametrize(("edit", "said"), NO_VOCABULARY, ids=named)
def test_a_file_of_no_vocabulary_is_named(
    edit: Edit, said: str, document: str, engine: EngineName, tmp_path: Path
) -> None:
    """The parts are read, but do not fit together."""
    changed = json.loads(document)
    edit(changed)
    (tmp_path / "a.json").write_text(json.dumps(changed))

    assert said in refusal(tmp_path / "a.json", PytokError, engine=engine)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"model":\n {"type" "BPE"}}', "line 2, column 10: not JSON"),
        (b"", "line 1, column 1: not JSON"),
        (b'{"version": "\xff"}', "byte 13 is not UTF-8"),
        (b"[1]", "the file is a JSON array, not an object"),
        (b"null", "the file is a JSON null, not an object"),
        (b"[" * 100_000, "not JSON that can be read: nested too deeply"),
        (b'{"version": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
    ids=["syntax", "empty", "not UTF-8", "array", "null", "deep", "huge number"],
)
def test_a_file_that_is_no_json_object_is_refused(
    content: bytes, said: str, tmp_path: Path
) -> None:
    """With the line and column, or the byte."""
    (tmp_path / "a.json").write_bytes(content)

    assert f"a.json: {said}" in refusal(tmp_path / "a.json")


def test_a_token_that_is_listed_twice_is_refused(document: str, tmp_path: Path) -> None:
    """JSON's readers keep the last in silence, so the ids would be a guess."""
    (tmp_path / "a.json").write_text(document.replace('"!": 0,', '"!": 0, "!": 7777,'))

    assert "'!'" in refusal(tmp_path / "a.json")


@pytest.mark.parametrize("told", [{"pattern": "gpt2"}, {"special_tokens": {"<|e|>": 300}}])
def test_a_json_file_is_told_nothing(told: dict[str, Any], document: str, tmp_path: Path) -> None:
    """It says pattern and special tokens itself."""
    (tmp_path / "a.json").write_text(document)

    assert "give neither" in refusal(tmp_path / "a.json", **told)


# ------------------------------------------------------------------------ .tiktoken and folders


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"!!!! 7", "line 3: '!!!! 7' is not a token in base64 and a rank"),
        (b"IQ==", "line 3: 'IQ==' is not a token in base64 and a rank"),
        (b"IQ== x", "line 3: 'IQ== x' is not a token in base64 and a rank"),
        (b"IQ== 1 2", "line 3: 'IQ== 1 2' is not a token in base64 and a rank"),
        (b"\xff\xfe 1", r"line 3: '\\xff\\xfe 1' is not a token in base64 and a rank"),
        (b"IQ== 900", "line 3: the token b'!' occurs twice"),
        (b"dGhleQ== 1", "line 3: "),
        (b"dGhleQ== -1", "line 3: "),
        (b"dGhleQ== 4294967296", "line 3: "),
    ],
)
def test_a_line_of_ranks_that_is_wrong_is_named(line: bytes, said: str, tmp_path: Path) -> None:
    """The third of a .tiktoken file."""
    (tmp_path / "a.tiktoken").write_bytes(b"\n".join([*LINES[:2], line, *LINES[2:]]))

    assert f"a.tiktoken: {said}" in refusal(tmp_path / "a.tiktoken", PytokError, pattern="gpt2")


def test_ranks_without_a_byte_are_refused(tmp_path: Path) -> None:
    """Some text could not be encoded."""
    (tmp_path / "a.tiktoken").write_bytes(b"\n".join(LINES[1:]))

    assert "0x21" in refusal(tmp_path / "a.tiktoken", FormatError, pattern="gpt2")


def test_ranks_without_a_pattern_are_refused(tmp_path: Path) -> None:
    """The file does not hold it."""
    TOKENIZER.save(tmp_path / "a.tiktoken")

    assert "say which, such as 'cl100k'" in refusal(tmp_path / "a.tiktoken")


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_half_a_folder_is_refused(missing: str, tmp_path: Path) -> None:
    """Both files are needed."""
    TOKENIZER.save(tmp_path / "folder")
    (tmp_path / "folder" / missing).unlink()

    assert f"the folder has no {missing}" in refusal(tmp_path / "folder")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("vocab.json", b"[]", "vocab.json: not an object of tokens and ids"),
        ("vocab.json", b'{"a": "1"}', "vocab.json: not an object of tokens and ids"),
        ("vocab.json", b"{", "vocab.json: line 1, column 2: not JSON"),
        ("merges.txt", b"t\xff", "merges.txt: byte 1 is not UTF-8"),
        ("merges.txt", b"#version: 0.2\nt h\nthe\n", "merges.txt: line 3 is 'the', not two tokens"),
        (
            "merges.txt",
            b"#version: 0.2\nt h\nx q\n",
            "merges.txt: line 3: 'xq' is not in the vocab",
        ),
        ("merges.txt", b"t h\nth e\n\xc4\xa0 the\nan d\na n\n", "merges"),
    ],
)
def test_a_folder_with_a_file_that_is_wrong_is_refused(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    """With the file of the two, and the line."""
    TOKENIZER.save(tmp_path)
    (tmp_path / name).write_bytes(content)

    assert said in refusal(tmp_path)


def test_a_folder_holds_no_pattern_but_gpt2s(tmp_path: Path) -> None:
    """Whoever reads it would split differently."""
    other = pytok.train(["the thesis"], 258, pattern="cl100k")

    with pytest.raises(FormatError, match=r"folder: .* another: save it as \.json"):
        other.save(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("name", ["a.txt", "a.model", "a.json.gz", "a.v2"])
def test_an_unknown_suffix_is_not_written(name: str, tmp_path: Path) -> None:
    """It says which there are."""
    with pytest.raises(FormatError, match=re.escape(name) + r": unknown format .*\.tiktoken"):
        TOKENIZER.save(tmp_path / name)


# ------------------------------------------------------------------------------------ mutations

SIMPLE = ["null", "true", "0", "-1", "8589934592", "1.5", "NaN", '""', '"x"', r'"\ud800"', '"("']
VALUES = st.sampled_from([*SIMPLE, "[]", "[[]]", "{}", '{"": 0}']).map(json.loads)


@given(data=st.data())
def test_a_mutated_json_loads_or_is_refused(
    data: st.DataObject, document: str, engine: EngineName, tmp_path: Path
) -> None:
    """Whatever is dropped or changed, and wherever."""
    changed = json.loads(document)
    for _ in range(data.draw(st.integers(1, 3))):
        holder = changed
        while True:
            keys = sorted(holder) if isinstance(holder, dict) else range(len(holder))
            assume(keys)
            key = data.draw(st.sampled_from(keys))
            if not holder[key] or not isinstance(holder[key], dict | list):
                break
            if data.draw(st.integers(0, 3)) == 0:
                break
            holder = holder[key]
        if data.draw(st.booleans()):
            del holder[key]
        else:
            holder[key] = data.draw(VALUES)
    (tmp_path / "a.json").write_text(json.dumps(changed))

    with contextlib.suppress(FormatError, VocabError, PatternError):
        pytok.load(tmp_path / "a.json", engine=engine)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "a.tiktoken"])
@given(at=st.integers(0, 2000), drop=st.integers(0, 50), new=st.binary(max_size=8))
def test_mutated_bytes_load_or_are_refused(
    name: str, at: int, drop: int, new: bytes, tmp_path: Path
) -> None:
    """Also where they are no longer text."""
    told = {"pattern": "gpt2"} if name == "a.tiktoken" else {}
    TOKENIZER.save(tmp_path / name if told else tmp_path)
    content = (tmp_path / name).read_bytes()
    at %= len(content)
    (tmp_path / name).write_bytes(content[:at] + new + content[at + drop :])

    with contextlib.suppress(FormatError, VocabError, PatternError):
        pytok.load(tmp_path / name if told else tmp_path, **told)  # type: ignore[arg-type]


# ------------------------------------------------------------------------- writes that do not end


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in *folder*, hidden ones too."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("name", ["a.json", "a.tiktoken", "folder"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    name: str, step: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, or Ctrl-C."""
    TOKENIZER.save(tmp_path / name)
    before = contents(tmp_path)

    def fail(*arguments: object, **options: object) -> NoReturn:
        raise error

    monkeypatch.setattr(os, step, fail)
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(type(error)):
        pytok.train(["banana bandana"], 258, pattern="gpt2").save(tmp_path / name)

    assert contents(tmp_path) == before


def test_a_folder_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up between the two files leaves both old ones."""
    TOKENIZER.save(tmp_path / "folder")
    before = contents(tmp_path)
    synced: list[int] = []

    def fail_the_second_time(handle: int) -> None:
        synced.append(handle)
        if len(synced) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail_the_second_time)
    with pytest.raises(OSError, match="No space left"):
        pytok.train(["banana bandana"], 258, pattern="gpt2").save(tmp_path / "folder")

    assert contents(tmp_path) == before


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """By the file that was asked for, not by the one written aside."""
    with pytest.raises(
        FormatError, match=r"none/a\.json: there is no folder .*none: make it first"
    ):
        TOKENIZER.save(tmp_path / "none" / "a.json")
