"""What is made of a chat can be read by its owner only."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytok.__main__ import cli
from pytok.chat.example import example_chat
from pytok.chat.record import write_history


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """Files are readable by everybody unless their program says otherwise."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def readable_by_others(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def run(*arguments: object) -> None:
    result = CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "chat.jsonl"
    write_history(path, example_chat(300))
    return path


def test_a_history_is_private(history: Path) -> None:
    assert not readable_by_others(history)


def test_a_history_is_private_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user could open the temporary file beside it, and keep reading."""
    modes = []
    sync = os.fsync

    def observed(descriptor: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", observed)
    write_history(tmp_path / "chat.jsonl", example_chat(10))

    assert set(modes) == {0o600}


def test_training_data_are_private(history: Path, tmp_path: Path) -> None:
    run("chat", "build", history, "-o", tmp_path / "data", "--me", "Mara")

    assert not readable_by_others(tmp_path / "data")
    assert not readable_by_others(tmp_path / "data" / "train.jsonl")
    assert not readable_by_others(tmp_path / "data" / "chat.json")


def test_exported_conversations_are_private(history: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    run("chat", "export", history, "--me", "Mara", "--to", "openai", "-o", path)

    assert not readable_by_others(path)


def test_a_history_that_others_may_read_stays_so(history: Path) -> None:
    """The mode of an existing file is somebody's decision."""
    history.chmod(0o640)
    write_history(history, example_chat(10))

    assert stat.S_IMODE(history.stat().st_mode) == 0o640
