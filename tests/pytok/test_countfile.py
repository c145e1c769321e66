"""Files of counted pieces: saved and loaded unchanged; other files raise errors."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pytok
from pytok.counting import Amount, Saved
from pytok.engine import EngineName
from pytok.errors import CorpusError, FormatError, TrainingError
from tests.conftest import CORPUS

DESCRIPTION = {"version": 1, "pattern": r"\w+", "special_tokens": []}


def write(
    path: Path, pieces: list[bytes | None], counts: list[int], description: object = DESCRIPTION
) -> None:
    """Write a file of counts with pyarrow alone."""
    table = pa.table(
        {"piece": pa.array(pieces, pa.binary()), "count": pa.array(counts, pa.uint64())}
    )
    pq.write_table(table.replace_schema_metadata({"pytok": json.dumps(description)}), path)


def test_saved_counts_are_loaded_unchanged(engine: EngineName, tmp_path: Path) -> None:
    path = tmp_path / "counts.parquet"
    counts = pytok.count_pieces(CORPUS, pattern="o200k", special_tokens=["<|x|>"], engine=engine)

    saved = counts.save(path)
    loaded = pytok.PieceCounts.load(path, engine=engine)

    assert dict(loaded.items()) == dict(counts.items())
    assert loaded.splitting == counts.splitting
    total = sum(count for _, count in counts.items())
    assert saved == Saved(Amount(len(counts), total), Amount(0, 0))


def test_files_are_added_up(engine: EngineName, tmp_path: Path) -> None:
    """Training on the sum gives the tokenizer of the complete corpus."""
    for number, text in enumerate(CORPUS):
        counts = pytok.count_pieces([text], engine=engine)
        counts.save(tmp_path / f"{number}.parquet")

    counts = pytok.PieceCounts.load(str(tmp_path / "*.parquet"), engine=engine)
    trained = pytok.train(counts, 500, engine=engine)

    assert trained.fingerprint == pytok.train(CORPUS, 500).fingerprint


def test_rare_pieces_can_be_omitted(engine: EngineName, tmp_path: Path) -> None:
    """The counts in memory keep them."""
    path = tmp_path / "counts.parquet"
    counts = pytok.count_pieces(["a a a b"], engine=engine)

    saved = counts.save(path, prune=2)

    assert saved == Saved(written=Amount(1, 2), dropped=Amount(2, 2))
    assert dict(pytok.PieceCounts.load(path).items()) == {b" a": 2}
    assert len(counts) == 3


def test_a_failed_write_creates_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No temporary file stays."""
    counts = pytok.count_pieces(CORPUS)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)

    with pytest.raises(OSError, match="No space left"):
        counts.save(tmp_path / "counts.parquet")

    assert not list(tmp_path.iterdir())


def test_files_that_were_split_differently_are_an_error(tmp_path: Path) -> None:
    """The message names the file."""
    write(tmp_path / "a.parquet", [b"a"], [1])
    write(tmp_path / "b.parquet", [b"a"], [1], DESCRIPTION | {"pattern": r"\w"})

    with pytest.raises(TrainingError, match=r"b\.parquet was split by the pattern"):
        pytok.PieceCounts.load(tmp_path)


@pytest.mark.parametrize(
    ("pieces", "counts", "description", "message"),
    [
        ([b"a", None], [1, 1], DESCRIPTION, r"bad\.parquet, row 2: null"),
        (
            [b"a", b""],
            [1, 1],
            DESCRIPTION,
            r"row 2: b'' has the count 1; a piece must have at least one byte",
        ),
        ([b"a"], [0], DESCRIPTION, r"row 1: b'a' has the count 0"),
        ([b"\xff"], [1], DESCRIPTION, r"row 1: b'\\xff' is not UTF-8"),
        (
            [b"a"],
            [1],
            DESCRIPTION | {"version": 2},
            "version 2 of the format; this pytok reads version 1",
        ),
        ([b"a"], [1], {"version": 1}, "the metadata 'pytok' is malformed"),
        ([b"a"], [1], [], "the metadata 'pytok' is malformed"),
        (
            [b"a"],
            [1],
            DESCRIPTION | {"special_tokens": "x"},
            "the special tokens a list of strings",
        ),
    ],
)
def test_a_malformed_file_is_reported_with_the_row(
    tmp_path: Path, pieces: list[bytes | None], counts: list[int], description: object, message: str
) -> None:
    """The message names the row, or the metadata."""
    write(tmp_path / "bad.parquet", pieces, counts, description)

    with pytest.raises(FormatError, match=message):
        pytok.PieceCounts.load(tmp_path / "bad.parquet")


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        ("count", pa.int64(), "the column 'count' must be uint64; it is int64"),
        ("piece", pa.string(), "the column 'piece' must be binary; it is string"),
        ("other", pa.binary(), "the column 'piece' must be binary; it is missing"),
    ],
)
def test_other_columns_are_an_error(
    tmp_path: Path, column: str, kind: pa.DataType, message: str
) -> None:
    """Signed counts could be negative."""
    kinds = {"piece": pa.binary(), "count": pa.uint64()} | {column: kind}
    kinds = kinds if column != "other" else {"other": kind, "count": pa.uint64()}
    table = pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
    path = tmp_path / "bad.parquet"
    pq.write_table(table.replace_schema_metadata({"pytok": json.dumps(DESCRIPTION)}), path)

    with pytest.raises(FormatError, match=message):
        pytok.PieceCounts.load(path)


def test_counts_that_overflow_are_an_error(engine: EngineName, tmp_path: Path) -> None:
    """Each file alone is valid."""
    for name in "ab":
        write(tmp_path / f"{name}.parquet", [b"a"], [2**62])

    with pytest.raises(TrainingError, match=r"b\.parquet: .* exceeds 2\^63 - 1"):
        pytok.PieceCounts.load(tmp_path, engine=engine)


def test_another_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "b.parquet")

    with pytest.raises(FormatError, match=r"a\.txt: not a parquet file"):
        pytok.PieceCounts.load(tmp_path / "a.txt")
    with pytest.raises(FormatError, match=r"b\.parquet: the metadata has no 'pytok'"):
        pytok.PieceCounts.load(tmp_path / "b.parquet")
    with pytest.raises(CorpusError, match=r"none\.parquet: no such file"):
        pytok.PieceCounts.load(tmp_path / "none.parquet")
