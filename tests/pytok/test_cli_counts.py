"""The commands that count on many machines, and within a memory."""

import subprocess
import sys
from pathlib import Path

import pytest

import pytok
from tests.conftest import CORPUS


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command in *folder*."""
    return subprocess.run(
        [sys.executable, "-m", "pytok", *arguments], cwd=folder, capture_output=True, text=True
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with two files of text."""
    (tmp_path / "a.txt").write_text("".join(CORPUS[:6]), encoding="utf-8")
    (tmp_path / "b.txt").write_text("".join(CORPUS[6:]), encoding="utf-8")
    return tmp_path


def test_two_files_of_counts_train_what_two_files_of_text_do(corpus: Path) -> None:
    """With the pattern and the special tokens that they were counted with."""
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
        assert trained.stderr == "u.json: 500 ids: 256 bytes, 243 merges, 1 special token\n"
        fingerprints = {pytok.load(corpus / name).fingerprint for name in ("t.json", "u.json")}
        assert len(fingerprints) == 1


def test_little_memory_changes_no_tokenizer(corpus: Path) -> None:
    """It only has to suffice for the distinct pieces."""
    trained = run(
        corpus, "train", "a.txt", "--vocab", "400", "--max-memory", "1MiB", "-o", "t.json"
    )

    assert trained.returncode == 0
    expected = pytok.train(corpus / "a.txt", 400)
    assert pytok.load(corpus / "t.json").fingerprint == expected.fingerprint


def test_what_pruning_drops_is_said(corpus: Path) -> None:
    """By each command that can prune."""
    (corpus / "c.txt").write_text("ab ab ab cd")

    trained = run(corpus, "train", "c.txt", "--vocab", "258", "--prune", "2")
    counted = run(corpus, "count-pieces", "c.txt", "-o", "c.parquet", "--prune", "2")

    dropped = "pruning dropped 2 pieces, which occur 2 times in all\n"
    assert trained.stderr.startswith(dropped)
    assert counted.stderr == f"c.parquet: 1 pieces, which occur 2 times in all\n{dropped}"


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
        ("train a.txt --vocab 300 --prune 99999999999999999999", 1, "2^63 - 1 occurrences are"),
        ("train a.txt --vocab 300 --special x --no-special", 2, "contradict each other"),
        ("count-pieces a.txt -o b.txt", 1, "b.txt: counts are a parquet file"),
        ("count-pieces none.txt -o c.parquet", 1, "none.txt: no such file"),
        ("count-pieces a.txt -o none/c.parquet", 1, "there is no folder none: make it first"),
        ("count-pieces a.txt -o c.parquet --pattern (", 1, "the pattern does not compile"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    corpus: Path, arguments: str, code: int, message: str
) -> None:
    """And nothing is written."""
    before = sorted(corpus.iterdir())

    refused = run(corpus, *arguments.split())

    assert refused.returncode == code
    assert message in refused.stderr.splitlines()[-1]
    assert sorted(corpus.iterdir()) == before
