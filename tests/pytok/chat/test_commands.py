"""`pytok chat build`, `show` and `export`: options, files and output."""

import json
import warnings
from datetime import timedelta
from pathlib import Path

import click
import pytest

import pytok
from pytok.chat.record import write_history
from pytok.chat.template import Template, read_conversations
from pytok.commands.chat_options import parse_duration
from pytok.terminal import escaped
from tests.pytok.chat.histories import history, long_history, message
from tests.pytok.test_cli import check_failure, command


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    """A history of twenty conversations of three people."""
    path = tmp_path / "chat.jsonl"
    write_history(path, long_history(20))
    return path


def written(folder: Path, *messages: pytok.chat.record.Message) -> Path:
    """Write a history of *messages*."""
    write_history(folder / "some.jsonl", messages)
    return folder / "some.jsonl"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("30s", timedelta(seconds=30)),
        ("90m", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_a_duration_is_a_sequence_of_numbers_with_units(text: str, time: timedelta) -> None:
    assert parse_duration(text) == time


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1.5h", "1h 30m", "1y", "9999999h", "１h"])
def test_an_invalid_duration_is_rejected(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a duration such as"):
        parse_duration(text)


# Building.


def test_build_reports_counts_and_omissions(chat: Path, tmp_path: Path) -> None:
    done = command("chat", "build", chat, "-o", tmp_path / "data", "--me", "ada", "--min-turns", 4)

    assert done.code == 0
    assert "data: 100 messages, 3 speakers, a vocabulary of " in done.err
    assert "data: train: 18 conversations, 72 turns, " in done.err
    assert "data: val: 2 conversations, 8 turns, " in done.err
    assert "left out" not in done.err
    assert Template.load(tmp_path / "data/chat.json").me == "Ada"


def test_build_applies_its_options(chat: Path, tmp_path: Path, trained: object) -> None:
    assert isinstance(trained, pytok.Tokenizer)
    trained.save(tmp_path / "mine.json")
    options = ["--split", "count:3", "--no-merge", "--system", "Be kind.", "--val", 0]
    done = command(
        "chat", "build", chat, "-o", tmp_path / "data", "-t", tmp_path / "mine.json", *options
    )

    assert done.code == 0
    talks = list(read_conversations(tmp_path / "data/train.jsonl"))
    assert [len(talk.turns) for talk in talks[:3]] == [3, 3, 3]
    assert talks[0].system == "Be kind."
    assert "1 turn that nobody answered in time" in done.err
    assert pytok.load(tmp_path / "data/tokenizer.json").vocab == trained.vocab


def test_build_can_be_limited_to_a_range_of_time(chat: Path, tmp_path: Path) -> None:
    """From an exact time until the end of a day."""
    days = ["--from", "2024-01-01T16:00", "--until", "2024-01-01"]
    command("chat", "build", chat, "-o", tmp_path / "data", "--val", 0, *days)

    began = [talk.began for talk in read_conversations(tmp_path / "data/train.jsonl")]
    assert [f"{time:%d %H}" for time in began if time] == ["01 16", "01 18", "01 20", "01 22"]


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (["--me", "Eve"], 1, "'Eve' is not one of the senders: 'Ada', 'Bo', 'Cy'"),
        (["--gap", "1h", "--split", "count:4"], 2, "remove --gap or --split"),
        (["--gap", "soon"], 2, "'soon' is not a duration"),
        (["--split", "weekly"], 2, "'weekly' is not of the form gap:1h, count:40 or tokens"),
        (["--split", "count:0"], 2, "'count:0' is not of the form"),
        (["--split", "tokens"], 1, "--max-tokens"),
        (["--from", "yesterday"], 2, "'yesterday' is not a date"),
        (["--vocab", "300", "-t", "gpt2"], 2, "remove --vocab or -t"),
        (["--from", "9999-12-31", "--until", "9999-12-31"], 1, "there are no messages here"),
        (["--until", "2020-01-01"], 1, "there are no messages here"),
    ],
)
def test_build_rejects_invalid_options(
    chat: Path, tmp_path: Path, options: list[str], code: int, complaint: str
) -> None:
    done = command("chat", "build", chat, "-o", tmp_path / "data", *options)

    assert done.code == code
    assert complaint in done.err
    assert not (tmp_path / "data").exists()


