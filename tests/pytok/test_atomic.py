"""Atomic writes: contents, modes, and what interrupted and killed processes leave behind."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pytok
from pytok.atomic import (
    atomic_file,
    atomic_folder,
    replace_file,
    replace_files,
    temporary_folder,
)
from pytok.termination import SIGNALS, exiting_on_signals

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals and modes")


def write_file(target: Path) -> None:
    replace_file(target, b"new")


def write_stream(target: Path) -> None:
    with atomic_file(target) as file:
        file.write(b"new")


def write_folder(target: Path) -> None:
    with atomic_folder(target) as folder:
        (folder / "file").write_bytes(b"new")


WRITERS = [write_file, write_stream, write_folder]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("write", WRITERS)
def test_a_target_is_written_and_replaced(write: Callable[[Path], None], tmp_path: Path) -> None:
    """Nothing else stays in its folder."""
    for _ in range(2):
        write(tmp_path / "target")

        assert names_in(tmp_path) == ["target"]


@pytest.mark.parametrize("write", [atomic_file, atomic_folder])
def test_an_error_keeps_what_was_there(write: Callable[[Path], object], tmp_path: Path) -> None:
    """And leaves nothing else, whatever is raised."""
    target = tmp_path / "target"
    (write_folder if write is atomic_folder else write_file)(target)
    before = target.stat()

    with pytest.raises(SystemExit), write(target):  # type: ignore[attr-defined]
        raise SystemExit(143)

    assert names_in(tmp_path) == ["target"]
    assert target.stat() == before


def test_no_file_is_replaced_if_one_cannot_be_written(tmp_path: Path) -> None:
    """The error names the file that was asked for."""
    (tmp_path / "a").write_bytes(b"old")

    with pytest.raises(OSError, match="missing/b"):
        replace_files({tmp_path / "a": b"new", tmp_path / "missing/b": b"new"})
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names_in(tmp_path) == ["a"]


@posix
@pytest.mark.parametrize("write", [write_file, write_stream])
def test_a_private_file_is_private_while_it_is_replaced(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others could open it before its mode is set."""
    target = tmp_path / "target"
    target.write_bytes(b"old")
    target.chmod(0o600)
    modes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: modes.append(os.fstat(file).st_mode))
    write(target)

    assert set(map(stat.S_IMODE, modes)) == {0o600}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@posix
def test_a_private_target_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    """Whatever the umask is."""
    replace_file(tmp_path / "file", b"", private=True)
    with atomic_folder(tmp_path / "folder", private=True) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700


@posix
def test_a_folder_keeps_its_mode(tmp_path: Path) -> None:
    """A private one stays private."""
    (tmp_path / "target").mkdir(0o700)
    with atomic_folder(tmp_path / "target") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o700


def test_a_name_can_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    """The temporary file has a shorter one."""
    write_file(tmp_path / ("n" * 255))

    assert names_in(tmp_path) == ["n" * 255]


# ------------------------------------------------------------------------- links and streams


@posix
@pytest.mark.parametrize("write", WRITERS)
def test_a_link_of_ones_own_is_followed(write: Callable[[Path], None], tmp_path: Path) -> None:
    """Through further links, and relative to the folder of each."""
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder/target")
    (tmp_path / "folder/second").symlink_to("target")
    (tmp_path / "first").symlink_to("folder/second")
    before = (tmp_path / "folder/target").stat().st_ino
    write(tmp_path / "first")

    assert names_in(tmp_path) == ["first", "folder"]
    assert names_in(tmp_path / "folder") == ["second", "target"]
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "folder/target").stat().st_ino != before


