"""`pytok chat import` and `pytok chat example`: options, the history and its summary."""

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytok.__main__ import cli
from pytok.chat.importing import Choices, ImportOptions
from pytok.chat.record import read_history
from pytok.commands import chat_exports
from tests.pytok.test_cli import check_failure, command


def test_an_example_is_imported(tmp_path: Path) -> None:
    """The summary is printed, and the next command; the history is complete."""
    export, history = tmp_path / "chat.txt", tmp_path / "chat.jsonl"
    command("chat", "example", "-o", export, "--messages", 500, "--authors", 3)

    result = command("chat", "import", export, "-o", history)

    next_ = f"wrote {history}; to make a model of it: gpt clone {history}\n"
    assert (result.code, result.err) == (0, next_)
    assert "WhatsApp text, day first" in result.out.decode()
    assert len(list(read_history(history))) == 500


def test_the_summary_as_json_has_every_figure(tmp_path: Path) -> None:
    export = tmp_path / "chat.txt"
    export.write_text("before\n13.01.24, 10:00 - Ann: hi\n13.01.24, 10:00 - Ann added Bob\n")

    result = command("chat", "import", export, export, "-o", tmp_path / "chat.jsonl", "--json")

    summary = json.loads(result.out)
    assert summary["messages"] == 2
    assert summary["senders"] == {"Ann": 1}
    assert (summary["days"], summary["edited"], summary["warnings"]) == (1, 0, [])
    assert summary["kinds"] == {
        "text": 1, "media": 0, "system": 1, "deleted": 0, "call": 0, "poll": 0, "location": 0,
    }  # fmt: skip
    assert [source["duplicates"] for source in summary["sources"]] == [0, 2]
    assert [source["unread_lines"] for source in summary["sources"]] == [[1], [1]]


def test_an_ambiguous_date_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its meanings, on a terminal; an answer that is none of them is asked for again."""
    monkeypatch.setattr(chat_exports, "_is_interactive", lambda: True)
    export, history = tmp_path / "chat.txt", tmp_path / "chat.jsonl"
    export.write_text("01/02/2023, 10:00 - Ann: hi\n")

    result = CliRunner().invoke(
        cli, ["chat", "import", str(export), "-o", str(history)], input="3\n2\n"
    )

    assert "  1  1 February 2023 (day first)\n  2  2 January 2023 (month first)" in result.stderr
    assert [message.time.month for message in read_history(history)] == [1]


def test_a_failed_import_writes_no_history(tmp_path: Path) -> None:
    """The error is one line with the remedy."""
    export, history = tmp_path / "chat.txt", tmp_path / "chat.jsonl"
    export.write_text("01/02/2023, 10:00 - Ann: hi\n")

    check_failure(
        command("chat", "import", export, "-o", history), "--date-order mdy (2 January 2023)"
    )
    assert not history.exists()
    assert command("chat", "import", export, "-o", history, "--date-order", "mdy").code == 0


def test_an_export_is_not_overwritten_by_its_history(tmp_path: Path) -> None:
    """Not even under another name."""
    export, link = tmp_path / "chat.txt", tmp_path / "link"
    export.write_text("13.01.24, 10:00 - Ann: hi\n")
    link.symlink_to(export)

    result = command("chat", "import", export, "-o", link)

    assert (result.code, result.out) == (2, b"")
    assert "is an input file: choose another output file" in result.err
    assert export.read_text() == "13.01.24, 10:00 - Ann: hi\n"


def test_the_shortest_example_is_imported(tmp_path: Path) -> None:
    """Its day is above 12, so the order is unambiguous."""
    export = tmp_path / "chat.txt"
    command("chat", "example", "-o", export, "--messages", 1)

    assert command("chat", "import", export, "-o", tmp_path / "chat.jsonl").code == 0


@pytest.mark.parametrize("option", ["--key", "--names"])
def test_an_option_for_databases_is_rejected_for_a_text(option: str, tmp_path: Path) -> None:
    """It would have no effect."""
    export, history = tmp_path / "chat.txt", tmp_path / "chat.jsonl"
    command("chat", "example", "-o", export)

    result = command("chat", "import", export, option, export, "-o", history)

    check_failure(result, f"chat.txt: remove {option}: it applies to WhatsApp databases only")
    assert not history.exists()


def test_a_chat_cannot_be_chosen_in_a_file_that_names_none(tmp_path: Path) -> None:
    export, history = tmp_path / "chat.txt", tmp_path / "chat.jsonl"
    command("chat", "example", "-o", export)

    result = command("chat", "import", export, "--chat", "Ann", "-o", history)

    check_failure(result, "chat.txt: remove --chat: the file does not name its chat")


def test_the_count_of_one_message_is_singular(tmp_path: Path) -> None:
    export, history = tmp_path / "chat.txt", tmp_path / "chat.jsonl"
    export.write_text("13.01.24, 10:00 - Ann: hi\n")

    printed = command("chat", "import", export, "-o", history).out.decode()

    assert "1 message;" in printed
    assert "1 messages" not in printed


@pytest.mark.skipif(sys.platform != "linux", reason="names of files that are no text")
def test_the_name_of_a_file_can_be_any_bytes(tmp_path: Path) -> None:
    """It is the source of its messages."""
    export, history = Path(os.fsdecode(os.fsencode(tmp_path) + b"/c\xff.txt")), tmp_path / "h.jsonl"
    export.write_text("13.01.24, 10:00 - Ann: hi\n14.01.24, 10:00 - Bob: hello\n")

    result = command("chat", "import", export, "-o", history)

    assert result.code == 0
    assert [message.text for message in read_history(history)] == ["hi", "hello"]


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        (["Chat", "with", "Ann.txt"], "in quotation marks: 'Chat with Ann.txt'"),
        (["Chat with Anne.txt"], "no file 'Chat with Anne.txt'; did you mean 'Chat with Ann.txt'?"),
        (["chat.zip"], "there is no file 'chat.zip'; check its name"),
    ],
)
def test_a_name_that_is_no_file_gets_a_hint(
    typed: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with spaces is easily typed without quotation marks."""
    monkeypatch.chdir(tmp_path)
    Path("Chat with Ann.txt").touch()

    result = command("chat", "import", *typed, "-o", "chat.jsonl")

    assert result.code == 2
    assert complaint in result.err


def test_the_former_name_of_the_options_is_deprecated() -> None:
    """It takes the former spelling."""
    with pytest.warns(DeprecationWarning, match="ImportOptions"):
        options = Choices(anonymise=True, timezone="UTC")

    assert options == ImportOptions(anonymize=True, timezone="UTC")
