"""`gpt chat`: input, output, and how it ends."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import pytok
from gpt.__main__ import main
from gpt.clone.record import write_record
from gpt.commands.terminal_chat import completions, converse
from gpt.generation.conversation import ChatSession, Roles
from gpt.generation.sampling import Sampling
from pytok.chat.building import build
from pytok.chat.template import Conversation, write_conversations
from tests.gpt.talks import GROUP, chat_tokenizer, group_of, leaning, lively, talk_of, two_steps
from tests.pytok.chat.histories import long_history

PATIENCE = 60.0
"""Seconds to wait for the output of a process."""


@pytest.fixture(scope="module")
def bpe() -> pytok.Tokenizer:
    """Return `chat_tokenizer`, made once."""
    return chat_tokenizer()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps on a chat of Ada, Bo and Cy."""
    folder = tmp_path_factory.mktemp("chat")
    build(long_history(30), folder / "data", me="Ada", vocab=300)
    return two_steps(folder, context=32)


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Make *lines* the content of stdin."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_each_line_of_a_pipe_is_answered(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stdout, after the name; empty lines are skipped."""
    typed(monkeypatch, "Hello!", "", "And you?")
    code = main(["chat", str(run), "--as", "bo", "--device", "cpu", "--tokens", "4"])

    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert out.count("Ada: ") == 2