@posix
@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("by", ["another user", "anybody"])
def test_a_link_that_somebody_else_could_have_made_is_replaced(
    write: Callable[[Path], None], by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could lead to a file of this user."""
    shared, precious = tmp_path / "shared", tmp_path / "precious"
    shared.mkdir()
    precious.mkdir()
    (precious / "file").write_bytes(b"precious")
    (shared / "link").symlink_to(precious if write is write_folder else precious / "file")
    if by == "anybody":
        shared.chmod(0o1777)
    else:
        monkeypatch.setattr(os, "getuid", lambda: (shared / "link").lstat().st_uid + 1)
        monkeypatch.setattr("pytok.atomic.ROOT", -1)
    write(shared / "link")

    assert not (shared / "link").is_symlink()
    assert names_in(shared) == ["link"]
    assert (precious / "file").read_bytes() == b"precious"


@posix
@pytest.mark.parametrize("write", [write_file, write_stream])
def test_a_pipe_is_written_to(write: Callable[[Path], None], tmp_path: Path) -> None:
    """It would be replaced by a file that nobody reads; so would a device."""
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as pipe:
        write(tmp_path / "pipe")

        assert pipe.read() == b"new"
    assert names_in(tmp_path) == ["pipe"]


# ------------------------------------------------------------------------------- left behind


@posix
def test_a_temporary_folder_is_private_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what a killed process has left."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    with temporary_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "file").touch()
        left = folder.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    assert names_in(tmp_path) == []

    (tmp_path / left).mkdir()
    (tmp_path / left / "copy.db").touch()
    with temporary_folder() as folder:
        assert names_in(tmp_path) == [folder.name]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.pytok.test_atomic import atomic_file, atomic_folder
with globals()[sys.argv[1]](Path("target")) as begun:
    os.kill(os.getpid(), signal.SIGKILL)
"""


@posix
@pytest.mark.parametrize(
    ("name", "write"),
    [("atomic_file", write_file), ("atomic_file", write_stream), ("atomic_folder", write_folder)],
)
def test_what_a_killed_process_left_is_removed_by_the_next(
    name: str, write: Callable[[Path], None], tmp_path: Path
) -> None:
    """Only for the same target."""
    root = str(Path(pytok.__file__).parents[1])
    subprocess.run(
        [sys.executable, "-c", KILLED, name], cwd=tmp_path, env=os.environ | {"PYTHONPATH": root}
    )
    (left,) = names_in(tmp_path)
    assert left.startswith(".target.")
    write(tmp_path / "other")
    assert names_in(tmp_path) == [left, "other"]

    write(tmp_path / "target")

    assert names_in(tmp_path) == ["other", "target"]


def test_what_a_running_process_writes_is_not_removed(tmp_path: Path) -> None:
    """Two processes can write the same target."""
    target = tmp_path / "target"
    with atomic_file(target) as file:
        replace_file(target, b"first")
        file.write(b"second")

    assert target.read_bytes() == b"second"


@posix
def test_a_folder_that_was_being_replaced_gets_its_name_back(tmp_path: Path) -> None:
    """A process can be killed between two renames."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    with atomic_folder(tmp_path / "target") as hidden:
        left = hidden.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-").replace(".new", ".old")
    (tmp_path / "target").rename(tmp_path / left)

    with pytest.raises(SystemExit), atomic_folder(tmp_path / "target"):
        raise SystemExit

    assert names_in(tmp_path) == ["target"]


# ------------------------------------------------------------------------------------- signals


@posix
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_exits_with_its_status_and_is_restored(number: signal.Signals) -> None:
    """A second one does not interrupt what the first has started."""
    before = signal.getsignal(number)

    def twice() -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)

    with pytest.raises(SystemExit) as ended, exiting_on_signals():
        twice()

    assert ended.value.code == 128 + number
    assert signal.getsignal(number) == before


@posix
def test_an_ignored_signal_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """`nohup` ignores SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with exiting_on_signals():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


ENDED = """
import os, sys
from pytok import shards
number = int(sys.argv.pop(1))
begun = shards.FolderWriter.flush
def flush(writer):
    begun(writer)
    os.kill(os.getpid(), number)
shards.FolderWriter.flush = flush
from pytok.__main__ import main
main()
"""


@posix
@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_that_is_ended_leaves_nothing(
    number: signal.Signals, trained: pytok.Tokenizer, tmp_path: Path
) -> None:
    """Here when shards were written in part."""
    trained.save(tmp_path / "tokenizer.json")
    (tmp_path / "corpus.txt").write_text("She sells sea shells. " * 100)
    command = f"{int(number)} shard corpus.txt -t tokenizer.json -o data"
    root = str(Path(pytok.__file__).parents[1])
    ended = subprocess.run(
        [sys.executable, "-c", ENDED, *command.split()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
    )

    assert (ended.returncode, ended.stderr) == (128 + number, b"")
    assert names_in(tmp_path) == ["corpus.txt", "tokenizer.json"]
