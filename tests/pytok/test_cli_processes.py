"""The `pytok` command as a process: pipes, full disks, terminals and Ctrl-C.

Nothing here sleeps. A signal is sent on evidence: a pipe that the command has opened, or a progress
bar that it has drawn on a terminal.
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
AT_ONCE = "import pytok.terminal as t; t.PATIENCE = 0; from pytok.__main__ import main; main()"
"""The command, with bars from the beginning: a fast machine might show none."""
PATIENCE = 60.0
"""Seconds after which a command is taken to hang."""
ROOT = str(Path(pytok.__file__).parents[1])

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and terminals")


@pytest.fixture(scope="module")
def tokenizer_path(trained: pytok.Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """`trained`, saved."""
    path = tmp_path_factory.mktemp("processes") / "tokenizer.json"
    trained.save(path)
    return str(path)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, where the package is still found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ROOT)


def run(
    *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """What a command answers."""
    return subprocess.run(
        [*PYTOK, *arguments],
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        env=os.environ | environment,
    )


def words(count: int) -> str:
    """So many words of random letters: work that takes a while."""
    random = Random(7)
    return " ".join("".join(random.choices(ascii_lowercase, k=9)) for _ in range(count))


def in_shell(line: str, **names: str) -> subprocess.CompletedProcess[bytes]:
    """What a line of shell answers; `$pytok` is the command, other names are given."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        timeout=PATIENCE,
        env=os.environ | names | {"pytok": " ".join(PYTOK)},
    )


# -------------------------------------------------------------------------------- pipes and files


@pytest.mark.parametrize("data", ["".join(CORPUS).encode(), bytes(range(256)) * 3, b"\r\n\x1a"])
def test_bytes_come_back_through_pipes(data: bytes, tokenizer_path: str) -> None:
    """Nothing on the way translates line ends or characters."""
    ids = run("encode", "-t", tokenizer_path, stdin=data)
    result = run("decode", "-t", tokenizer_path, stdin=ids.stdout)

    assert (ids.returncode, ids.stderr, result.returncode, result.stderr) == (0, b"", 0, b"")
    assert result.stdout == data


@pytest.mark.parametrize("name", ["encode", "decode"])
def test_a_reader_that_has_had_enough_is_no_error(name: str, tokenizer_path: str) -> None:
    """`| head` closes the pipe early."""
    Path("input").write_bytes(b"1 2 3 4 5 6 7 8 9 10 " * 50_000)
    result = in_shell(f'$pytok {name} -t "$path" input | head -c 10', path=tokenizer_path)

    assert len(result.stdout) == 10
    assert result.stderr == b""


@pytest.mark.parametrize(
    ("redirection", "said"),
    [
        ("encode -t $path input > /dev/full", b"No space left on device"),
        ("decode -t $path input > /dev/full", b"No space left on device"),
        ("show $path > /dev/full", b"No space left on device"),
        ("decode -t $path input >&-", b""),
        ("encode -t $path <&-", b"stdin"),
    ],
)
def test_a_stream_that_does_not_work_is_one_line(
    redirection: str, said: bytes, tokenizer_path: str
) -> None:
    """A full disk, or a closed one."""
    Path("input").write_bytes(b"1 2 3")
    result = in_shell(f"$pytok {redirection}", path=tokenizer_path)

    assert result.returncode == 1
    assert result.stderr.startswith(b"pytok: ")
    assert result.stderr.count(b"\n") == 1
    assert said in result.stderr


