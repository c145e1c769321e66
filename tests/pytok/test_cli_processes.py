"""The `pytok` command as a process: pipes, full disks, terminals and Ctrl-C.

No test sleeps. A signal is sent when the command has opened a pipe, or has drawn a progress bar
on a terminal.
"""

import contextlib
import gzip
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from string import ascii_lowercase

import pytest

import pytok
from tests.conftest import CORPUS

PYTOK = [sys.executable, "-m", "pytok"]
WITH_BARS = "import pytok.terminal as t; t.BAR_DELAY = 0; from pytok.__main__ import main; main()"
"""The command, with bars from the start: on a fast machine none would appear."""
TIMEOUT = 60.0
"""Seconds after which a command is assumed to hang."""
ROOT = str(Path(pytok.__file__).parents[1])

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and terminals")


@pytest.fixture(scope="module")
def tokenizer_path(trained: pytok.Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Save `trained`."""
    path = tmp_path_factory.mktemp("processes") / "tokenizer.json"
    trained.save(path)
    return str(path)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, with the package on the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ROOT)


def run(
    *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command and return its result."""
    return subprocess.run(
        [*PYTOK, *arguments],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT,
        env=os.environ | environment,
    )


def words(count: int) -> str:
    """Return *count* words of random letters, which take a while to process."""
    random = Random(7)
    return " ".join("".join(random.choices(ascii_lowercase, k=9)) for _ in range(count))


def in_shell(line: str, **names: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell, where `$pytok` is the command; *names* are further variables."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        timeout=TIMEOUT,
        env=os.environ | names | {"pytok": " ".join(PYTOK)},
    )


# -------------------------------------------------------------------------------- pipes and files


@pytest.mark.parametrize("data", ["".join(CORPUS).encode(), bytes(range(256)) * 3, b"\r\n\x1a"])
def test_bytes_survive_a_round_trip_through_pipes(data: bytes, tokenizer_path: str) -> None:
    """Line ends and characters are not translated."""
    ids = run("encode", "-t", tokenizer_path, stdin=data)
    result = run("decode", "-t", tokenizer_path, stdin=ids.stdout)

    assert (ids.returncode, ids.stderr, result.returncode, result.stderr) == (0, b"", 0, b"")
    assert result.stdout == data


@pytest.mark.parametrize("name", ["encode", "decode"])
def test_a_reader_that_stops_early_is_no_error(name: str, tokenizer_path: str) -> None:
    """`| head` closes the pipe early."""
    Path("input").write_bytes(b"1 2 3 4 5 6 7 8 9 10 " * 50_000)
    result = in_shell(f'$pytok {name} -t "$path" input | head -c 10', path=tokenizer_path)

    assert len(result.stdout) == 10
    assert result.stderr == b""


@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        ("encode -t $path input > /dev/full", b"No space left on device"),
        ("decode -t $path input > /dev/full", b"No space left on device"),
        ("show $path > /dev/full", b"No space left on device"),
        ("decode -t $path input >&-", b""),
        ("encode -t $path <&-", b"stdin"),
    ],
)
def test_a_failing_stream_is_an_error_of_one_line(
    redirection: str, message: bytes, tokenizer_path: str
) -> None:
    """The disk is full, or the stream is closed."""
    Path("input").write_bytes(b"1 2 3")
    result = in_shell(f"$pytok {redirection}", path=tokenizer_path)

    assert result.returncode == 1
    assert result.stderr.startswith(b"pytok: ")
    assert result.stderr.count(b"\n") == 1
    assert message in result.stderr


