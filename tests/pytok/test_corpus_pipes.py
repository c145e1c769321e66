"""Pipes as corpora: named pipes, process substitution and standard input.

The oracle is the same content as a file. A thread or another process writes the pipe.
"""

import bz2
import functools
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard

import pytok
from pytok import report, shards
from pytok.corpus import Format, is_pipe, read_documents, read_parts, resolve, size
from pytok.engine import EngineName
from pytok.errors import CorpusError
from tests.conftest import CORPUS
from tests.pytok.archives import tar_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="named pipes")

TEXT = "".join(CORPUS).encode()
PYTOK = [sys.executable, "-m", "pytok"]
TIMEOUT = 60.0
"""Seconds after which a command is assumed to hang."""


@contextmanager
def pipe(path: Path, content: bytes) -> Iterator[Path]:
    """Return a context with a pipe at *path*, into which a thread writes *content*."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,), daemon=True)
    writer.start()
    yield path
    writer.join(TIMEOUT)
    assert not writer.is_alive(), "it was not read"


def lines(documents: list[str]) -> bytes:
    return "".join(json.dumps({"text": each}) + "\n" for each in documents).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pipe", TEXT),
        ("pipe.txt", TEXT),
        ("pipe.gz", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT)),
        ("zstd", zstandard.ZstdCompressor().compress(TEXT)),
        ("xz", lzma.compress(TEXT)),
        ("bzip2", bz2.compress(TEXT)),
        ("tar", tar_of({"a.txt": TEXT})),
        ("tgz", gzip.compress(tar_of({"a.txt": TEXT}))),
        ("empty", b""),
    ],
)
def test_a_pipe_is_read_by_its_content(name: str, content: bytes, tmp_path: Path) -> None:
    """Plain, compressed or a tar."""
    with pipe(tmp_path / name, content) as path:
        assert "".join(read_documents(path)) == ("" if name == "empty" else TEXT.decode())


@pytest.mark.parametrize("name", ["pipe", "pipe.jsonl"])
@pytest.mark.parametrize("first", ["one", "long " * 50_000])
def test_json_lines_in_a_pipe_are_recognized(name: str, first: str, tmp_path: Path) -> None:
    """By the first line, however long, or by the suffix."""
    with pipe(tmp_path / name, lines([first, "two"])) as path:
        assert list(read_documents(path)) == [first, "two"]


@pytest.mark.parametrize(
    "content", ['{"text": "one"}\n', '{\n"text": "one"}\n', "{one}\n", "{", "[1]"]
)
def test_other_text_in_a_pipe_is_text(content: str, tmp_path: Path) -> None:
    """Also JSON lines, by the suffix; and their format can be given."""
    with pipe(tmp_path / "pipe.txt", content.encode()) as path:
        assert list(read_documents(path)) == [content]
    format: Format | None = "text" if content.startswith('{"') else None
    with pipe(tmp_path / "pipe", content.encode()) as path:
        assert list(read_documents(path, format=format)) == [content]


@pytest.mark.parametrize("format", ["text", "jsonl"])
def test_counts_of_a_pipe_are_those_of_a_file(
    format: str, tmp_path: Path, engine: EngineName
) -> None:
    """Also between files, on both engines."""
    content = TEXT if format == "text" else lines(CORPUS)
    suffix = {"text": "txt", "jsonl": "jsonl"}[format]
    (tmp_path / f"file.{suffix}").write_bytes(content)
    (tmp_path / "other.txt").write_bytes(TEXT)
    with pipe(tmp_path / f"pipe.{suffix}", content) as path:
        piped = pytok.count_pieces([path, tmp_path / "other.txt"], engine=engine)

    plain = pytok.count_pieces([tmp_path / "other.txt", tmp_path / f"file.{suffix}"], engine=engine)

    assert sorted(piped.items()) == sorted(plain.items())


def test_progress_of_a_pipe_has_no_total(tmp_path: Path) -> None:
    """The bytes that were read, of 0: unknown."""
    reports: list[tuple[int, int]] = []
    with pipe(tmp_path / "pipe", TEXT) as path:
        pytok.count_pieces(path, progress=lambda *report: reports.append(report))

    assert reports[-1] == (len(TEXT), 0)


def test_the_size_of_a_pipe_is_unknown(tmp_path: Path) -> None:
    """And so is that of a corpus with a pipe; a folder does not stand for its pipes."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.txt").write_bytes(TEXT)

    assert resolve([tmp_path / "pipe"]) == [tmp_path / "pipe"]
    assert is_pipe(tmp_path / "pipe")
    assert resolve(tmp_path) == [tmp_path / "a.txt"]
    assert size([tmp_path / "a.txt", tmp_path / "pipe"]) == 0


