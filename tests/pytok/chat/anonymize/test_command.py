"""`pytok chat import --anonymize`: what it prints, and further names."""

from pathlib import Path

from click.testing import CliRunner, Result

from pytok.__main__ import cli

CHAT = """13.01.24, 10:00 - Anna Huber: Carol is at 0664 1234567
13.01.24, 10:01 - Bob: mail carol@example.org, Anna
13.01.24, 10:02 - Anna Huber: ok
"""


def run(folder: Path, *options: str) -> Result:
    path = folder / "chat.txt"
    path.write_text(CHAT)
    return CliRunner().invoke(cli, ["chat", "import", str(path), *options])


def test_what_is_replaced_is_counted_by_kind(tmp_path: Path) -> None:
    result = run(tmp_path, "--anonymize", "-o", str(tmp_path / "out.jsonl"))

    assert "pytok: replaced: 1 number, 1 e-mail, 1 name\n" in result.stderr


def test_what_it_cannot_promise_is_printed(tmp_path: Path) -> None:
    result = run(tmp_path, "--anonymize", "-o", str(tmp_path / "out.jsonl"))

    assert "people can still be recognized; not replaced: nicknames" in result.stderr


def test_a_person_who_never_writes_can_be_named(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    run(tmp_path, "--anonymize", "--replace", "Carol Wolf", "-o", str(output))

    assert "Carol" not in output.read_text()


def test_a_name_to_replace_needs_anonymizing(tmp_path: Path) -> None:
    result = run(tmp_path, "--replace", "Carol", "-o", str(tmp_path / "out.jsonl"))

    assert result.exit_code == 2
    assert "--replace needs --anonymize" in result.stderr
