"""`pytok chat import` and `pytok chat example`: arguments in, a history and its summary out."""

import json
from pathlib import Path

import pytest

from pytok.chat.record import read_history
from tests.pytok.test_cli import command, says


def test_an_example_is_imported(tmp_path: Path) -> None:
    """The summary is printed; the history is whole."""
    export, history = tmp_path / "chat.txt", tmp_path / "chat.jsonl"
    command("chat", "example", "-o", export, "--messages", 500, "--authors", 3)

    result = command("chat", "import", export, "-o", history)

    assert (result.code, result.err) == (0, "")
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


def test_what_fails_leaves_no_history(tmp_path: Path) -> None:
    """One line says what to do."""
    export, history = tmp_path / "chat.txt", tmp_path / "chat.jsonl"
    export.write_text("01/02/2023, 10:00 - Ann: hi\n")

    says(command("chat", "import", export, "-o", history), "give --date-order dmy or mdy")
    assert not history.exists()
    assert command("chat", "import", export, "-o", history, "--date-order", "mdy").code == 0


def test_an_export_is_not_replaced_by_its_history(tmp_path: Path) -> None:
    """Under any name of the file."""
    export, link = tmp_path / "chat.txt", tmp_path / "link"
    export.write_text("13.01.24, 10:00 - Ann: hi\n")
    link.symlink_to(export)

    result = command("chat", "import", export, "-o", link)

    assert (result.code, result.out) == (2, b"")
    assert "is read here, and would be lost: name another file" in result.err
    assert export.read_text() == "13.01.24, 10:00 - Ann: hi\n"


def test_the_shortest_example_is_imported(tmp_path: Path) -> None:
    """Its day can be no month."""
    export = tmp_path / "chat.txt"
    command("chat", "example", "-o", export, "--messages", 1)

    assert command("chat", "import", export, "-o", tmp_path / "chat.jsonl").code == 0


@pytest.mark.parametrize("option", ["--key", "--names", "--chat"])
def test_an_option_of_databases_is_refused_for_a_text(option: str, tmp_path: Path) -> None:
    """It would change nothing, which nobody expects who gives it."""
    export, history = tmp_path / "chat.txt", tmp_path / "chat.jsonl"
    command("chat", "example", "-o", export)

    result = command("chat", "import", export, option, export, "-o", history)

    says(result, f"{option} is for WhatsApp's databases, and chat.txt is none; leave it away")
    assert not history.exists()


def test_one_message_is_said_to_be_one(tmp_path: Path) -> None:
    """And no messages."""
    export, history = tmp_path / "chat.txt", tmp_path / "chat.jsonl"
    export.write_text("13.01.24, 10:00 - Ann: hi\n")

    printed = command("chat", "import", export, "-o", history).out.decode()

    assert "1 message;" in printed
    assert "1 messages" not in printed
