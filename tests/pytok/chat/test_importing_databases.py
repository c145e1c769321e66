"""`pytok chat import` of databases: selection of a chat, and anonymization."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytok.__main__ import cli
from tests.pytok.chat.phones import CURRENT, PEOPLE, database, message


def run(path: Path, *options: str) -> Result:
    """Run `pytok chat import` on a database with two chats."""
    rows = {
        **PEOPLE,
        "message": [message(1, "a"), message(2, "hi +43 664 1234567", chat_row_id=11)],
    }
    source = path / "msgstore.db"
    if not source.exists():
        database(source, CURRENT, rows)
    return CliRunner().invoke(cli, ["chat", "import", str(source), *options])


def test_chats_are_listed(tmp_path: Path) -> None:
    assert run(tmp_path, "--list-chats").stdout == "        1  +431\n        1  Friends\n"


def test_with_several_chats_one_must_be_selected(tmp_path: Path) -> None:
    result = run(tmp_path, "-o", str(tmp_path / "chat.jsonl"))

    assert result.exit_code != 0
    assert "msgstore.db has 2 chats; choose one with --chat NAME" in str(result.exception)


@pytest.mark.parametrize("option", ["--anonymize", "--anonymise"])
def test_a_chat_is_imported_and_anonymized(option: str, tmp_path: Path) -> None:
    output = tmp_path / "chat.jsonl"
    result = run(tmp_path, "-o", str(output), "--chat", "Friends", option)
    (line,) = output.read_text().splitlines()

    assert result.exit_code == 0
    assert json.loads(line)["text"] == "hi +999 000001"
    assert "Friends" not in line
    assert "replaced: 1 number" in result.stderr
