"""The data of a run is found from any working folder, and after the run has moved."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from gpt.__main__ import main
from gpt.runs.reading import read_state
from gpt.runs.retention import find_checkpoint
from gpt.spec.recipe import Recipe
from gpt.training.loop import train


def data_of(run: Path) -> Path:
    """The data of the newest checkpoint of *run*, as it is read."""
    folder = find_checkpoint(run)
    assert folder is not None
    return read_state(folder).recipe.data


@pytest.fixture
def trained(recipe: Recipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was trained by relative paths, with its data in its folder."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    shutil.copytree(data, "runs/first/data")
    first = Path("runs/first")
    train(dataclasses.replace(recipe, data=first / "data", out=first, steps=1))
    return tmp_path / "home/runs/first"


def test_data_in_the_run_is_found_from_another_folder(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an absolute path and by a relative one."""
    monkeypatch.chdir(tmp_path)

    assert data_of(trained) == trained / "data"
    assert data_of(Path("home/runs/first")) == Path("home/runs/first/data")


def test_data_in_the_run_moves_with_it(trained: Path, tmp_path: Path) -> None:
    """Both have another name then."""
    trained.rename(tmp_path / "moved")

    assert data_of(tmp_path / "moved") == tmp_path / "moved/data"


def test_data_of_a_sibling_is_not_measured(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another project has a run of the same name: the answer is that of the run that was named."""
    assert main(["eval", str(trained), "--device", "cpu", "--dtype", "float32"]) == 0
    at_home = capsys.readouterr().out
    (tmp_path / "other/runs").mkdir(parents=True)
    shutil.copytree(trained, tmp_path / "other/runs/first")
    shutil.rmtree(tmp_path / "other/runs/first/data")
    monkeypatch.chdir(tmp_path / "other")

    assert main(["eval", "../home/runs/first", "--device", "cpu", "--dtype", "float32"]) == 0
    assert capsys.readouterr().out == at_home


def test_data_elsewhere_is_written_with_its_whole_path(
    recipe: Recipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is found from any folder, too."""
    monkeypatch.chdir(data.parent)
    train(dataclasses.replace(recipe, data=Path(data.name), steps=1))
    monkeypatch.chdir(tmp_path)

    assert data_of(tmp_path / "run") == data


def test_data_that_is_gone_is_named_with_the_way_out(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The option that names other data."""
    shutil.rmtree(trained / "data")

    assert main(["eval", str(trained)]) == 1
    error = capsys.readouterr().err
    assert f"{trained / 'data'}" in error
    assert "--data" in error
