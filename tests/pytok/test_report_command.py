"""`pytok train --report` and `pytok show --report`: the page, figures as JSON, early errors."""

import json
import os
import sys
from pathlib import Path

import pytest

import pytok
from pytok import report
from pytok.distribution import install
from pytok.engine import EngineName
from tests.conftest import CORPUS
from tests.pytok.test_cli import check_failure, command


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: pytok.Tokenizer) -> None:
    """Work in a new folder with a corpus and a tokenizer."""
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("".join(CORPUS), encoding="utf-8", newline="")
    trained.save("tokenizer.json")


def test_train_writes_a_report(engine: EngineName) -> None:
    """It is measured on the corpus."""
    result = command(
        *("train", "corpus.txt", "--vocab", 400, "-o", "t.json", "--engine", engine),
        *("--report", "report.html"),
    )

    assert (result.code, result.out) == (0, b"")
    assert "\nreport.html: report written\n" in result.err
    figures = report.measure(pytok.load("t.json"), "corpus.txt")
    assert Path("report.html").read_text(encoding="utf-8") == report.render(figures)


def test_show_writes_a_report() -> None:
    result = command("show", "tokenizer.json", "--corpus", "corpus.txt", "--report", "page.html")

    assert (result.code, result.err) == (0, "page.html: report written\n")
    assert b"never used" in result.out
    figures = report.measure(pytok.load("tokenizer.json"), "corpus.txt")
    assert Path("page.html").read_text(encoding="utf-8") == report.render(figures)


def test_show_puts_a_text_into_the_report() -> None:
    """The text replaces the excerpts."""
    result = command("show", "tokenizer.json", "--text", "my very own", "--report", "page.html")

    assert result.code == 0
    tokenizer = pytok.load("tokenizer.json")
    expected = report.render(report.measure(tokenizer), text="my very own")
    assert Path("page.html").read_text(encoding="utf-8") == expected


def test_show_prints_the_figures_as_json() -> None:
    result = command(
        *("show", "tokenizer.json", "--json", "--corpus", "corpus.txt", "--corpus", "corpus.txt")
    )
    printed = json.loads(result.out)

    figures = report.measure(pytok.load("tokenizer.json"), ["corpus.txt", "corpus.txt"])
    assert (result.code, result.err) == (0, "")
    assert printed["ids"] == 600
    assert printed["corpus"] == json.loads(json.dumps(figures.as_dict()))["corpus"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_name_can_be_invalid_utf8() -> None:
    """It is escaped in the page."""
    Path(os.fsdecode(b"caf\xe9.txt")).write_text("text")

    result = command("show", "tokenizer.json", "--corpus", "*.txt", "--report", "page.html")

    assert result.code == 0
    assert "caf\\udce9.txt" in Path("page.html").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_is_an_early_error() -> None:
    """Nothing is trained."""
    result = command("train", "corpus.txt", "--vocab", 300, "--report", "none/report.html")

    assert (result.code, result.out) == (2, b"")
    assert "none does not exist; create it first" in result.err
    assert sorted(path.name for path in Path().iterdir()) == ["corpus.txt", "tokenizer.json"]


@pytest.mark.parametrize("name", ["tokenizer.json", "corpus.txt", "page"])
def test_a_report_replaces_no_other_file(name: str) -> None:
    """A typing error must not overwrite the tokenizer or the corpus."""
    before = {path: path.read_bytes() for path in Path().iterdir()}

    result = command("show", "tokenizer.json", "--corpus", "corpus.txt", "--report", name)

    assert result.code == 2
    assert f"name it {name}.html" in result.err
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize("library", ["jinja2", "fontTools"])
def test_a_missing_library_is_an_early_error(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to install it."""
    for module in [name for name in sys.modules if name.startswith("pytok.report")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)

    result = command("train", "corpus.txt", "--vocab", 300, "--report", "r.html", "-o", "t.json")

    check_failure(result, f"a report requires {library}: {install('report')}")
    assert not Path("t.json").exists()
