"""Errors of corpora: the file, the line or byte, and what to do about it."""

import bz2
import gzip
import lzma
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet
import pytest
import zstandard

from pytok.corpus import read_documents, read_parts, resolve
from pytok.distribution import install
from pytok.errors import CorpusError


@pytest.mark.parametrize("source", ["missing.txt", "*.none", "", "a\0b", "x" * 5000, "folder"])
def test_a_source_without_files_is_rejected_by_name(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the call itself, before anything is read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()

    with pytest.raises(CorpusError, match=re.escape(source[:200]) + r"(\.\.\.)?: "):
        read_parts(source)


def test_an_empty_list_of_sources_is_rejected() -> None:
    """It is an error of the caller."""
    with pytest.raises(CorpusError, match="names no file"):
        resolve([])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "x"', r"a\.jsonl, line 3, column 13: not JSON"),
        (b'["x"]', "line 3: not a JSON object"),
        (b'{"body": "x", "id": 1}', "line 3: no field 'text'; the fields are 'body', 'id'"),
        (b"{}", "line 3: no field 'text'; the fields are none"),
        (b'{"text": null}', "line 3: field 'text' is null, not a string"),
        (b'{"text": 3}', "line 3: field 'text' is int, not a string"),
        (rb'{"text": "a\ud800"}', r"line 3: field 'text' contains a lone surrogate \(\\ud800\)"),
        (b'{"text": "a\xff"}', r"line 3: byte 28 is not UTF-8 \(0xff\)"),
        (b'{"text": ' + b"[" * 10**6, "line 3"),
        (b'{"id": ' + b"9" * 10**4 + b', "text": 0}', "line 3"),
    ],
)
def test_an_invalid_line_is_reported_by_its_number(
    line: bytes, message: str, tmp_path: Path
) -> None:
    """Blank lines are counted."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "one"}\n\n' + line + b"\n")

    with pytest.raises(CorpusError, match=message):
        list(read_parts(path))


def test_lone_surrogates_can_be_replaced(tmp_path: Path) -> None:
    """Each by one U+FFFD; a pair is a character."""
    path = tmp_path / "a.jsonl"
    path.write_text(r'{"text": "a\ud800b\udc00\ud83d\ude00"}')

    assert list(read_documents(path, errors="replace")) == ["a\ufffdb\ufffd\U0001f600"]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (arrow.array(["a", None]), "row 2: column 'text' is null"),
        (arrow.array([1, 2]), "column 'text' is int64, not string"),
        (arrow.array([[1]]), "column 'text' is int64, not string"),
        (arrow.array([{"a": "x"}]), "column 'text' is struct<a: string>, not string"),
        (arrow.array([["a"], ["b", None]]), "row 2: column 'text' is null"),
    ],
)
def test_an_invalid_column_is_reported(column: arrow.Array, message: str, tmp_path: Path) -> None:
    """With the row, or the type of the column."""
    arrow.parquet.write_table(arrow.table({"text": column}), tmp_path / "a.parquet")

    with pytest.raises(CorpusError, match=message):
        list(read_parts(tmp_path / "a.parquet"))


def test_a_missing_column_is_reported_with_the_existing_ones(tmp_path: Path) -> None:
    """The message lists the columns."""
    arrow.parquet.write_table(arrow.table({"body": ["x"]}), tmp_path / "a.parquet")

    with pytest.raises(CorpusError, match=r"a\.parquet: no field 'text'; the fields are 'body'"):
        list(read_parts(tmp_path / "a.parquet"))


def test_invalid_utf8_in_a_column_is_rejected_or_replaced(tmp_path: Path) -> None:
    """Arrow itself does not check."""
    buffers = arrow.array([b"ok", b"a\xff"], arrow.binary()).buffers()
    column = arrow.Array.from_buffers(arrow.string(), 2, buffers)
    arrow.parquet.write_table(arrow.table({"text": column}), tmp_path / "a.parquet")

    with pytest.raises(CorpusError, match=r"row 2: byte 1 is not UTF-8 \(0xff\)"):
        list(read_parts(tmp_path / "a.parquet"))
    assert list(read_documents(tmp_path, errors="replace")) == ["ok", "a\ufffd"]


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}


@pytest.mark.parametrize("compression", PACK)
@pytest.mark.parametrize("damage", ["truncated", "followed by junk", "not packed at all", "empty"])
def test_a_damaged_archive_is_rejected(compression: str, damage: str, tmp_path: Path) -> None:
    """A truncated file is never read as a short one."""
    if damage == "empty" and compression in (".gz", ".zst"):
        return  # both are empty files for gzip and zstd, too
    packed = PACK[compression](b"some text " * 1000)
    path = tmp_path / f"a.txt{compression}"
    damaged = {"truncated": packed[:-5], "followed by junk": packed + b"junk", "empty": b""}
    path.write_bytes(damaged.get(damage, b"plain text"))

    with pytest.raises(CorpusError, match=f"{re.escape(path.name)}: cannot be read"):
        list(read_parts(path))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all"])
def test_a_damaged_parquet_file_is_rejected(content: bytes, tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "a.parquet").write_bytes(content)

    with pytest.raises(CorpusError, match=r"a\.parquet: cannot be read"):
        list(read_parts(tmp_path))


def test_compressed_parquet_files_are_rejected(tmp_path: Path) -> None:
    """Parquet is read from its end, which a stream does not have."""
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(b"x"))

    with pytest.raises(CorpusError, match="decompress the file"):
        list(read_parts(tmp_path))


@pytest.mark.parametrize(
    ("name", "library"), [("a.parquet", "pyarrow"), ("a.txt.zst", "zstandard")]
)
def test_a_missing_library_is_reported(
    name: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the extra that installs it."""
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(CorpusError, match=re.escape(f"needs {library}: {install('data')}")):
        list(read_parts(tmp_path))


@pytest.mark.parametrize("argument", [{"errors": "ignore"}, {"separator": ""}])
def test_an_invalid_argument_is_rejected_by_the_call(
    argument: dict[str, str], tmp_path: Path
) -> None:
    """Before a file is opened."""
    with pytest.raises(CorpusError, match="pass "):
        read_parts(tmp_path, **argument)  # type: ignore[arg-type]
