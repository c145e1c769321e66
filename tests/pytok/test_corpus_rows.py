"""Rows of JSON lines and parquet: nested fields, lists, binary columns, rows without text.

The same rows are written in both formats, by json and by pyarrow.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet
import pytest

import pytok
from pytok.corpus import SkippedWarning, read_documents, read_utf8
from pytok.engine import EngineName
from pytok.errors import CorpusError

Row = dict[str, Any]


def write_jsonl(folder: Path, rows: Sequence[Row]) -> Path:
    path = folder / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def write_parquet(folder: Path, rows: Sequence[Row]) -> Path:
    path = folder / "a.parquet"
    arrow.parquet.write_table(arrow.Table.from_pylist(list(rows)), path, row_group_size=2)
    return path


WRITERS = [write_jsonl, write_parquet]

CHATS: list[Row] = [
    {
        "id": 1,
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello\nyou"},
        ],
        "meta": {"source": {"url": "x", "text": "deep"}},
        "a.b": "dotted",
        "a": {"b": "nested"},
        "tags": ["one", "two"],
    },
    {
        "id": 2,
        "messages": [{"role": "user", "content": "東京"}],
        "meta": {"source": {"url": "y", "text": "deeper"}},
        "a.b": "dotted too",
        "a": {"b": "nested"},
        "tags": ["three"],
    },
]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    ("field", "documents"),
    [
        ("messages.content", ["Hi\nHello\nyou", "東京"]),
        ("messages.role", ["user\nassistant", "user"]),
        ("meta.source.text", ["deep", "deeper"]),
        ("a.b", ["dotted", "dotted too"]),
        ("tags", ["one\ntwo", "three"]),
    ],
)
def test_a_nested_field_is_a_document_of_each_row(
    write: Callable[[Path, Sequence[Row]], Path], field: str, documents: list[str], tmp_path: Path
) -> None:
    """Dots walk into objects, lists are joined, and a name with dots has precedence."""
    path = write(tmp_path, CHATS)

    assert list(read_documents(path, field=field)) == documents
    assert [part.text.decode() for part in read_utf8(path, field=field)] == documents


GAPS: list[Row] = [{"text": "hello"}, {"text": None}, {"id": 3}, {"text": "world"}, {"text": ""}]


@pytest.mark.parametrize("write", WRITERS)
def test_rows_without_text_are_skipped_and_counted_on_request(
    write: Callable[[Path, Sequence[Row]], Path], tmp_path: Path
) -> None:
    """The field is null or absent; an empty text is text."""
    path = write(tmp_path, GAPS)

    with pytest.warns(SkippedWarning, match="skipped 2 of 5 rows without text") as caught:
        assert list(read_documents(path, missing="skip")) == ["hello", "world"]
    assert [warning.message.skipped.empty_rows for warning in caught] == [2]  # type: ignore[union-attr]


@pytest.mark.parametrize("write", WRITERS)
def test_a_row_without_text_is_an_error_that_names_the_option(
    write: Callable[[Path, Sequence[Row]], Path], tmp_path: Path
) -> None:
    """By default."""
    path = write(tmp_path, GAPS)

    with pytest.raises(CorpusError, match=r"(line|row) 2: .* is null.*\(--missing skip\)"):
        list(read_documents(path))


def test_an_absent_field_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    """With the fields that there are."""
    path = write_jsonl(tmp_path, [{"id": 3}])

    with pytest.raises(CorpusError, match=r"line 1: no field 'text'; .*'id'; .*--missing skip"):
        list(read_documents(path))


NULLS: list[Row] = [
    {"messages": [{"content": "a"}, {"content": None}, {"content": "b"}]},
    {"messages": [{"content": None}]},
    {"messages": None},
    {"messages": []},
    {"messages": [{"content": "c"}]},
]


@pytest.mark.parametrize("write", WRITERS)
def test_elements_without_text_are_skipped_and_counted(
    write: Callable[[Path, Sequence[Row]], Path], tmp_path: Path
) -> None:
    """A row is skipped if none of its elements has text."""
    path = write(tmp_path, NULLS)

    message = "skipped 2 of 5 rows without text, 1 element without text in lists"
    with pytest.warns(SkippedWarning, match=message):
        found = list(read_documents(path, field="messages.content", missing="skip"))
    assert found == ["a\nb", "c"]


@pytest.mark.parametrize("kind", [arrow.binary(), arrow.large_binary(), arrow.binary(5)])
def test_a_binary_column_is_read_as_utf8(kind: arrow.DataType, tmp_path: Path) -> None:
    """Web corpora have such columns."""
    column = arrow.array([b"hello", "naïf".encode()], kind)
    arrow.parquet.write_table(arrow.table({"text": column}), tmp_path / "a.parquet")

    assert list(read_documents(tmp_path)) == ["hello", "naïf"]


def test_invalid_utf8_in_a_list_is_rejected_or_replaced(tmp_path: Path) -> None:
    """As everywhere."""
    column = arrow.array([[b"ok", b"a\xff"]], arrow.list_(arrow.binary()))
    arrow.parquet.write_table(arrow.table({"text": column}), tmp_path / "a.parquet")

    with pytest.raises(CorpusError, match=r"row 1: byte 1 is not UTF-8"):
        list(read_documents(tmp_path))
    assert list(read_documents(tmp_path, errors="replace")) == ["ok\na\ufffd"]


@pytest.mark.parametrize(
    "kind",
    [
        arrow.list_(arrow.string()),
        arrow.large_list(arrow.large_string()),
        arrow.list_(arrow.string(), 2),
        arrow.list_(arrow.dictionary(arrow.int32(), arrow.string())),
    ],
)
def test_every_kind_of_list_is_read(kind: arrow.DataType, tmp_path: Path) -> None:
    """Between columns of other types, of which some are nested."""
    table = arrow.table(
        {
            "before": arrow.array([[{"a": 1, "b": [2]}], []]),
            "map": arrow.array([[("k", 1)], []], arrow.map_(arrow.string(), arrow.int64())),
            "texts": arrow.array([["a", "b"], ["c", "d"]]).cast(kind),
            "after": [1, 2],
        }
    )
    arrow.parquet.write_table(table, tmp_path / "a.parquet")

    assert list(read_documents(tmp_path, field="texts")) == ["a\nb", "c\nd"]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("messages.text", "no field 'messages.text'; the fields are 'role', 'content'"),
        ("message.content", "no field 'message.content'; the fields are 'id', 'messages'"),
        ("messages", "'messages' is (dict|list<.*>|struct<.*>), not"),
        ("id.content", "field 'id.content'.*int.*|column 'id.content' is int64, not a struct"),
    ],
)
def test_a_field_that_is_not_text_is_an_error(
    write: Callable[[Path, Sequence[Row]], Path], field: str, message: str, tmp_path: Path
) -> None:
    """With the fields of the object in which it is missing."""
    path = write(tmp_path, CHATS)

    with pytest.raises(CorpusError, match=message):
        list(read_documents(path, field=field))


def test_deep_lists_are_an_error_of_one_line(tmp_path: Path) -> None:
    """Not a RecursionError."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": ' + "[" * 900 + "]" * 900 + "}")

    with pytest.raises(CorpusError, match=r"line 1|recursion"):
        list(read_documents(path, field="text.x"))


def test_training_reports_what_it_skipped(tmp_path: Path, engine: EngineName) -> None:
    """And is the same as without those rows."""
    path = write_jsonl(tmp_path, GAPS)

    with pytest.warns(SkippedWarning, match="skipped 2 of 5 rows without text"):
        tokenizer = pytok.train(path, 259, missing="skip", engine=engine)
    expected = pytok.train(["hello", "world"], 259, engine=engine)

    assert tokenizer.fingerprint == expected.fingerprint
