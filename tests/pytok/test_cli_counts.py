"""Counting on several machines, and within a limit of memory, by commands."""

import subprocess
import sys
from pathlib import Path

import pytest

import pytok
from tests.conftest import CORPUS


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `pytok` in *folder*."""
    return subprocess.run(
        [sys.executable, "-m", "pytok", *arguments], cwd=folder, capture_output=True, text=True
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Write two files of text."""
    (tmp_path / "a.txt").write_text("".join(CORPUS[:6]), encoding="utf-8")
    (tmp_path / "b.txt").write_text("".join(CORPUS[6:]), encoding="utf-8")
    return tmp_path


def test_files_of_counts_train_the_same_tokenizer_as_the_text(corpus: Path) -> None:
    """Pattern and special tokens are those of the counts."""
    run(corpus, "train", "a.txt", "b.txt", "--vocab", "500", "-o", "t.json", "--pattern", "gpt2")
    for name in "ab":
        counted = run(
            corpus, "count-pieces", f"{name}.txt", "-o", f"{name}.parquet", "--pattern", "gpt2"
        )
        assert f"{name}.parquet: " in counted.stderr
    added = run(corpus, "count-pieces", "--counts", "a.parquet", "b.parquet", "-o", "ab.parquet")
    assert added.returncode == 0

    for sources in (["a.parquet", "b.parquet"], ["ab.parquet"]):
        trained = run(corpus, "train", "--counts", *sources, "--vocab", "500", "-o", "u.json")
        assert "u.json: 500 ids: 256 bytes, 243 merges, 1 special token\n" in trained.stderr
        fingerprints = {pytok.load(corpus / name).fingerprint for name in ("t.json", "u.json")}
        assert len(fingerprints) == 1


def test_little_memory_changes_no_result(corpus: Path) -> None:
    """The distinct pieces must fit."""
    trained = run(
        corpus, "train", "a.txt", "--vocab", "400", "--max-memory", "1MiB", "-o", "t.json"
    )

    assert trained.returncode == 0
    expected = pytok.train(corpus / "a.txt", 400)
    assert pytok.load(corpus / "t.json").fingerprint == expected.fingerprint


def test_pruning_prints_what_it_drops(corpus: Path) -> None:
    (corpus / "c.txt").write_text("ab ab ab cd")

    trained = run(corpus, "train", "c.txt", "--vocab", "258", "--prune", "2")
    counted = run(corpus, "count-pieces", "c.txt", "-o", "c.parquet", "--prune", "2")

    dropped = "pruning dropped 2 pieces with 2 occurrences\n"
    assert trained.stderr.startswith(dropped)
    assert counted.stderr.startswith(f"c.parquet: 1 piece with 2 occurrences\n{dropped}")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            "train a.txt --vocab 300 --max-memory 4X",
            2,
            "'4X' is not an amount of memory: use e.g. 4GiB",
        ),
        ("train a.txt --vocab 300 --max-memory 0", 2, "'0' is not an amount of memory"),
        ("train a.txt --vocab 300 --max-memory 1KB", 1, "drop rare pieces: prune=2 (--prune 2)"),
        ("train --counts a.txt --vocab 300", 1, "a.txt: not a parquet file"),
        ("train a.txt --vocab 300 --max-memory 99999999T", 1, "1 to 2^63 - 1 bytes are possible"),
        ("train a.txt --vocab 300 --prune 99999999999999999999", 1, "pass 0 to 2^63 - 1"),
        ("train a.txt --vocab 300 --special x --no-special", 2, "contradict each other"),
        ("count-pieces a.txt -o b.txt", 1, "b.txt: counts are a parquet file"),
        ("count-pieces none.txt -o c.parquet", 1, "none.txt: no such file"),
        (
            "count-pieces a.txt -o none/c.parquet",
            1,
            "the folder none does not exist; create it first",
        ),
        ("count-pieces a.txt -o c.parquet --pattern (", 1, "the pattern does not compile"),
    ],
)
def test_an_impossible_request_is_an_error_of_one_line(
    corpus: Path, arguments: str, code: int, message: str
) -> None:
    """Nothing is written."""
    before = sorted(corpus.iterdir())

    result = run(corpus, *arguments.split())

    assert result.returncode == code
    assert message in result.stderr.splitlines()[-1]
    assert sorted(corpus.iterdir()) == before
