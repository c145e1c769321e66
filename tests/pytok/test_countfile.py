"""Files of counted pieces: out and in unchanged, and refused where they are something else."""

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

ABOUT = {"version": 1, "pattern": r"\w+", "special_tokens": []}


def write(path: Path, pieces: list[bytes | None], counts: list[int], about: object = ABOUT) -> None:
    """A file of counts, as somebody else might write it."""
    table = pa.table(
        {"piece": pa.array(pieces, pa.binary()), "count": pa.array(counts, pa.uint64())}
    )
    pq.write_table(table.replace_schema_metadata({"pytok": json.dumps(about)}), path)


def test_counts_come_back_as_they_were(engine: EngineName, tmp_path: Path) -> None:
    """Pattern and special tokens, too."""
    path = tmp_path / "counts.parquet"
    counts = pytok.count_pieces(CORPUS, pattern="o200k", special_tokens=["<|x|>"], engine=engine)

    saved = counts.save(path)
    loaded = pytok.PieceCounts.load(path, engine=engine)

    assert dict(loaded.items()) == dict(counts.items())
    assert loaded.splitting == counts.splitting
    total = sum(count for _, count in counts.items())
    assert saved == Saved(Amount(len(counts), total), Amount(0, 0))


def test_files_are_added_up(engine: EngineName, tmp_path: Path) -> None:
    """And train the tokenizer of the whole corpus."""
    for number, text in enumerate(CORPUS):
        counts = pytok.count_pieces([text], engine=engine)
        counts.save(tmp_path / f"{number}.parquet")

    counts = pytok.PieceCounts.load(str(tmp_path / "*.parquet"), engine=engine)
    trained = pytok.train(counts, 500, engine=engine)

    assert trained.fingerprint == pytok.train(CORPUS, 500).fingerprint


def test_rare_pieces_can_be_left_out(engine: EngineName, tmp_path: Path) -> None:
    """The counts themselves keep them."""
    path = tmp_path / "counts.parquet"
    counts = pytok.count_pieces(["a a a b"], engine=engine)

    saved = counts.save(path, prune=2)

    assert saved == Saved(written=Amount(1, 2), dropped=Amount(2, 2))
    assert dict(pytok.PieceCounts.load(path).items()) == {b" a": 2}
    assert len(counts) == 3


def test_a_file_that_fails_half_way_does_not_appear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does anything beside it."""
    counts = pytok.count_pieces(CORPUS)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)

    with pytest.raises(OSError, match="No space left"):
        counts.save(tmp_path / "counts.parquet")

    assert not list(tmp_path.iterdir())


def test_files_that_were_split_otherwise_are_refused(tmp_path: Path) -> None:
    """The file is named."""
    write(tmp_path / "a.parquet", [b"a"], [1])
    write(tmp_path / "b.parquet", [b"a"], [1], ABOUT | {"pattern": r"\w"})

    with pytest.raises(TrainingError, match=r"b\.parquet was split by the pattern"):
        pytok.PieceCounts.load(tmp_path)


@pytest.mark.parametrize(
    ("pieces", "counts", "about", "message"),
    [
        ([b"a", None], [1, 1], ABOUT, r"bad\.parquet, row 2: null"),
        ([b"a", b""], [1, 1], ABOUT, r"row 2: b'' occurs 1 times; a piece has at least one byte"),
        ([b"a"], [0], ABOUT, r"row 1: b'a' occurs 0 times"),
        ([b"\xff"], [1], ABOUT, r"row 1: b'\\xff' is not UTF-8"),
        (
            [b"a"],
            [1],
            ABOUT | {"version": 2},
            "version 2 of the format; this pytok reads version 1",
        ),
        ([b"a"], [1], {"version": 1}, "the metadata 'pytok' is malformed"),
        ([b"a"], [1], [], "the metadata 'pytok' is malformed"),
        ([b"a"], [1], ABOUT | {"special_tokens": "x"}, "special tokens are a list of strings"),
    ],
)
def test_a_malformed_file_is_refused_with_the_place(
    tmp_path: Path, pieces: list[bytes | None], counts: list[int], about: object, message: str
) -> None:
    """And what is wrong there."""
    write(tmp_path / "bad.parquet", pieces, counts, about)

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
def test_other_columns_are_refused(
    tmp_path: Path, column: str, kind: pa.DataType, message: str
) -> None:
    """Signed counts among them: they could be negative."""
    kinds = {"piece": pa.binary(), "count": pa.uint64()} | {column: kind}
    kinds = kinds if column != "other" else {"other": kind, "count": pa.uint64()}
    table = pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
    path = tmp_path / "bad.parquet"
    pq.write_table(table.replace_schema_metadata({"pytok": json.dumps(ABOUT)}), path)

    with pytest.raises(FormatError, match=message):
        pytok.PieceCounts.load(path)


def test_counts_that_overflow_are_refused(engine: EngineName, tmp_path: Path) -> None:
    """In one file, or in all together."""
    for name in "ab":
        write(tmp_path / f"{name}.parquet", [b"a"], [2**62])

    with pytest.raises(TrainingError, match=r"exceeds 2\^63 - 1"):
        pytok.PieceCounts.load(tmp_path, engine=engine)


def test_a_file_that_is_no_file_of_counts_is_refused(tmp_path: Path) -> None:
    """Text, another parquet file, and no file at all."""
    (tmp_path / "a.txt").write_text("text")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "b.parquet")

    with pytest.raises(FormatError, match=r"a\.txt: not a parquet file"):
        pytok.PieceCounts.load(tmp_path / "a.txt")
    with pytest.raises(FormatError, match=r"b\.parquet: the metadata has no 'pytok'"):
        pytok.PieceCounts.load(tmp_path / "b.parquet")
    with pytest.raises(CorpusError, match=r"none\.parquet: no such file"):
        pytok.PieceCounts.load(tmp_path / "none.parquet")