def test_build_names_the_line_of_an_invalid_message(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")

    done = command("chat", "build", tmp_path / "bad.jsonl", "-o", tmp_path / "data")

    check_failure(done, "bad.jsonl, line 1: time is None")


# Exporting.


def test_export_writes_one_conversation_per_line(chat: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = command("chat", "export", chat, "--to", "openai", "--me", "Ada", "-o", out)

    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert done.code == 0
    assert len(lines) == 20
    assert [each["role"] for each in lines[0]["messages"]] == ["user", "assistant"]
    assert "left out: 20 turns that 'Ada' does not answer" in done.err


def test_export_needs_turns_of_the_assistant(tmp_path: Path) -> None:
    path = written(tmp_path, *history("0 A a", "1 B b"), message(99, "C", kind="media"))
    out = tmp_path / "out.jsonl"

    done = command("chat", "export", path, "--to", "sharegpt", "--me", "C", "-o", out)

    check_failure(done, "'C' has sent 1 message, but none with words (1 media file)")
    assert not out.exists()


# Showing.


def test_show_prints_days_times_and_senders(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        *history("0 Ada one"),
        message(1, "Bo", "two\nlines", edited=True, reactions=("👍",)),
        message(2, None, "Cy joined", kind="system"),
        message(1500, "Ada", "look", kind="media", media="image"),
    )

    assert command("chat", "show", path).out.decode().splitlines() == [
        "Monday, 01 January 2024",
        "12:00  Ada: one",
        "12:01  Bo: two",
        "       lines (edited)  👍",
        "12:02  Cy joined",
        "",
        "Tuesday, 02 January 2024",
        "13:00  Ada: <media image> look",
        "",
    ]


def test_show_escapes_control_characters(tmp_path: Path) -> None:
    """No terminal sequence, no change of direction, no imitation of another sender's line."""
    bad = "\x1b]0;x\x07\u202eevil\x9b2J"
    path = written(tmp_path, message(0, f"{bad}\n13:00  Ada", bad, media=bad, kind="media"))

    shown = command("chat", "show", path).out.decode()

    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(shown)
    assert "\\x1b]0;x\\x07\\u202eevil\\x9b2J\\n13:00  Ada: " in shown


def test_harmless_characters_are_not_escaped() -> None:
    """The joiners in emoji and Persian words, and line breaks."""
    assert escaped("👩‍👩‍👧 می‌خواهم\nשלום\u200f") == "👩‍👩‍👧 می‌خواهم\nשלום\u200f"


def test_show_can_be_limited_to_the_last_messages_of_a_sender(chat: Path) -> None:
    lines = command("chat", "show", chat, "--sender", "bo", "--last", 2).out.decode().splitlines()

    assert [line[:11] for line in lines if ":" in line] == ["02:01  Bo: ", "02:02  Bo: "]


def test_show_prints_statistics(chat: Path) -> None:
    lines = command("chat", "show", chat, "--statistics").out.decode().splitlines()

    assert lines[0] == (
        "messages    100 on 3 days, 2024-01-01 to 2024-01-03; also 0 system messages"
    )
    assert lines[2].split()[:3] == ["Ada", "40", "40.0%"]


def test_show_prints_statistics_as_json(chat: Path) -> None:
    plain = json.loads(command("chat", "show", chat, "--statistics", "--json").out)

    assert plain["messages"] == 100
    assert [person["name"] for person in plain["people"]] == ["Ada", "Bo", "Cy"]


@pytest.mark.parametrize("name", ["Ada", "$x$ {}", "东京", "😀\n\x1b", "x" * 99])
def test_show_writes_a_plot(tmp_path: Path, name: str) -> None:
    """For any name, without warnings about fonts."""
    path = written(tmp_path, message(0, name, "hi"), message(5000, None, kind="system"))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = command("chat", "show", path, "--plot", tmp_path / "chat.png")

    assert done.code == 0
    assert (tmp_path / "chat.png").read_bytes().startswith(b"\x89PNG")


def test_statistics_of_an_empty_history_are_an_error(tmp_path: Path) -> None:
    done = command("chat", "show", written(tmp_path), "--statistics")

    check_failure(done, "no message of a person matches")


def test_show_without_a_matching_message_is_an_error(chat: Path) -> None:
    check_failure(command("chat", "show", chat, "--from", "9999-12-31"), "no message matches")


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "HISTORY", "--plot", "HISTORY"),
        ("export", "HISTORY", "--to", "openai", "--me", "Mara", "-o", "HISTORY"),
    ],
    ids=["show", "export"],
)
def test_a_history_is_not_overwritten_by_an_output(chat: Path, arguments: tuple[str, ...]) -> None:
    before = chat.read_bytes()

    done = command("chat", *(chat if each == "HISTORY" else each for each in arguments))

    assert done.code == 2
    assert "is an input file" in done.err
    assert chat.read_bytes() == before


def test_the_error_for_an_export_instead_of_a_history_names_the_import(tmp_path: Path) -> None:
    export = tmp_path / "chat.txt"
    export.write_text("13.01.24, 10:00 - Ann: hi\n")

    check_failure(command("chat", "show", export), "`pytok chat import` makes of an export")