@pytest.mark.parametrize("arguments", [["show"], ["count", "-t"]])
def test_a_stdout_that_cannot_hold_a_character_is_no_crash(
    arguments: list[str], tokenizer_path: str
) -> None:
    """Such as that of an old terminal."""
    Path("é.txt").write_text("é", encoding="utf-8")
    rest = ["é.txt"] if "count" in arguments else ["--text", "naïve 東京"]
    result = run(*arguments, tokenizer_path, *rest, PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert b"Traceback" not in result.stderr
    assert result.returncode == 0


def test_file_names_that_are_not_utf8_are_no_crash(tokenizer_path: str) -> None:
    """A name is bytes to the system."""
    Path(os.fsdecode(b"\xff.txt")).write_bytes(b"text")
    result = run(
        *("count", "-t", tokenizer_path, os.fsdecode(b"\xff.txt")), PYTHONIOENCODING="utf-8:strict"
    )

    assert b"Traceback" not in result.stderr
    assert result.returncode == 0


def test_a_file_name_of_two_lines_is_reported_on_one() -> None:
    """Programs read stderr by lines."""
    result = run("show", "no\nsuch.json")

    assert result.returncode == 1
    assert result.stderr.count(b"\n") == 1


def test_progress_is_not_written_to_a_pipe() -> None:
    """Only where a person is looking."""
    Path("corpus.txt").write_text(words(20_000))
    result = run("train", "corpus.txt", "--vocab", "600", "--engine", "reference")

    assert (result.returncode, result.stdout) == (0, b"")
    assert result.stderr.startswith(b"tokenizer.json: 600 ids")


# ------------------------------------------------------------------------------------- terminals


@dataclass
class OnTerminal:
    """A command whose stderr is a terminal, and what it has written there."""

    process: subprocess.Popen[bytes]
    terminal: int
    written: bytes = b""

    def read_until(self, text: bytes | None) -> None:
        """Read what it writes until *text* is there, or to the end."""
        end = time.monotonic() + PATIENCE
        while text is None or text not in self.written:
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"nothing more came after {self.written[-300:]!r}"
            try:
                block = os.read(self.terminal, 65536)
            except OSError:  # how Linux says that the other side is closed
                block = b""
            if not block:
                assert text is None, f"it ended: {self.written[-300:]!r}"
                return
            self.written += block

    def interrupt(self) -> int:
        """Press Ctrl-C, as it were; the exit code."""
        self.process.send_signal(signal.SIGINT)
        self.read_until(None)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def on_terminal(*arguments: str) -> Iterator[OnTerminal]:
    """Start a command whose stderr is a terminal."""
    terminal, their_side = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", AT_ONCE, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=their_side,
    ) as process:
        os.close(their_side)
        try:
            yield OnTerminal(process, terminal)
        finally:
            process.kill()
            os.close(terminal)


def names_in(folder: Path) -> list[str]:
    """All files and folders, hidden ones too."""
    return sorted(path.name for path in folder.rglob("*"))


def test_bars_appear_on_a_terminal_and_end_with_it_tidy() -> None:
    """Both stages, and the cursor that they hid is shown again."""
    Path("corpus.txt").write_text(words(20_000))
    with on_terminal("train", "corpus.txt", "--vocab", "600", "--engine", "reference") as command:
        command.read_until(None)
        code = command.process.wait(PATIENCE)

    assert code == 0
    assert b"merge" in command.written
    assert command.written.rindex(b"\x1b[?25h") > command.written.rindex(b"\x1b[?25l")
    assert command.written.rstrip().endswith(b"1 special token")


@pytest.mark.parametrize("name", ["count", "train", "shard"])
def test_interrupted_while_reading_it_leaves_nothing(
    name: str, tmp_path: Path, tokenizer_path: str
) -> None:
    """Exit code 130, no traceback, no file."""
    # Gigabytes of text in some megabytes: more than is read before Ctrl-C comes.
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
def test_interrupted_while_merging_it_keeps_the_old_tokenizer(
    engine: str, count: int, tmp_path: Path
) -> None:
    """Also where the loop is compiled."""
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


def test_interrupted_while_encoding_it_prints_no_traceback(tokenizer_path: str) -> None:
    """The ids are printed at the end, so there are none."""
    Path("long.txt").write_text("".join(CORPUS) * 800, encoding="utf-8")
    arguments = ["-t", tokenizer_path, "long.txt", "--engine", "reference"]
    with on_terminal("encode", *arguments) as command:
        command.read_until(b"encode")
        code = command.interrupt()

    assert code == 130
    assert b"Traceback" not in command.written


@pytest.mark.parametrize("name", ["encode", "decode"])
def test_interrupted_while_waiting_for_input_it_says_nothing(
    name: str, tmp_path: Path, tokenizer_path: str
) -> None:
    """A pipe that is open and stays empty."""
    os.mkfifo("pipe")
    with (
        subprocess.Popen(
            [*PYTOK, name, "-t", tokenizer_path, "pipe"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        Path("pipe").open("wb"),
    ):  # which returns once the command has opened its side
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out, err.strip()) == (130, b"", b"")
    assert names_in(tmp_path) == ["pipe"]
