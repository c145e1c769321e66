"""Tokenizer files that are refused, with the file and the place in it, and writes that fail."""

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
from pytok.errors import FormatError, PatternError, PytokError, VocabError
from pytok.tokenizer import Tokenizer

TOKENS = [b"th", b"the", b" the", b"an", b"and"]
RANKS = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}
RANKS |= {token: 256 + place for place, token in enumerate(TOKENS)}
TOKENIZER = Tokenizer(
    "valid", pat_str="gpt2", mergeable_ranks=RANKS, special_tokens={"<|endoftext|>": 261}
)
LINES = [base64.b64encode(token) + b" %d" % id for token, id in RANKS.items()]


def refusal(path: Path, error: type[PytokError] = FormatError, **told: Any) -> str:
    """The message with which *path* is refused, which names it and is one line."""
    with pytest.raises(error) as caught:
        pytok.load(path, **told)
    message = caught.value.message
    assert message.startswith(f"{path}")
    assert "\n" not in message
    return message


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
        ("merges.txt", b"t h\nth e\n\xc4\xa0 the\na nd\na n\n", "not in the vocab"),
        (
            "merges.txt",
            b"t h\nh e\nt he\n\xc4\xa0 the\na n\nan d\n",
            "'he' is not in the vocab",
        ),
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


def test_a_special_token_that_spells_a_whole_piece_is_refused(tmp_path: Path) -> None:
    """With `ignore_merges` Hugging Face would give its id to the piece."""
    ranks = RANKS | {b"zyzzyva": 261}
    special = {"Ġhi": 262}
    unmade = Tokenizer("a", pat_str="gpt2", mergeable_ranks=ranks, special_tokens=special)

    with pytest.raises(FormatError, match=r"'Ġhi' spells b' hi', too, .* save it as \.tiktoken"):
        unmade.save(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["a.txt", "a.model", "a.json.gz", "a.v2"])
def test_an_unknown_suffix_is_not_written(name: str, tmp_path: Path) -> None:
    """It says which there are."""
    with pytest.raises(FormatError, match=re.escape(name) + r": unknown format .*\.tiktoken"):
        TOKENIZER.save(tmp_path / name)


# ------------------------------------------------------------------------------------ mutations


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
