"""`gpt classify`: from a file of labeled texts to predictions, and what is wrong with a file."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from gpt.__main__ import main
from gpt.data.labeled_texts import read_labeled
from gpt.runs.reading import read_checkpoint
from tests.gpt.classifiers import letters, write_base
from tests.gpt.data.test_labeled_texts import write_tabs

SMALL = [
    *("--batch-size", "4", "--eval-every", "5", "--threads", "1", "--dtype", "float32"),
    *("--compile", "false"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that classifiers start from."""
    return write_base(tmp_path_factory.mktemp("base") / "run")


def train(base: Path, out: Path, *more: str, data: Path | None = None) -> int:
    """Train a classifier into *out*, from `letters` unless other *data* is given."""
    data = data or write_tabs(out.parent / "texts.tsv", letters())
    given = ["classify", "train", str(base), "--data", str(data), "--out", str(out)]
    return main([*given, *SMALL, *more])


@pytest.fixture(scope="module")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of one epoch."""
    out = tmp_path_factory.mktemp("classifier") / "run"
    assert train(base, out, "--epochs", "1") == 0
    return out


def test_a_run_ends_with_the_test_and_the_next_command(
    base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And the same command finds it finished."""
    options = ["--balance", "--token", "mean", "--train", "lora", "--rank", "2", "--epochs", "1"]

    assert train(base, tmp_path / "run", *options) == 0
    lines = capsys.readouterr().err.splitlines()
    assert train(base, tmp_path / "run", *options) == 0

    assert "  train: 11 no, 11 yes" in lines
    assert any(line.startswith("test split: ") for line in lines)
    assert lines[-1] == f"next: gpt classify predict {tmp_path / 'run'} TEXT"
    assert "resuming" in capsys.readouterr().err
    assert read_checkpoint(tmp_path / "run").classifier_config.token == "mean"
    assert "## Classes" in (tmp_path / "run/report.md").read_text()


def test_texts_are_predicted_from_arguments_a_file_and_stdin(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same labels and probabilities, as text and as JSON lines."""
    (tmp_path / "lines.txt").write_bytes(b"abc\r\n\xe2\x82\xacx\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"abc\n\xe2\x82\xacx\n")))

    assert main(["classify", "predict", str(run), "abc", "€x"]) == 0
    shown = capsys.readouterr().out
    assert main(["classify", "predict", str(run), "--file", str(tmp_path / "lines.txt")]) == 0
    assert capsys.readouterr().out == shown
    assert main(["classify", "predict", str(run), "--file", "-", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    out = tmp_path / "labels.jsonl"
    assert main(["classify", "predict", str(run), "abc", "€x", "-o", str(out)]) == 0

    assert [json.loads(line) for line in out.read_text().splitlines()] == records
    assert [record["text"] for record in records] == ["abc", "€x"]
    for line, record in zip(shown.splitlines(), records, strict=True):
        found = record["probabilities"]
        assert sum(found.values()) == pytest.approx(1)
        assert record["label"] == max(found, key=found.get)
        ranked = sorted(found.items(), key=lambda item: -item[1])
        probabilities = ", ".join(f"{label} {value:.4f}" for label, value in ranked)
        assert line == f"{record['label']}\t{probabilities}\t{record['text']}"
    assert [each.label for each in read_labeled(out)] == [each["label"] for each in records]


def test_an_evaluation_is_text_or_json(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the test split, or of another file."""
    data = write_tabs(tmp_path / "other.txt", letters()[:10])

    assert main(["classify", "eval", str(run), "--plot", str(tmp_path / "plot.svg")]) == 0
    page = capsys.readouterr().out
    assert main(["classify", "eval", str(run), "--data", str(data), "--json"]) == 0

    assert "test split, 13 texts: " in page
    assert "precision  recall" in page
    assert (tmp_path / "plot.svg").read_text().count("<svg") == 1
    found = json.loads(capsys.readouterr().out)
    assert sum(map(sum, found["confusion"])) == 10
    assert found["file"] == str(data)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no\tab\nperhaps\tcd\n", "line 2: unknown label 'perhaps'; the classes are no, yes"),
        ("no\tab\nno cd\n", "line 2: no tab in 'no cd'"),
    ],
)
def test_a_wrong_line_is_named(
    content: str, words: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its file and number, in one line."""
    (tmp_path / "a.tsv").write_text(content)

    assert main(["classify", "eval", str(run), "--data", str(tmp_path / "a.tsv")]) == 1

    error = capsys.readouterr().err
    assert error.startswith(f"gpt: {tmp_path / 'a.tsv'}, {words}")
    assert error.count("\n") == 1


def test_a_line_that_is_not_utf_8_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of texts without labels, too; nothing is written."""
    (tmp_path / "lines.txt").write_bytes(b"abc\n\xff\n")
    out = tmp_path / "out.jsonl"
    given = ["classify", "predict", str(run), "--file", str(tmp_path / "lines.txt")]

    assert main([*given, "-o", str(out)]) == 1

    assert "lines.txt, line 2: byte 0 is not UTF-8" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--rank", "2", "--train", "all"], "--rank 2 is of an adapter, which --train all has not"),
        (["--class-weights", "1,a"], "neither `balanced` nor numbers"),
        (["--train", "some"], "not one of head, last-block, last-two, all, lora"),
        (["--pad-to", "0"], "pad_to"),
    ],
)
def test_wrong_options_fail_before_anything_is_written(
    more: list[str],
    words: str,
    base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one line."""
    assert train(base, tmp_path / "run", *more) in (1, 2)

    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_other_commands_name_the_one_for_a_classifier(
    run: Path,
    base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And those for classifiers say what a run of another kind is."""
    for command in (["sample", str(run)], ["eval", str(run)]):
        assert main(command) == 1
        assert "gpt classify predict RUN" in capsys.readouterr().err
    assert main(["classify", "predict", str(base), "text"]) == 1
    assert "this run is no classifier" in capsys.readouterr().err
    assert main(["show", str(run)]) == 0
    assert "classes, read at the last token: no, yes" in capsys.readouterr().out


def test_the_example_is_read_back(tmp_path: Path) -> None:
    """With labels, and without as JSON lines to pretrain on."""
    labeled, plain = tmp_path / "spam.tsv", tmp_path / "plain.jsonl"

    assert main(["classify", "example", "-o", str(labeled), "--texts", "50"]) == 0
    assert main(["classify", "example", "-o", str(plain), "--texts", "50", "--no-labels"]) == 0

    found = [json.loads(line)["text"] for line in plain.read_text().splitlines()]
    assert [each.text for each in read_labeled(labeled)] == found