def test_a_pipe_named_twice_is_rejected(tmp_path: Path) -> None:
    """It can be read only once."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(CorpusError, match="named twice, but a pipe can be read only once"):
        resolve([tmp_path / "pipe", tmp_path / "pipe"])
    with pytest.raises(CorpusError, match="named twice"):
        resolve(["-", "-"])


@pytest.mark.parametrize("name", ["a.parquet", "a.zip"])
def test_a_form_that_is_read_from_its_end_is_rejected(name: str, tmp_path: Path) -> None:
    """Without opening the pipe, which would wait for a writer."""
    os.mkfifo(tmp_path / name)

    with pytest.raises(CorpusError, match="is read from its end, which a pipe does not have"):
        list(read_parts(tmp_path / name))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\xffb", "byte 1 is not UTF-8"),
        (b"PK\3\4" + b"\0" * 600, "this is a zip archive"),
        (b"PAR1\x15" + b"\0" * 600, "this is a parquet file"),
        (gzip.compress(TEXT)[:-9], "cannot be read"),
    ],
)
@pytest.mark.parametrize("val", [0, 0.1])
def test_invalid_content_of_a_pipe_is_an_error(
    content: bytes, message: str, val: float, trained: pytok.Tokenizer, tmp_path: Path
) -> None:
    """Also where text is not decoded: it cannot be read a second time to find the byte."""
    with pipe(tmp_path / "pipe", content) as path, pytest.raises(CorpusError, match=message):
        shards.write(path, trained, tmp_path / "data", val=val)


@pytest.mark.parametrize("options", [{"split": "tail"}, {"split": "documents"}, {"val": 0}])
def test_shards_of_a_pipe_are_those_of_a_file(
    options: dict[str, object], trained: pytok.Tokenizer, tmp_path: Path
) -> None:
    """The end of the text can be held out although the size is not known before."""
    content = lines([text * 3 for text in CORPUS])
    (tmp_path / "file.jsonl").write_bytes(content)
    with pipe(tmp_path / "pipe.jsonl", content) as path:
        shards.write(path, trained, tmp_path / "piped", **options)  # type: ignore[arg-type]

    shards.write(tmp_path / "file.jsonl", trained, tmp_path / "plain", **options)  # type: ignore[arg-type]

    names = sorted(path.name for path in (tmp_path / "plain").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "piped").iterdir())
    for name in names:
        assert (tmp_path / "piped" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_text_that_is_read_twice_cannot_be_a_pipe(tmp_path: Path) -> None:
    """The split of a tokenizer's training needs its size first."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(CorpusError, match=r"a pipe can be read only once: .* to a file first"):
        list(shards.training_text(tmp_path / "pipe", val=0.1, pattern="gpt2"))


def test_stdin_can_be_an_object_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in notebooks and tests; the name ``-`` means standard input in a str only."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from memory")))

    assert list(read_documents("-")) == ["from memory"]


