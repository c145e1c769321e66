"""The `pytok` command, run in this process: stdout, stderr and exit codes.

Tests that need another process (pipes, signals, terminals) are in test_cli_processes.
"""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from unittest import mock

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.__main__ import COMMANDS, main
from pytok.commands.help import LazyCommand
from pytok.engine import EngineName
from pytok.errors import LONGEST, PytokError
from pytok.shards import open_shards
from tests.conftest import CORPUS
from tests.pytok.strategies import texts, with_specials

END = "<|endoftext|>"
TEXT = "".join(CORPUS)


@dataclass(frozen=True)
class Result:
    """The exit code and output of a command."""

    code: int
    out: bytes
    err: str


class _Stdin(io.BytesIO):
    name = "<stdin>"


def command(*arguments: object, stdin: bytes = b"") -> Result:
    """Run ``pytok`` with *arguments*."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    code = 0
    with (
        mock.patch.object(sys, "argv", ["pytok", *map(str, arguments)]),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(_Stdin(stdin))),
        mock.patch.object(sys, "stdout", out),
        mock.patch.object(sys, "stderr", err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        out.flush()
        err.flush()
    written = [stream.detach().getvalue() for stream in (out, err)]
    return Result(code, written[0], written[1].decode())


def check_failure(result: Result, message: str) -> None:
    """Check that a command failed and printed one line, with *message* in it, on stderr."""
    assert (result.code, result.out) == (1, b"")
    assert result.err.startswith("pytok: ")
    assert result.err.index("\n") == len(result.err) - 1
    assert message in result.err


@pytest.fixture(scope="session")
def tokenizer_path(trained: pytok.Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save `trained`."""
    path = tmp_path_factory.mktemp("command") / "tokenizer.json"
    trained.save(path)
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a corpus."""
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text(TEXT, encoding="utf-8", newline="")


# ------------------------------------------------------------------------------------------ help


@pytest.mark.parametrize("lazy", COMMANDS, ids=lambda lazy: lazy.name)
def test_help_lists_every_option(lazy: LazyCommand) -> None:
    result = command(lazy.name, "--help")

    assert (result.code, result.err) == (0, "")
    for parameter in lazy.load().params:
        if isinstance(parameter, click.Option):
            assert all(option in result.out.decode() for option in parameter.opts)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["train", "-h"]])
def test_help_is_no_error(arguments: list[str]) -> None:
    """It is printed on stdout."""
    result = command(*arguments)

    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(b"Usage: ")


def test_version_is_printed() -> None:
    result = command("--version")

    assert (result.code, result.err, result.out.count(b"\n")) == (0, "", 1)


# -------------------------------------------------------------------------------------- commands


def test_train_writes_the_tokenizer_of_the_library(engine: EngineName) -> None:
    """The command makes one call; stdout stays empty."""
    result = command("train", "corpus.txt", "--vocab", 300, "--engine", engine)

    assert (result.code, result.out) == (0, b"")
    assert "tokenizer.json: 300 ids: 256 bytes, 43 merges, 1 special token\n" in result.err
    expected = pytok.train([TEXT], 300)
    assert pytok.load("tokenizer.json").fingerprint == expected.fingerprint


@pytest.mark.parametrize(
    ("options", "specials"),
    [
        ([], {END: 299}),
        (["--no-special"], {}),
        (["--special", "<a>", "--special", "<b>"], {"<a>": 298, "<b>": 299}),
    ],
)
def test_train_takes_special_tokens(options: list[str], specials: dict[str, int]) -> None:
    """They have the last ids."""
    command("train", "corpus.txt", "--vocab", 300, "-o", "t.json", *options)

    assert pytok.load("t.json").special_tokens == specials


def test_train_says_that_the_corpus_is_too_small() -> None:
    """The message goes to stderr; the smaller vocabulary is written."""
    Path("small.txt").write_text("banana")
    result = command("train", "small.txt", "--vocab", 5000)

    assert (result.code, result.out) == (0, b"")
    assert "the corpus has no more pairs to merge: the vocabulary has 261 ids, not 5,000" in (
        result.err
    )
    assert pytok.load("tokenizer.json").n_vocab == 261


def test_train_replaces_invalid_bytes_if_asked() -> None:
    Path("bad.txt").write_bytes(b"a\xffb" * 9)

    assert command("train", "bad.txt", "--vocab", 260, "--errors", "replace").code == 0


@given(text=texts() | with_specials([END]))
def test_encode_prints_the_ids_of_ordinary_text(
    text: str, trained: pytok.Tokenizer, tokenizer_path: Path, engine: EngineName
) -> None:
    """Special tokens in it are ordinary text."""
    result = command("encode", "-t", tokenizer_path, "--engine", engine, stdin=text.encode())

    assert (result.code, result.err) == (0, "")
    assert list(map(int, result.out.split())) == trained.encode_ordinary(text)


@given(text=with_specials([END]))
def test_encode_recognizes_special_tokens_if_asked(
    text: str, trained: pytok.Tokenizer, tokenizer_path: Path
) -> None:
    result = command("encode", "-t", tokenizer_path, "--special", "--json", stdin=text.encode())

    assert json.loads(result.out) == trained.encode(text, allowed_special="all")


@given(data=st.binary() | texts().map(str.encode))
def test_decode_restores_what_was_encoded(
    data: bytes, tokenizer_path: Path, engine: EngineName
) -> None:
    ids = command("encode", "-t", tokenizer_path, "--engine", engine, stdin=data)
    result = command("decode", "-t", tokenizer_path, "--engine", engine, stdin=ids.out)

    assert (ids.code, ids.err, result.code, result.err) == (0, "", 0, "")
    assert result.out == data


@pytest.mark.parametrize("data", [b"", b"one\xfftwo", "naïve\r\n  ".encode()])
def test_decode_reads_json(data: bytes, tokenizer_path: Path) -> None:
    """`encode --json` writes it; an empty text is an empty list."""
    ids = command("encode", "-t", tokenizer_path, "--json", stdin=data)

    assert isinstance(json.loads(ids.out), list)
    assert command("decode", "-t", tokenizer_path, stdin=ids.out).out == data


def test_count_counts_each_file(
    tokenizer_path: Path, trained: pytok.Tokenizer, engine: EngineName
) -> None:
    """Special tokens are ordinary text."""
    texts_of = {"corpus.txt": TEXT, "special.txt": END, "empty.txt": ""}
    for name, text in texts_of.items():
        Path(name).write_bytes(text.encode())
    result = command("count", "-t", tokenizer_path, *texts_of, "--json", "--engine", engine)

    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == [
        {"file": name, "tokens": len(trained.encode_ordinary(text)), "bytes": len(text.encode())}
        for name, text in texts_of.items()
    ]


def test_count_prints_a_total(tokenizer_path: Path, trained: pytok.Tokenizer) -> None:
    """The total is the last row if there are several files."""
    Path("more.txt").write_bytes(b"more")
    rows = command("count", "-t", tokenizer_path, "corpus.txt", "more.txt").out.decode().split("\n")

    total = len(trained.encode(TEXT)) + len(trained.encode("more"))
    assert rows[2].split()[:2] == [f"{total:,}", "tokens"]
    assert rows[2].endswith("total")


def test_show_prints_the_parts_of_a_tokenizer(
    tokenizer_path: Path, trained: pytok.Tokenizer, engine: EngineName
) -> None:
    result = command("show", tokenizer_path, "--text", "[b]é\n", "--json", "--engine", engine)

    facts = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert facts["ids"] == 600
    assert facts["merges"] == 343
    assert facts["pattern"] == "cl100k"
    assert facts["special_tokens"] == {END: 599}
    assert facts["fingerprint"] == trained.fingerprint
    assert facts["text_ids"] == trained.encode("[b]é\n")


@pytest.mark.parametrize("text", ["[bold]not markup[/bold]", "naïve 東京 👋🏽", "", "\\[", "[/]"])
def test_show_shows_how_a_text_is_split(
    text: str, tokenizer_path: Path, trained: pytok.Tokenizer
) -> None:
    """It prints the text, bars between its tokens where there are no colors, then the ids."""
    result = command("show", tokenizer_path, "--text", text)

    assert (result.code, result.err) == (0, "")
    assert text in result.out.decode().replace("|", "")
    assert f"{len(trained.encode(text))} tokens" in result.out.decode()


def test_shard_writes_a_folder_and_its_size(tokenizer_path: Path, trained: pytok.Tokenizer) -> None:
    """The numbers of tokens go to stderr."""
    result = command("shard", "corpus.txt", "-t", tokenizer_path, "-o", "data", "--val", 0)

    written = open_shards("data")
    written.check(trained.fingerprint)
    assert (result.code, result.out) == (0, b"")
    assert f"data: train: {written.splits['train'].tokens:,} tokens" in result.err
    assert written.splits["train"].bytes == len(TEXT.encode())


def test_convert_there_and_back_changes_nothing(
    tokenizer_path: Path, trained: pytok.Tokenizer
) -> None:
    """Pattern and special tokens of a .tiktoken file are passed as printed."""
    there = command("convert", tokenizer_path, "t.tiktoken")
    back = command(
        *("convert", "t.tiktoken", "t.json", "--pattern", "cl100k", "--special-token", f"{END}=599")
    )

    assert (there.code, back.code) == (0, 0)
    assert f"pass --pattern cl100k --special-token '{END}=599'" in there.err
    assert pytok.load("t.json").fingerprint == trained.fingerprint


def test_convert_names_a_few_special_tokens_only(tokenizer_path: Path) -> None:
    """Llama-3 reserves hundreds, which no terminal could show."""
    tokens = [word for n in range(20) for word in ("--add-special", f"<{n}>")]
    result = command("convert", tokenizer_path, "t.tiktoken", *tokens)

    assert "and so on for 13 more special tokens" in result.err
    assert "<19>" not in result.err


def test_convert_adds_special_tokens(tokenizer_path: Path, trained: pytok.Tokenizer) -> None:
    """With the ids after the greatest, in their order."""
    added = ("--add-special", "<|a|>", "--add-special", "<|b|>")
    result = command("convert", tokenizer_path, "t.json", *added)

    assert (result.code, "t.json: 602 ids" in result.err) == (0, True)
    expected = trained.with_special_tokens(["<|a|>", "<|b|>"]).fingerprint
    assert pytok.load("t.json").fingerprint == expected


def test_an_encoding_can_be_used_as_a_tokenizer(rank_files: Path) -> None:
    assert command("encode", "-t", "r50k_base", stdin=b"hello world").out == b"31373 995\n"


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train none.txt --vocab 300", "none.txt: "),
        ("train bad.txt --vocab 300", "bad.txt: byte 2 is not UTF-8"),
        ("train corpus.txt --vocab 256", "256"),
        ("train corpus.txt --vocab 99999999999999999999", "99999999999999999999"),
        ("train corpus.txt --vocab 300 --pattern (", "the pattern does not compile: "),
        ("train corpus.txt --vocab 300 --pattern \udcff", "pattern"),
        ("train corpus.txt --vocab 300 --special \udcff", "special token"),
        ("train corpus.txt --vocab 300 --special a --special a", "listed twice"),
        ("train corpus.txt --vocab 300 -o t.txt", "t.txt: unknown format '.txt'"),
        ("train corpus.txt --vocab 300 -o none/t.json", "none"),
        ("encode -t none.json corpus.txt", "none.json: no such file or encoding"),
        ("encode -t cl100k corpus.txt", "cl100k_base"),
        ("encode -t corpus.txt corpus.txt", "corpus.txt: not a tokenizer that pytok knows"),
        ("encode -t bad.txt corpus.txt", "bad.txt: this is binary data of an unknown format"),
        ("encode -t TOKENIZER --special bad.txt", "byte 2 is not UTF-8"),
        ("decode -t TOKENIZER words.txt", "words.txt: word 3: 'x' is not an id"),
        ("decode -t TOKENIZER unknown.txt", "99999"),
        ("decode -t TOKENIZER negative.txt", "negative.txt: "),
        ("decode -t TOKENIZER long.txt", "long.txt: word 2: '999"),
        ("count -t TOKENIZER none.txt", "none.txt: "),
        ("count -t TOKENIZER bad.txt", "bad.txt: byte 2 is not UTF-8"),
        ("show none.json", "none.json: no such file or encoding"),
        ("shard none.txt -t TOKENIZER -o data", "none.txt: "),
        ("shard bad.txt -t TOKENIZER -o data", "bad.txt: byte 2 is not UTF-8"),
        ("shard corpus.txt -t TOKENIZER -o folder", "'a.txt' and is not a shard folder"),
        ("convert TOKENIZER t.txt", "t.txt: unknown format '.txt'"),
        ("convert ranks.tiktoken t.json", "pass it, for example 'cl100k'"),
        ("convert TOKENIZER t.json --pattern gpt2", "do not pass any"),
    ],
)
@pytest.mark.parametrize("side", ["native", "reference"])
def test_a_failure_is_one_line(
    arguments: str, message: str, side: str, tokenizer_path: Path, trained: pytok.Tokenizer
) -> None:
    """It says what is wrong and where; the exit code is 1."""
    trained.save("ranks.tiktoken")
    Path("folder").mkdir()
    Path("folder/a.txt").touch()
    Path("bad.txt").write_bytes(b"ab\xffcd")
    Path("words.txt").write_bytes(b"1 2 x 3")
    Path("unknown.txt").write_bytes(b"1 99999")
    Path("negative.txt").write_bytes(b"1 -1")
    Path("long.txt").write_bytes(b"1 " + b"9" * 5000)
    words = arguments.replace("TOKENIZER", str(tokenizer_path)).split(" ")
    options = [] if words[0] == "convert" else ["--engine", side]

    check_failure(command(*words, *options), message)


@pytest.mark.parametrize("out", ["t.txt", "none/t.json", "none/folder"])
def test_an_unwritable_target_is_an_error_before_training(out: str) -> None:
    """Training can take hours."""
    with mock.patch.object(pytok, "train", _raise(AssertionError("it trained"))):
        result = command("train", "corpus.txt", "--vocab", 300, "-o", out)

    check_failure(result, out.partition("/")[0])


@pytest.mark.parametrize(
    "arguments",
    [
        *("", "none", "train", "train corpus.txt", "train --vocab 300", "--none"),
        *("train corpus.txt --vocab 255", "train corpus.txt --vocab x", "encode"),
        *("train corpus.txt --vocab 300 --engine x", "train corpus.txt --vocab 300 --threads 0"),
        *("encode -t x none.txt", "encode -t x .", "count -t x", "show", "show a b"),
        *("shard corpus.txt -t x", "shard corpus.txt -t x -o y --val 1", "convert a"),
        *(
            "convert a b --special-token x",
            "convert a b --special-token x=y",
            "convert a b --special-token x=²",
        ),
    ],
)
def test_wrong_usage_is_explained(arguments: str) -> None:
    """Usage goes to stderr, with exit code 2."""
    result = command(*arguments.split())

    assert (result.code, result.out) == (2, b"")
    assert result.err.startswith("Usage: ")


def _raise(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*arguments: object, **options: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "out of memory"),
        (OSError(28, "No space left on device", "t.json"), "t.json: No space left on device"),
        (ImportError("the compiled engine is missing: install it"), "compiled engine is missing"),
        (MemoryError("cannot start threads"), "out of memory: cannot start threads"),
        (pytok.errors.PytokError("one\ntwo"), "one"),
        (pytok.errors.PytokError("a\r\x0b\x85\u2028\x1b[2Jb"), "a\\x0d\\x0b\\x85\\u2028\\x1b[2Jb"),
    ],
)
def test_an_expected_error_is_one_line(error: Exception, message: str) -> None:
    """Errors of the operating system are expected, too."""
    with mock.patch.object(pytok, "train", _raise(error)):
        check_failure(command("train", "corpus.txt", "--vocab", 300), message)


def test_an_interruption_is_no_error() -> None:
    """The exit code is 130, as in shells."""
    with mock.patch.object(pytok, "train", _raise(KeyboardInterrupt())):
        result = command("train", "corpus.txt", "--vocab", 300)

    assert (result.code, result.out, result.err.strip()) == (130, b"", "")


def test_an_unforeseen_error_is_one_line_with_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tokenizer_path: Path
) -> None:
    """A damaged file can raise what nobody has thought of; a variable shows the traceback."""

    def fail(*arguments: object, **options: object) -> NoReturn:
        raise KeyError("a" * 13_000)

    monkeypatch.setattr("pytok.corpus.read_parts", fail)
    monkeypatch.setattr("pytok.corpus.is_one_text", lambda *arguments, **options: False)
    monkeypatch.setattr(sys, "argv", ["pytok", "count", "-t", str(tokenizer_path), "corpus.txt"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err

    assert ended.value.code == 1
    assert said.startswith(f"pytok: corpus.txt, {tokenizer_path}: KeyError: 'aaa")
    assert said.count("\n") == 1
    assert len(said) < 1000

    monkeypatch.setenv("PYTOK_TRACEBACK", "1")
    with pytest.raises(KeyError):
        main()


def test_a_message_does_not_repeat_a_file() -> None:
    """What it quotes has its beginning and its end."""
    message = PytokError("t.json: type is " + "a" * 13_000 + ": use BPE").message

    assert message.startswith("t.json: type is aaa")
    assert message.endswith("aaa: use BPE")
    assert len(message) <= LONGEST
