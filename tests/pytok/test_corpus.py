"""Reading corpora: every format, and every boundary of blocks, parts and documents.

The oracles are the writers of other libraries (gzip, zstandard, json, pyarrow) and
``bytes.decode``.
"""

import bz2
import gzip
import json
import lzma
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytok import blocks
from pytok.corpus import Part, read_documents, read_parts, read_utf8, resolve, size
from pytok.corpus import parts as corpus_parts
from pytok.counting import count_pieces
from pytok.engine import EngineName
from pytok.errors import CorpusError
from pytok.patterns import PATTERNS
from pytok.reference.pretokenize import Pattern

DOCUMENTS = ["One day\r\nI saw", "naïve – 東京 \U0001f600", "\ufeff mark\n\n", " ", "end"]
SEPARATOR = "<|endoftext|>"

one_file = settings(
    deadline=None,  # the first example compiles the patterns
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each overwrites the same file
)


def write_text(path: Path, documents: Iterable[str]) -> None:
    path.write_bytes(SEPARATOR.join(documents).encode())


def write_jsonl(path: Path, documents: Iterable[str]) -> None:
    lines = (json.dumps({"id": 1, "text": document}) for document in documents)
    path.write_text("\n".join(lines), encoding="utf-8")


def write_ndjson(path: Path, documents: Iterable[str]) -> None:
    lines = (json.dumps({"text": each}, ensure_ascii=False) + "\r\n\n" for each in documents)
    path.write_bytes("".join(lines).encode())


def write_parquet(path: Path, documents: Iterable[str]) -> None:
    table = arrow.table({"id": list(range(len(DOCUMENTS))), "text": list(documents)})
    arrow.parquet.write_table(table, path, row_group_size=2)


def write_dictionary(path: Path, documents: Iterable[str]) -> None:
    column = arrow.array(list(documents)).dictionary_encode()
    arrow.parquet.write_table(arrow.table({"text": column}), path)


FORMATS = {
    "a.txt": write_text,
    "a.md": write_text,
    "a.JSONL": write_jsonl,
    "a.ndjson": write_ndjson,
    "a.parquet": write_parquet,
    "dictionary.parquet": write_dictionary,
}


def two_members(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda content: pack(content[:7]) + pack(content[7:])


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": two_members(gzip.compress),
    ".zst": two_members(lambda content: zstandard.ZstdCompressor().compress(content)),
    ".xz": two_members(lambda content: lzma.compress(content) + b"\0" * 8),
    ".bz2": two_members(bz2.compress),
}


def join(parts: Iterable[Part[str]]) -> list[str]:
    """Join parts to documents, and assert that the last one is complete."""
    documents = [""]
    for part in parts:
        documents[-1] += part.text
        if part.ends_document:
            documents.append("")
    assert documents.pop() == ""
    return documents


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 3 bytes and parts of 8 characters, so that every boundary occurs."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 3)
    monkeypatch.setattr("pytok.corpus.parts.PART_CHARACTERS", 8)