@pytest.mark.parametrize("arguments", [["show"], ["count", "-t"]])
def test_an_encoding_that_lacks_a_character_is_no_crash(
    arguments: list[str], tokenizer_path: str
) -> None:
    """Old terminals have such encodings."""
    Path("é.txt").write_text("é", encoding="utf-8")
    rest = ["é.txt"] if "count" in arguments else ["--text", "naïve 東京"]
    result = run(*arguments, tokenizer_path, *rest, PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert b"Traceback" not in result.stderr
    assert result.returncode == 0


def test_a_file_name_that_is_invalid_utf8_is_no_crash(tokenizer_path: str) -> None:
    """File names are bytes."""
    Path(os.fsdecode(b"\xff.txt")).write_bytes(b"text")
    result = run(
        *("count", "-t", tokenizer_path, os.fsdecode(b"\xff.txt")), PYTHONIOENCODING="utf-8:strict"
    )

    assert b"Traceback" not in result.stderr
    assert result.returncode == 0


def test_a_file_name_of_two_lines_is_printed_in_one() -> None:
    """Programs read stderr by lines."""
    result = run("show", "no\nsuch.json")

    assert result.returncode == 1
    assert result.stderr.count(b"\n") == 1


def test_progress_is_not_written_to_a_pipe() -> None:
    """It is written to terminals only."""
    Path("corpus.txt").write_text(words(20_000))
    result = run("train", "corpus.txt", "--vocab", "600", "--engine", "reference")

    assert (result.returncode, result.stdout) == (0, b"")
    assert result.stderr.startswith(b"tokenizer.json: 600 ids")


# ------------------------------------------------------------------------------------- terminals


@dataclass
class OnTerminal:
    """A command whose stderr is a terminal, and its output so far."""

    process: subprocess.Popen[bytes]
    terminal: int
    written: bytes = b""

    def read_until(self, text: bytes | None) -> None:
        """Read its output until *text* appears, or to the end."""
        end = time.monotonic() + TIMEOUT
        while text is None or text not in self.written:
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no output after {self.written[-300:]!r}"
            try:
                block = os.read(self.terminal, 65536)
            except OSError:  # on Linux, the other side is closed
                block = b""
            if not block:
                assert text is None, f"it ended: {self.written[-300:]!r}"
                return
            self.written += block

    def interrupt(self) -> int:
        """Send SIGINT, as Ctrl-C does; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        self.read_until(None)
        return self.process.wait(TIMEOUT)


@contextlib.contextmanager
def on_terminal(*arguments: str) -> Iterator[OnTerminal]:
    """Start a command whose stderr is a terminal."""
    terminal, command_side = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", WITH_BARS, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=command_side,
    ) as process:
        os.close(command_side)
        try:
            yield OnTerminal(process, terminal)
        finally:
            process.kill()
            os.close(terminal)


def names_in(folder: Path) -> list[str]:
    """Return the names of all files and folders, including hidden ones."""
    return sorted(path.name for path in folder.rglob("*"))


def test_bars_appear_on_a_terminal_and_restore_the_cursor() -> None:
    Path("corpus.txt").write_text(words(20_000))
    with on_terminal("train", "corpus.txt", "--vocab", "600", "--engine", "reference") as command:
        command.read_until(None)
        code = command.process.wait(TIMEOUT)

    assert code == 0
    assert b"merge" in command.written
    assert command.written.rindex(b"\x1b[?25h") > command.written.rindex(b"\x1b[?25l")
    assert command.written.splitlines()[-2].endswith(b"1 special token")


@pytest.mark.parametrize("name", ["count", "train", "shard"])
def test_an_interruption_while_reading_leaves_no_file(
    name: str, tmp_path: Path, tokenizer_path: str
) -> None:
    """The exit code is 130, without a traceback."""
    # Gigabytes of text in a few megabytes: more than is read before the signal.
    packed = gzip.compress(b"The cat sat on the mat.\n" * 1_000_000)
    (tmp_path / "corpus.txt.gz").write_bytes(packed * 100)
    options = {
        "count": ["-t", tokenizer_path],
        "train": ["--vocab", "300"],
        "shard": ["-t", tokenizer_path, "-o", "data"],
    }
    with on_terminal(name, "corpus.txt.gz", *options[name]) as command:
        command.read_until({"train": "count"}.get(name, name).encode())
        code = command.interrupt()

    assert code == 130
    assert b"Traceback" not in command.written
    assert names_in(tmp_path) == ["corpus.txt.gz"]


@pytest.mark.parametrize(("engine", "count"), [("native", 400_000), ("reference", 30_000)])
def test_an_interruption_while_merging_keeps_the_old_tokenizer(
    engine: str, count: int, tmp_path: Path
) -> None:
    """The compiled loop checks for signals."""
    pytok.train(CORPUS, 300).save("tokenizer.json")
    old = Path("tokenizer.json").read_bytes()
    Path("corpus.txt").write_text(words(count))
    with on_terminal("train", "corpus.txt", "--vocab", "300000", "--engine", engine) as command:
        command.read_until(b"merge")
        code = command.interrupt()

    assert code == 130
    assert b"Traceback" not in command.written
    assert names_in(tmp_path) == ["corpus.txt", "tokenizer.json"]
    assert Path("tokenizer.json").read_bytes() == old


def test_an_interruption_while_encoding_prints_no_traceback(tokenizer_path: str) -> None:
    """Ids are printed at the end, so none appear."""
    Path("long.txt").write_text("".join(CORPUS) * 800, encoding="utf-8")
    arguments = ["-t", tokenizer_path, "long.txt", "--engine", "reference"]
    with on_terminal("encode", *arguments) as command:
        command.read_until(b"encode")
        code = command.interrupt()

    assert code == 130
    assert b"Traceback" not in command.written


@pytest.mark.parametrize("name", ["encode", "decode"])
def test_an_interruption_while_waiting_for_input_prints_nothing(
    name: str, tmp_path: Path, tokenizer_path: str
) -> None:
    """The input is an open, empty pipe."""
    os.mkfifo("pipe")
    with (
        subprocess.Popen(
            [*PYTOK, name, "-t", tokenizer_path, "pipe"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        Path("pipe").open("wb"),
    ):  # opening blocks until the command has opened its side
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT)

    assert (process.returncode, out, err.strip()) == (130, b"", b"")
    assert names_in(tmp_path) == ["pipe"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("program", ["pytok", "gpt"])
@pytest.mark.parametrize("stdout", ["> /dev/full", ">&-"])
def test_a_full_or_closed_stdout_is_an_error(program: str, stdout: str) -> None:
    """Of both programs: what was asked for is lost."""
    command = f'"{sys.executable}" -m {program} --help {stdout}'
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True)

    assert result.returncode == 1
    assert result.stderr.startswith(f"{program}: stdout")
    assert result.stderr.count("\n") == 1