def test_a_file_named_like_stdin_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Path, or ``./-``."""
    monkeypatch.chdir(tmp_path)
    Path("-").write_text("a file")

    assert list(read_documents(Path("-"))) == list(read_documents("./-")) == ["a file"]


def test_files_to_encode_can_be_pipes(
    engine: EngineName, twins: dict[EngineName, pytok.Tokenizer], tmp_path: Path
) -> None:
    """They are read, not mapped: a mapped file that changes is no longer what was checked."""
    with pipe(tmp_path / "pipe", TEXT) as path:
        ids, _ = twins[engine].encode_files([path])

    assert ids.tolist() == twins[engine].encode_ordinary(TEXT.decode())


# ------------------------------------------------------------------------------------ commands


@pytest.fixture
def tokenizer_path(
    trained: pytok.Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Save `trained`, and work in the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(pytok.__file__).parents[1]))
    trained.save("tokenizer.json")
    return "tokenizer.json"


def run(command: str, stdin: bytes = TEXT) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash, where ``$pytok`` is the command."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT,
        env=os.environ | {"pytok": " ".join(PYTOK)},
    )


@pytest.mark.parametrize("source", ["-", "/dev/stdin", "<(cat)", "<(gzip)"])
def test_commands_read_stdin_and_substituted_processes(source: str, tokenizer_path: str) -> None:
    """Each with the result of a file."""
    Path("file.txt").write_bytes(TEXT)
    commands: dict[str, Callable[[str], str]] = {
        "train": lambda source: f"$pytok train {source} --vocab 300 -o out.json && cat out.json",
        "count": lambda source: f"$pytok count -t {tokenizer_path} {source} --json",
        "shard": lambda source: (
            f"$pytok shard {source} -t {tokenizer_path} -o out --overwrite"
            " && cat out/train_000000.bin"
        ),
        "show": lambda source: f"$pytok show {tokenizer_path} --corpus {source} --json",
    }
    for command in commands.values():
        piped, plain = (run(command(each)) for each in (source, "file.txt"))

        assert (piped.returncode, plain.returncode) == (0, 0), piped.stderr
        shown = piped.stdout.replace(b"/dev/stdin", b"file.txt")
        if not source.startswith("<"):
            assert shown == plain.stdout
        assert len(piped.stdout) > 10


def test_a_report_needs_a_file(tokenizer_path: str) -> None:
    """The corpus is measured after training; said before anything is read."""
    result = run("$pytok train - --vocab 300 --report page.html")

    assert result.returncode == 1
    assert b"a pipe can be read only once: remove --report" in result.stderr


@pytest.mark.parametrize("command", ["train --vocab 300", "count -t tokenizer.json"])
def test_commands_say_how_many_rows_they_skipped(command: str, tokenizer_path: str) -> None:
    """In one line for all files."""
    Path("a.jsonl").write_text('{"text": null}\n{"text": "hello hello"}\n')
    Path("b.jsonl").write_text('{"id": 1}\n{"text": "hello hello"}\n')
    result = run(f"$pytok {command} a.jsonl b.jsonl --missing skip")

    assert result.returncode == 0
    assert result.stderr.count(b"skipped 2 of 4 rows without text\n") == 1


@pytest.mark.parametrize("count", [1, 30, 5000])
def test_excerpts_of_a_pipe_are_spread_over_it(
    count: int, trained: pytok.Tokenizer, tmp_path: Path
) -> None:
    """Although its size is not known before."""
    lines = [f"line {number:04} of many, each of which is there once" for number in range(count)]
    with pipe(tmp_path / "pipe", "\n".join(lines).encode()) as path:
        usage = report.measure(trained, path).usage
    assert usage is not None
    numbers = [int(text.split()[1]) for text in usage.excerpts]

    assert numbers == sorted(set(numbers))
    assert numbers[0] == 0
    assert numbers[-1] >= count * 3 // 4 - 7
    assert len(numbers) <= 16


@pytest.mark.parametrize(
    "arguments",
    [
        ["count", "-t", "t.json"],
        ["count-pieces", "-o", "counts.parquet"],
        ["train", "--vocab", "300", "-o", "new.json"],
        ["shard", "-t", "t.json", "-o", "shards"],
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_text_that_is_piped_into_a_command_needs_no_name(
    arguments: list[str], tmp_path: Path
) -> None:
    """A terminal and /dev/null are no text: without a name they are a mistake."""
    pytok.train(["she sells sea shells"], 262).save(tmp_path / "t.json")
    command = [sys.executable, "-m", "pytok", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = functools.partial(
        subprocess.run, command, cwd=tmp_path, env=environment, capture_output=True, check=False
    )

    assert run(input=b"she sells sea shells\n" * 9).returncode == 0
    nothing = run(stdin=subprocess.DEVNULL)
    assert nothing.returncode == 2
    assert b"name files, or pipe text" in nothing.stderr