# Formats.


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("blocks", ["large", "small"])
def test_a_format_reads_the_documents_that_were_written(
    name: str, blocks: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """With the same newlines and byte order marks."""
    if blocks == "small":
        request.getfixturevalue("small_blocks")
    FORMATS[name](tmp_path / name, DOCUMENTS)

    assert list(read_documents(tmp_path / name, separator=SEPARATOR)) == DOCUMENTS


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", ["a.txt", "a.ndjson"])
def test_a_compressed_file_reads_as_the_file_itself(
    name: str, compression: str, tmp_path: Path
) -> None:
    """Several gzip members, or zstd frames, are one file, as in gzip and zstd."""
    plain = tmp_path / name
    FORMATS[name](plain, DOCUMENTS)
    compressed = tmp_path / (name + compression)
    compressed.write_bytes(COMPRESSIONS[compression](plain.read_bytes()))

    assert list(read_parts(compressed))[-1].text == list(read_parts(plain))[-1].text
    assert list(read_documents(compressed)) == list(read_documents(plain))


def test_a_text_file_is_one_document_without_a_separator(tmp_path: Path) -> None:
    """Without the argument, the separator is ordinary text."""
    path = tmp_path / "a.txt"
    write_text(path, DOCUMENTS)

    assert list(read_documents(path)) == [SEPARATOR.join(DOCUMENTS)]


def test_empty_documents_are_skipped(tmp_path: Path) -> None:
    """In every format."""
    write_jsonl(tmp_path / "a.jsonl", ["", "one", "", "two", ""])
    write_text(tmp_path / "b.txt", ["", "one", "", "two", ""])
    (tmp_path / "c.txt").touch()

    assert list(read_documents(tmp_path, separator=SEPARATOR)) == ["one", "two"] * 2


def test_a_byte_order_mark_before_json_lines_is_ignored(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n', encoding="utf-8-sig")

    assert list(read_documents(tmp_path / "a.jsonl")) == ["one"]


def test_a_field_can_be_named(tmp_path: Path) -> None:
    """A field of jsonl, a column of parquet."""
    (tmp_path / "a.jsonl").write_text('{"body": "one", "text": 2}')
    arrow.parquet.write_table(arrow.table({"body": ["two"]}), tmp_path / "b.parquet")

    assert list(read_documents(tmp_path, field="body")) == ["one", "two"]


# Parts.

texts = st.text(st.sampled_from(list("ab \n\r/é東\U0001f600<|>")), max_size=80)


@one_file
@given(text=texts)
def test_parts_concatenate_to_the_text(text: str, tmp_path: Path, small_blocks: None) -> None:
    """No text is lost or repeated at the ends of blocks, characters and parts."""
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())

    assert join(read_parts(path)) == ([text] if text else [])


@one_file
@given(text=texts)
@pytest.mark.parametrize("name", PATTERNS)
def test_no_piece_crosses_the_end_of_a_part(
    text: str, name: str, tmp_path: Path, small_blocks: None
) -> None:
    """The pieces of the parts are the pieces of the text."""
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    pattern = Pattern(name)

    pieces = [piece for part in read_parts(path) for piece in pattern.split(part.text)]

    assert pieces == pattern.split(text)


@pytest.mark.parametrize("separator", [None, SEPARATOR])
@pytest.mark.parametrize("compression", ["", *COMPRESSIONS])
@pytest.mark.parametrize("name", FORMATS)
def test_documents_in_utf8_are_those_in_strings(
    name: str, compression: str, separator: str | None, tmp_path: Path, small_blocks: None
) -> None:
    """In every format, compressed or not."""
    if compression and name.endswith(".parquet"):
        return
    FORMATS[name](tmp_path / name, DOCUMENTS)
    path = tmp_path / (name + compression)
    path.write_bytes(COMPRESSIONS.get(compression, bytes)((tmp_path / name).read_bytes()))

    parts = list(read_utf8(path, separator=separator))

    in_strings = [Part(part.text.decode(), part.ends_document, part.read) for part in parts]
    assert join(in_strings) == list(read_documents(path, separator=separator))


@one_file
@given(text=texts)
@pytest.mark.parametrize("name", PATTERNS)
def test_no_piece_crosses_the_end_of_a_part_in_utf8(
    text: str, name: str, tmp_path: Path, small_blocks: None
) -> None:
    """Nor does a character, although blocks end inside characters."""
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    pattern = Pattern(name)

    pieces = [piece for part in read_utf8(path) for piece in pattern.split(part.text.decode())]

    assert pieces == pattern.split(text)


def test_a_text_file_in_utf8_is_not_checked(tmp_path: Path) -> None:
    """The caller checks it; with ``errors="replace"`` it is valid."""
    (tmp_path / "a.txt").write_bytes(b"one\n\xff")

    assert [part.text for part in read_utf8(tmp_path)] == [b"one\n\xff"]
    replaced = [part.text for part in read_utf8(tmp_path, errors="replace")]
    assert replaced == ["one\n\ufffd".encode()]


@one_file
@given(text=texts, separator=st.sampled_from(["<|>", "aa", "\n", "é東", "<" * 9]))
def test_a_separator_is_found_across_blocks(
    text: str, separator: str, tmp_path: Path, small_blocks: None
) -> None:
    """As ``str.split`` finds it in the complete text."""
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())

    documents = join(read_parts(path, separator=separator))

    assert documents == [document for document in text.split(separator) if document]


@one_file
@given(content=st.binary(max_size=40) | st.text(max_size=9).map(lambda text: text.encode()[1:-1]))
def test_invalid_bytes_are_replaced_as_in_the_complete_file(
    content: bytes, tmp_path: Path, small_blocks: None
) -> None:
    """The number of U+FFFD for an invalid sequence does not depend on blocks."""
    path = tmp_path / "a.txt"
    path.write_bytes(content)

    documents = read_documents(path, errors="replace", format="text")

    assert "".join(documents) == content.decode("utf-8", "replace")


@one_file
@given(content=st.binary(max_size=40))
def test_the_invalid_byte_is_the_one_that_a_decoder_reports(
    content: bytes, tmp_path: Path, small_blocks: None
) -> None:
    """Its offset is counted from the start of the file, across blocks."""
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        where = f"byte {error.start} is not UTF-8 (0x{content[error.start]:02x})"
        with pytest.raises(CorpusError, match=re.escape(where)):
            list(read_parts(path, format="text"))
    else:
        assert join(read_parts(path, format="text")) == ([content.decode()] if content else [])


def test_parts_stay_near_their_size(tmp_path: Path) -> None:
    """A long document has many parts, none of them much longer than the constant."""
    path = tmp_path / "a.txt"
    path.write_text("All the world's a stage\n" * 200_000)

    lengths = [len(part.text) for part in read_parts(path)]

    assert len(lengths) > 3
    assert max(lengths) < 2 * corpus_parts.PART_CHARACTERS


