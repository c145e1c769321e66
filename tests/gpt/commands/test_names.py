"""Files and folders whose names are not UTF-8, as other systems write them."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from pathlib import Path

import pytest

from gpt.__main__ import main
from gpt.spec.recipe import Recipe
from gpt.training.loop import train

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux")


@pytest.fixture
def run(recipe: Recipe, data: Path, tmp_path: Path) -> Path:
    """A run of one step, in a folder whose name is Latin-1."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \xe6\x97\xa5"))
    shutil.copytree(data, folder / "data")
    train(dataclasses.replace(recipe, data=folder / "data", out=folder, steps=1))
    return folder


@pytest.mark.parametrize(
    "command",
    ["sample --prompt a --tokens 2", "eval", "report", "plot -o plot.png", "export model --to hf"],
)
def test_a_command_works_in_a_folder_of_any_name(
    command: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reading tensors, drawing a plot, and writing a report."""
    monkeypatch.chdir(run.parent)
    name, *options = command.split()

    code = main([name, str(run), *options])
    assert code == 0, capsys.readouterr().err


def test_an_error_shows_the_bytes_of_a_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Escaped, since no terminal can show them."""
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")

    assert main(["eval", name]) == 1
    assert r"caf\udce9: no checkpoint found" in capfd.readouterr().err
