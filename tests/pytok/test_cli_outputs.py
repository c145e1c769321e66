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


OVER_INPUTS = {
    "train f/c.json --vocab 260 -o f/c.json": "is an input file",
    "train f/c.json --vocab 260 -o hard.json": "is an input file",
    "train f/*.json --vocab 260 -o symbolic.json": "is an input file",
    "train f/c.html --vocab 260 --report f/c.html": "is an input file",
    "train c.txt --vocab 260 --base t.json -o t.json": "is an input file",
    "train f --vocab 260 -o f/new.json": "is inside the input folder f",
    "train f --vocab 260 -o symbolic.json": "is inside the input folder f",
    "train links --vocab 260 -o outside.json": "is an input file",
    "train c.txt --vocab 260 -o .": "the input c.txt is inside the output folder .",
    "train f --vocab 260 -o f": "is an input folder",
    "train c.txt --vocab 260 -o r.html --report r.html": "is named as two outputs",
    "count-pieces c.parquet -o c.parquet": "is an input file",
    "show t.json --corpus f/c.html --report f/c.html": "is an input file",
    "show t.json --corpus c.txt --frequencies c.txt": "is an input file",
    "convert t.json t.json": "is an input file",
    "convert f f": "is an input folder",
    "prune t.json c.txt -o t.json": "is an input file",
    "prune t.json c.txt -o c.txt": "is an input file",
    "prune t.json c.txt -o o.json --ids c.txt": "is an input file",
    "prune t.json c.txt -o o.json --ids o.json": "is named as two outputs",
    "shard f -t t.json -o f/data": "is inside the input folder f",
    "shard f/c.html -t t.json -o f --overwrite": "is inside the output folder f",
    "chat import chat.txt --date-order dmy -o chat.txt": "is an input file",
    "chat import msg.db --names chat.txt -o chat.txt": "is an input file",
    "chat import msg.db --key chat.txt -o chat.txt": "is an input file",
    "chat build chat.txt --me Ada -o .": "is inside the output folder",
    "chat build chat.txt --me Ada -t f/c.json -o f": "is inside the output folder f",
    "chat export chat.txt --to openai --me Ada -o chat.txt": "is an input file",
    "chat show chat.txt --plot chat.txt": "is an input file",
}


@pytest.mark.parametrize("line", OVER_INPUTS)
def test_an_output_that_would_replace_an_input_is_a_wrong_argument(line: str, folder: Path) -> None:
    """By whatever name or link: the input would be lost."""
    Path("f").mkdir()
    for name in ("f/c.json", "f/c.html", "outside.json", "msg.db"):
        Path(name).write_text("She sells sea shells. " * 20)
    Path("symbolic.json").symlink_to("f/c.json")
    Path("hard.json").hardlink_to("f/c.json")
    Path("links").mkdir()
    Path("links/c.json").symlink_to("../outside.json")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    result = CliRunner().invoke(cli, line.split())

    assert result.exit_code == 2
    assert OVER_INPUTS[line] in result.output
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_output_beside_the_input_is_written(folder: Path) -> None:
    """Only what would be lost is refused."""
    result = CliRunner().invoke(cli, ["convert", "t.json", "new.json"])

    assert result.exit_code == 0
    assert Path("new.json").read_bytes() == Path("t.json").read_bytes()