def test_a_text_that_cannot_be_cut_is_one_part(tmp_path: Path, small_blocks: None) -> None:
    """Even if it is much longer than a part."""
    path = tmp_path / "a.txt"
    path.write_text("a" * 100)

    assert [part.text for part in read_parts(path)] == ["a" * 100]


def test_cutting_can_be_disabled(tmp_path: Path, small_blocks: None) -> None:
    """For custom patterns, which need every document in one part."""
    path = tmp_path / "a.txt"
    path.write_text("one\n" * 100)

    assert [part.text for part in read_parts(path, cut=False)] == ["one\n" * 100]


@pytest.mark.parametrize("separator", [None, SEPARATOR])
@pytest.mark.parametrize("read", [read_parts, read_utf8])
def test_bytes_read_sum_to_the_size_on_disk(
    read: Callable[..., Iterable[Part[Any]]],
    separator: str | None,
    tmp_path: Path,
    small_blocks: None,
) -> None:
    """With plain, compressed and empty files, and blank lines after the last document."""
    for name, write in FORMATS.items():
        write(tmp_path / name, DOCUMENTS)
    (tmp_path / "blank.jsonl").write_text('{"text": "x"}\n\n\n\n\n\n\n\n\n')
    (tmp_path / "zz.txt.gz").write_bytes(gzip.compress(b""))
    for suffix, pack in COMPRESSIONS.items():
        (tmp_path / f"compressed.txt{suffix}").write_bytes(pack(b"one\ntwo\n" * 99))
    paths = resolve(tmp_path)

    reads = [part.read for part in read(tmp_path, separator=separator)]

    assert sum(reads) == size(paths) == sum(path.stat().st_size for path in paths)
    assert min(reads) >= 0


# Paths.


def test_a_folder_stands_for_its_visible_files_in_order(tmp_path: Path) -> None:
    """Recursively; names that start with a dot are skipped."""
    for name in ("b.txt", "a/z.txt", "a/b/c", ".hidden", ".git/config"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)

    assert resolve(tmp_path) == [tmp_path / name for name in ("a/b/c", "a/z.txt", "b.txt")]


def test_a_pattern_stands_for_its_matches_once(tmp_path: Path) -> None:
    """``**`` matches folders and the files in them; no file is read twice."""
    (tmp_path / "a").mkdir()
    for name in ("a/x.txt", "y.txt", "z.md"):
        (tmp_path / name).write_text(name)

    assert resolve(f"{tmp_path}/**") == [tmp_path / name for name in ("a/x.txt", "y.txt", "z.md")]
    assert resolve(f"{tmp_path}/**/*.txt") == [tmp_path / "a/x.txt", tmp_path / "y.txt"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    """An existing file takes precedence."""
    (tmp_path / "a[1].txt").touch()

    assert resolve(tmp_path / "a[1].txt") == [tmp_path / "a[1].txt"]


def test_several_sources_are_read_in_their_order(tmp_path: Path) -> None:
    """A file that is named twice is read twice."""
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("one")
    second.write_text("two")

    assert list(read_documents([second, str(first), second])) == ["two", "one", "two"]


@pytest.mark.parametrize("read", [read_parts, read_utf8])
def test_a_text_without_newlines_is_cut_between_words(
    read: Callable[..., Iterable[Part[Any]]], tmp_path: Path
) -> None:
    """Else memory would grow with it: text8 is a line of 100 MB."""
    path = tmp_path / "a.txt"
    path.write_text("a line of words, one after another, in Россия и мире " * 100_000)

    lengths = [len(part.text) for part in read(path)]

    assert len(lengths) > 3
    assert max(lengths) < 2 * corpus_parts.PART_CHARACTERS


@one_file
@given(text=st.text(st.sampled_from(list("ab  \u0301'sé東1<Z")), max_size=80))
@pytest.mark.parametrize("name", PATTERNS)
def test_no_piece_crosses_a_cut_between_words(
    text: str, name: str, tmp_path: Path, small_blocks: None
) -> None:
    """In texts without any newline."""
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    pattern = Pattern(name)

    for parts in (
        [part.text for part in read_parts(path)],
        [part.text.decode() for part in read_utf8(path)],
    ):
        assert [piece for part in parts for piece in pattern.split(part)] == pattern.split(text)


@pytest.mark.parametrize("token", ["b c", "b ", "b\n", "<|x y|>"])
def test_special_tokens_across_a_cut_are_found(
    token: str, tmp_path: Path, small_blocks: None, engine: EngineName
) -> None:
    """A text is not cut where a special token can be."""
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [f"a{token}c d " * 30])

    counts = count_pieces(path, special_tokens=[token], engine=engine)
    expected = count_pieces([f"a{token}c d " * 30], special_tokens=[token], engine=engine)

    assert sorted(counts.items()) == sorted(expected.items())