def test_in_a_group_you_are_the_one_who_writes_most(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the person that the model plays; one line says so, and how to be another."""
    typed(monkeypatch, "Hello!")
    code = main(["chat", str(run), "--device", "cpu", "--tokens", "4"])

    out, err = capsys.readouterr()
    assert (code, err) == (0, "you are Bo; to be someone else, pass --as NAME\n")
    assert out.startswith("Ada: ")


def test_unknown_roles_are_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It lists the possible names."""
    assert main(["chat", str(run), "--as", "Eve"]) == 1
    assert capsys.readouterr().err == "gpt: 'Eve' is not one of the senders: 'Ada', 'Bo', 'Cy'\n"


def test_the_names_that_nobody_plays_are_listed(
    bpe: pytok.Tokenizer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the option that makes you one of them."""
    typed(monkeypatch, "/who")
    converse(ChatSession(leaning(bpe), bpe, GROUP, Roles.of(GROUP, "Di", ["Bo"])))

    out = capsys.readouterr().out
    assert "you are Di; the model is Bo\nto be someone else, start with --as NAME: Ada, Cy\n" in out


@pytest.mark.parametrize("path", ["clone", "clone/run"])
def test_an_unfinished_clone_is_named_as_such(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error has the command that resumes it."""
    monkeypatch.chdir(tmp_path)
    write_record(Path("clone"), "chat.jsonl", {})

    assert main(["chat", path]) == 1
    assert capsys.readouterr().err == (
        f"gpt: {path}: its training has not finished; the same `gpt clone` command resumes it\n"
    )


def test_lines_of_a_turn_are_indented_below_its_name(
    bpe: pytok.Tokenizer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And control characters are escaped, so no line looks like another turn."""
    newline, escape = (bpe.encode_ordinary(text)[0] for text in "\n\x1b")
    model = leaning(bpe)
    with torch.no_grad():
        model.head.weight[newline] = 2.0
        model.head.weight[escape] = 1.5
    typed(monkeypatch, "Cy: hm")
    converse(group_of(model, bpe, sampling=Sampling(temperature=0, repetition_penalty=1.5)))

    assert capsys.readouterr().out.startswith("Cy: \n  \\x1b")


@pytest.mark.parametrize(
    ("line", "speaker", "text"),
    [("Di: Hello!", "Di", "Hello!"), ("cy:", "Cy", None), ("Who: me?", "Bo", "Who: me?")],
)
def test_a_line_that_starts_with_a_name_addresses_that_speaker(
    line: str, speaker: str, text: str | None, bpe: pytok.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is not part of the turn; any other line is a turn as it is."""
    talk = group_of(leaning(bpe, "<|end|>", "<|speaker_0|>", "<|speaker_1|>"), bpe)
    typed(monkeypatch, line)
    converse(talk)

    *yours, theirs = talk.conversation.turns
    assert [turn.text for turn in yours] == ([] if text is None else [text])
    assert theirs.speaker == speaker


def test_commands_change_the_conversation(
    bpe: pytok.Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In any case of letters; a saved conversation can be loaded; /quit ends it."""
    path = tmp_path / "talk.jsonl"
    talk = talk_of(lively(bpe.n_vocab), bpe)
    commands = ["/SYSTEM Be brief.", "the cat", f"/save {path}", "/retry", f"/Save {path}"]
    typed(monkeypatch, *commands, "/undo", "/who", "/help", f"/load {path}", "/Quit", "the owl")
    code = converse(talk)

    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert json.loads(path.read_text())["system"] == talk.conversation.system == "Be brief."
    assert [turn.speaker for turn in talk.conversation.turns] == ["Bo", "Ada"]
    for shown in (
        "2 turns written",
        "the conversation is empty now",
        "you are Bo; the model is Ada",
        "/undo",
    ):
        assert shown in out


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/fly", "unknown command /fly; /help lists the commands"),
        ("/undo", "nothing has been said yet"),
        ("/save", "/save needs the name of a file"),
        ("/save nothing", "nothing has been said yet that could be saved"),
        ("/load nothing", "nothing: No such file"),
        ("/load taken", "taken, line 1: not JSON"),
        ("x" * 100, "this message is too long: the model reads about 50 letters at a time"),
        ("/system " + "x" * 100, "these instructions are too long"),
    ],
)
def test_a_failed_command_is_one_line_and_the_conversation_continues(
    line: str,
    why: str,
    bpe: pytok.Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With an error."""
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("mine")
    typed(monkeypatch, line, "the cat")
    code = converse(talk_of(lively(bpe.n_vocab), bpe))

    out, err = capsys.readouterr()
    assert code == 0
    assert why in err
    assert len(err.splitlines()) == 1
    assert out.startswith("Ada: ")


@pytest.mark.parametrize(
    ("line", "why"),
    [("/save taken", "taken exists; choose another file"), ("/save no/where", "no")],
)
def test_a_conversation_is_saved_to_a_new_file_only(
    line: str,
    why: str,
    bpe: pytok.Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An existing one is unchanged."""
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("mine")
    typed(monkeypatch, "the cat", line)
    code = converse(talk_of(lively(bpe.n_vocab), bpe))

    assert code == 0
    assert why in capsys.readouterr().err
    assert Path("taken").read_text() == "mine"


def test_an_empty_conversation_is_loaded_with_a_word(
    bpe: pytok.Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Else nothing would be printed."""
    path = tmp_path / "talk.jsonl"
    write_conversations(path, [Conversation(())])
    typed(monkeypatch, f"/load {path}")
    converse(talk_of(leaning(bpe), bpe))

    assert "that conversation is empty" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_stops_an_answer_and_keeps_its_text(
    number: signal.Signals,
    code: int,
    bpe: pytok.Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After Ctrl-C the next line is answered; SIGTERM ends the command."""
    talk = talk_of(leaning(bpe), bpe, max_tokens=8)
    read, reads = talk._reader.read, []

    def raising(ids: list[int]) -> Any:
        reads.append(ids)
        if len(reads) == 3:
            signal.raise_signal(number)
        return read(ids)

    monkeypatch.setattr(talk._reader, "read", raising)
    typed(monkeypatch, "Hello!", "And?")

    assert converse(talk) == code
    answers = [turn.text for turn in talk.conversation.turns if turn.speaker == "Ada"]
    assert [len(text) for text in answers] == ([3, 8] if code == 0 else [3])


def test_tab_completes_commands_names_and_files(
    bpe: pytok.Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of the played speakers: at the start of a line with a colon, else as words."""
    monkeypatch.chdir(tmp_path)
    Path("talk.jsonl").touch()
    Path("talks").mkdir()
    talk = group_of(leaning(bpe), bpe)

    assert completions("/s", talk) == ["/save", "/system"]
    assert completions("c", talk) == ["Cy: "]
    assert completions("", talk) == ["Bo: ", "Cy: ", "Di: "]
    assert completions("so, d", talk) == ["so, Di"]
    assert completions("a", talk) == []
    assert completions("/load ta", talk) == ["/load talk.jsonl", "/load talks/"]
    assert completions("/save talks/x", talk) == []


@pytest.mark.parametrize("leave", [EOFError, KeyboardInterrupt])
def test_ctrl_d_and_ctrl_c_at_the_prompt_end_the_command(
    leave: type[BaseException], bpe: pytok.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exit code 0."""

    def left(prompt: str) -> str:
        raise leave

    monkeypatch.setattr("builtins.input", left)
    typed(monkeypatch)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)

    assert converse(talk_of(leaning(bpe), bpe)) == 0


def test_a_terminal_has_a_prompt(run: Path) -> None:
    """Ctrl-D ends the command with exit code 0."""
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "gpt", "chat", str(run), "--as", "Bo", "--device", "cpu"]
    environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        try:
            written = read_until(terminal, b"\r\nBo: ")
            os.write(terminal, b"/who\n")
            written += read_until(terminal, b"\r\nBo: ")
            os.write(terminal, b"\x04")
            written += read_until(terminal, None)
            code = process.wait(PATIENCE)
        finally:
            process.kill()
            os.close(terminal)

    assert code == 0
    assert b"Traceback" not in written


def read_until(terminal: int, text: bytes | None) -> bytes:
    """Return the output of *terminal* until it ends with *text*, by default to its end."""
    written, end = b"", time.monotonic() + PATIENCE
    while text is None or not written.endswith(text):
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"nothing more came after {written[-300:]!r}"
        try:
            block = os.read(terminal, 65536)
        except OSError:  # on Linux, the other side has been closed
            block = b""
        if not block:
            assert text is None, f"it ended: {written[-300:]!r}"
            break
        written += block
    return written
