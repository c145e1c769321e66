"""`pytok prune`: files, figures and early errors."""

import json
import os
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import pytok
from pytok import pruning, usage
from tests.conftest import CORPUS
from tests.pytok.test_cli import check_failure, command


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: pytok.Tokenizer) -> None:
    """Work in a new folder with a corpus and a tokenizer."""
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("".join(CORPUS[:3]), encoding="utf-8", newline="")
    trained.save("tokenizer.json")


def test_it_writes_the_pruned_tokenizer_and_prints_the_compression() -> None:
    result = command("prune", "tokenizer.json", "corpus.txt", "--vocab", 400, "-o", "small.json")

    tokenizer = pytok.load("tokenizer.json")
    expected = pruning.prune(tokenizer, "corpus.txt", 400)
    small = pytok.load("small.json")
    text = Path("corpus.txt").read_bytes().decode()
    before, after = tokenizer.count(text), small.count(text)
    assert (result.code, result.err.startswith("small.json: 400 ids\nnext: ")) == (0, True)
    assert small.fingerprint == expected.tokenizer.fingerprint
    assert result.out.decode().splitlines() == [
        "ids             400 of 600",
        f"corpus          {len(text.encode()):,} bytes",
        f"tokens          {after:,}, before {before:,} ({after / before - 1:+.2%})",
        f"bytes per token {len(text.encode()) / after:.3f}, "
        f"before {len(text.encode()) / before:.3f}",
    ]


def test_the_name_of_the_output_decides_the_format() -> None:
    arguments = ("prune", "tokenizer.json", "corpus.txt", "--vocab", 400)
    assert command(*arguments, "-o", "small.json").code == 0
    assert command(*arguments, "-o", "small.tiktoken").code == 0

    json_tokens = pytok.load("small.json").vocab
    assert pytok.load("small.tiktoken", pattern="cl100k").vocab == json_tokens


@pytest.mark.parametrize("name", ["ids.json", "ids.npy"])
def test_the_old_ids_are_written(name: str) -> None:
    arguments = ("prune", "tokenizer.json", "corpus.txt", "--min-count", 3, "-o", "small.json")
    assert command(*arguments, "--ids", name).code == 0

    expected = pruning.prune(pytok.load("tokenizer.json"), "corpus.txt", min_count=3).ids
    if name.endswith(".npy"):
        assert np.array_equal(np.load(name), expected)
    else:
        assert json.loads(Path(name).read_text()) == expected.tolist()


def test_an_empty_corpus_keeps_what_must_be_kept() -> None:
    Path("empty.txt").write_text("")

    result = command("prune", "tokenizer.json", "empty.txt", "-o", "small.json")

    assert result.code == 0
    assert pytok.load("small.json").n_vocab == 257


def test_two_ways_to_choose_are_wrong_arguments() -> None:
    result = command(
        *("prune", "tokenizer.json", "corpus.txt", "-o", "small.json"),
        *("--vocab", 300, "--min-count", 2),
    )

    assert result.code == 2
    assert "--vocab and --min-count are two ways to choose" in result.err


def test_a_size_that_is_impossible_is_an_error() -> None:
    result = command("prune", "tokenizer.json", "corpus.txt", "--vocab", 9, "-o", "small.json")

    check_failure(result, "cannot prune the vocabulary to 9 ids: pass 257 to 599")
    assert not Path("small.json").exists()


@pytest.mark.parametrize(
    "outputs", [("-o", "corpus.txt"), ("-o", "small.json", "--ids", "corpus.txt")]
)
def test_the_corpus_is_never_replaced(outputs: tuple[str, ...]) -> None:
    result = command("prune", "tokenizer.json", "corpus.txt", *outputs)

    assert result.code == 2
    assert "corpus.txt is an input file" in result.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_an_error_before_it_is_opened() -> None:
    """It can be read only once."""
    os.mkfifo("pipe.txt")

    result = command("prune", "tokenizer.json", "pipe.txt", "-o", "small.json")

    check_failure(result, "pipe.txt: a pipe can be read only once: the corpus is read twice")


def test_rows_without_text_are_reported_once() -> None:
    """Though the corpus is read twice."""
    Path("rows.jsonl").write_text('{"text": "abc"}\n{"text": null}\n')

    result = command(
        "prune", "tokenizer.json", "rows.jsonl", "--missing", "skip", "-o", "small.json"
    )

    assert result.code == 0
    assert result.err.count("1 of 2 rows without text") == 1


def test_a_corpus_that_changes_meanwhile_is_an_error() -> None:
    """Its figures would be those of two texts."""
    count = usage.count_uses

    def count_and_change(*arguments: object, **options: object) -> usage.Use:
        found = count(*arguments, **options)  # type: ignore[arg-type]
        Path("corpus.txt").write_text("")
        return found

    with mock.patch.object(usage, "count_uses", count_and_change):
        result = command("prune", "tokenizer.json", "corpus.txt", "-o", "small.json")

    check_failure(result, "bytes of text when it was read first and 0 then")
    assert not Path("small.json").exists()
