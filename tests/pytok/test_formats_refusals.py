"""Tokenizer files that raise errors, with the file and the line or field; writes that fail."""

import base64
import contextlib
import os
import re
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import FormatError, PatternError, PytokError, VocabError
from pytok.tokenizer import Tokenizer

TOKENS = [b"th", b"the", b" the", b"an", b"and"]
RANKS = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}
RANKS |= {token: 256 + index for index, token in enumerate(TOKENS)}
TOKENIZER = Tokenizer(
    "valid", pat_str="gpt2", mergeable_ranks=RANKS, special_tokens={"<|endoftext|>": 261}
)
LINES = [base64.b64encode(token) + b" %d" % id for token, id in RANKS.items()]


def error_of(path: Path, error: type[PytokError] = FormatError, **arguments: Any) -> str:
    """Return the message of loading *path*, after checking that it is one line and names it."""
    with pytest.raises(error) as caught:
        pytok.load(path, **arguments)
    message = caught.value.message
    assert message.startswith(f"{path}")
    assert "\n" not in message
    return message


# ------------------------------------------------------------------------ .tiktoken and folders


@pytest.mark.parametrize(
    ("line", "message"),
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
def test_a_malformed_line_of_ranks_is_reported(line: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.tiktoken").write_bytes(b"\n".join([*LINES[:2], line, *LINES[2:]]))

    assert f"a.tiktoken: {message}" in error_of(tmp_path / "a.tiktoken", PytokError, pattern="gpt2")


def test_ranks_that_lack_a_byte_are_said(engine: EngineName, tmp_path: Path) -> None:
    """Text with that byte cannot be encoded; other text can."""
    (tmp_path / "a.tiktoken").write_bytes(b"\n".join(LINES[1:]))
    with pytest.warns(UserWarning, match=r"lacks 1 of the 256 bytes, such as 0x21"):
        loaded = pytok.load(tmp_path / "a.tiktoken", pattern="gpt2", engine=engine)

    assert loaded.encode("the") == [257]
    with pytest.raises(VocabError, match="0x21"):
        loaded.encode("the!")


def test_ranks_without_a_pattern_are_an_error(tmp_path: Path) -> None:
    """A .tiktoken file does not contain the pattern."""
    TOKENIZER.save(tmp_path / "a.tiktoken")

    assert "pass it, for example 'cl100k'" in error_of(tmp_path / "a.tiktoken")


def two_files(folder: Path) -> None:
    """Write vocab.json and merges.txt alone, as OpenAI did."""
    TOKENIZER.save(folder)
    for other in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / other).unlink()


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_a_folder_with_one_of_two_files_is_an_error(missing: str, tmp_path: Path) -> None:
    """Both vocab.json and merges.txt are required."""
    two_files(tmp_path)
    (tmp_path / missing).unlink()

    assert f"the folder has no {missing}" in error_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
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
        ("merges.txt", b"t h\nth e\n\xc4\xa0 the\na nd\na n\n", "not in the vocab"),
        (
            "merges.txt",
            b"t h\nh e\nt he\n\xc4\xa0 the\na n\nan d\n",
            "'he' is not in the vocab",
        ),
    ],
)
def test_a_malformed_file_of_a_folder_is_reported(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    """The message names the file and the line."""
    two_files(tmp_path)
    (tmp_path / name).write_bytes(content)

    assert message in error_of(tmp_path)


def test_two_files_of_another_tokenizer_are_not_left_in_a_folder(tmp_path: Path) -> None:
    """They are replaced, or nothing is."""
    TOKENIZER.save(tmp_path / "folder")
    other = pytok.train(["the thesis"], 258, pattern="cl100k")
    other.save(tmp_path / "folder")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "folder" / name).unlink()
    loaded = pytok.load(tmp_path / "folder", pattern="cl100k")
    assert loaded.fingerprint == other.fingerprint

    before = contents(tmp_path)
    unmerged = Tokenizer(
        "a", pat_str="gpt2", mergeable_ranks=RANKS | {b"zyzzyva": 261}, special_tokens={}
    )
    with pytest.raises(FormatError, match=r"vocab\.json and merges\.txt of .* another folder"):
        unmerged.save(tmp_path / "folder")
    assert contents(tmp_path) == before


def test_a_special_token_that_stands_for_another_piece_is_an_error(tmp_path: Path) -> None:
    """With `ignore_merges`, Hugging Face's tokenizers would encode that piece as its id."""
    ranks = RANKS | {b"zyzzyva": 261}
    special = {"Ġhi": 262}
    unmerged = Tokenizer("a", pat_str="gpt2", mergeable_ranks=ranks, special_tokens=special)

    with pytest.raises(FormatError, match=r"'Ġhi' also stands for b' hi' .* save it as \.tiktoken"):
        unmerged.save(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["a.txt", "a.model", "a.json.gz", "a.v2"])
def test_an_unknown_suffix_is_an_error(name: str, tmp_path: Path) -> None:
    """The message lists the known formats."""
    with pytest.raises(FormatError, match=re.escape(name) + r": unknown format .*\.tiktoken"):
        TOKENIZER.save(tmp_path / name)


# ------------------------------------------------------------------------------------ mutations


@pytest.mark.filterwarnings("ignore:.* lacks")
@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "a.tiktoken"])
@given(at=st.integers(0, 2000), drop=st.integers(0, 50), new=st.binary(max_size=8))
def test_mutated_bytes_load_or_raise_a_known_error(
    name: str, at: int, drop: int, new: bytes, tmp_path: Path
) -> None:
    """They can be invalid UTF-8."""
    arguments = {"pattern": "gpt2"}
    if name == "a.tiktoken":
        TOKENIZER.save(tmp_path / name)
    else:
        two_files(tmp_path)
    content = (tmp_path / name).read_bytes()
    at %= len(content)
    (tmp_path / name).write_bytes(content[:at] + new + content[at + drop :])

    path = tmp_path / name if name == "a.tiktoken" else tmp_path
    with contextlib.suppress(FormatError, VocabError, PatternError):
        pytok.load(path, **arguments)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------ interrupted writes


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file in *folder*, including hidden files."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("name", ["a.json", "a.tiktoken", "folder"])
def test_a_failed_write_keeps_the_old_file_and_no_other(
    name: str, step: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, or Ctrl-C is pressed."""
    TOKENIZER.save(tmp_path / name)
    before = contents(tmp_path)

    def fail(*arguments: object, **options: object) -> NoReturn:
        raise error

    monkeypatch.setattr(os, step, fail)
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(type(error)):
        pytok.train(["banana bandana"], 258, pattern="gpt2").save(tmp_path / name)

    assert contents(tmp_path) == before


def test_a_folder_is_written_completely_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk fills up between the two files, both old files stay."""
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


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    """The message has the given path, not that of the temporary file."""
    with pytest.raises(
        FormatError, match=r"none/a\.json: the folder .*none does not exist; create it first"
    ):
        TOKENIZER.save(tmp_path / "none" / "a.json")
