"""Output paths of all commands: never empty, never an input file."""

from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner

import pytok
from gpt.__main__ import main as gpt
from pytok import shards
from pytok.__main__ import cli
from pytok.errors import FormatError, ShardError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: pytok.Tokenizer) -> Path:
    """Work in a folder with a tokenizer and a corpus."""
    monkeypatch.chdir(tmp_path)
    trained.save("t.json")
    Path("c.txt").write_text("She sells sea shells. " * 20)
    arrow.parquet.write_table(arrow.table({"text": ["hello there"]}), "c.parquet")
    Path("chat.txt").write_text("01/02/2023, 10:00 - Ada: hi\n")
    return tmp_path


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


EMPTY = [
    "train c.txt --vocab 300 -o EMPTY",
    "train c.txt --vocab 300 --report EMPTY",
    "count-pieces c.txt -o EMPTY",
    "convert t.json EMPTY",
    "shard c.txt -t t.json -o EMPTY",
    "show t.json --report EMPTY",
    "chat import chat.txt --date-order dmy -o EMPTY",
    "chat example -o EMPTY",
    "chat build chat.txt --me Ada -o EMPTY",
    "chat export chat.txt --to openai --me Ada -o EMPTY",
    "prune t.json c.txt -o EMPTY",
    "prune t.json c.txt -o o.json --ids EMPTY",
    "chat show chat.txt --plot EMPTY",
]


@pytest.mark.parametrize("line", EMPTY)
def test_an_empty_output_path_is_a_wrong_argument(line: str, folder: Path) -> None:
    """It is an unset variable of the shell, and would be the working folder."""
    before = files_in(folder)
    arguments = ["" if word == "EMPTY" else word for word in line.split()]
    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code == 2
    assert "the path is empty" in result.output
    assert files_in(folder) == before


@pytest.mark.parametrize(
    "line",
    [
        "train --data c.txt --out EMPTY",
        "train --data EMPTY",
        "plot run -o EMPTY",
        "export run EMPTY --to hf",
        "import model --out EMPTY",
    ],
)
def test_an_empty_path_is_a_wrong_argument_of_gpt(
    line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of all its commands."""
    before = files_in(folder)
    code = gpt(["" if word == "EMPTY" else word for word in line.split()])

    assert code == 2
    assert "the path is empty" in capsys.readouterr().err
    assert files_in(folder) == before


def test_an_empty_path_is_an_error_in_python(trained: pytok.Tokenizer, folder: Path) -> None:
    """Of each function that could write to the working folder."""
    before = files_in(folder)

    with pytest.raises(FormatError, match="the path is empty"):
        trained.save("")
    with pytest.raises(ShardError, match="the path is empty"):
        shards.write("c.txt", trained, "")
    assert files_in(folder) == before


@pytest.mark.parametrize(
    "line",
    [
        "train c.json --vocab 260 -o c.json",
        "train c.html --vocab 260 --report c.html",
        "train folder --vocab 260 -o link.json",
        "count-pieces c.parquet -o c.parquet",
        "show t.json --corpus c.html --report c.html",
    ],
)
def test_an_output_that_is_a_corpus_is_a_wrong_argument(line: str, folder: Path) -> None:
    """The corpus would be lost, also by a link."""
    Path("folder").mkdir()
    for name in ("c.json", "c.html", "folder/c.json"):
        Path(name).write_text("She sells sea shells. " * 20)
    Path("link.json").symlink_to("folder/c.json")
    result = CliRunner().invoke(cli, line.split())

    assert result.exit_code == 2
    assert "is an input file: choose another output file" in result.output
    assert Path("folder/c.json").read_text().startswith("She sells")
