"""The glossary of CONTRIBUTING.md holds everywhere: in sources, messages, help, docs and tests."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TABLE = re.search(r"^\| say \| not \|\n(?:\|.*\n)+", GLOSSARY, re.M)
assert TABLE is not None

BANNED = re.findall(r"`([^`]+)`", TABLE[0])
EXEMPT = {
    "pytok/chat/example.py": "sentences of a made-up chat",
    "pytok/chat/anonymize/postal.py": "words for streets in many languages",
    "gpt/runs/older_formats.py": "old names of fields, to read old runs",
    "tests/test_language.py": "these words",
    "CHANGELOG.md": "older entries",
}
"""Files that may use the words, and why."""
FOREIGN_NAMES = re.compile(r"\b(place_name|place_address)\b|\.tell\(\)|Tell me about")
"""Names in Telegram's export, in WhatsApp's database, and of Python's files."""
SUFFIXES = {".py", ".pyi", ".rs", ".md", ".toml", ".sh", ".html", ".css"}


def pattern(words: list[str]) -> re.Pattern[str]:
    """A regex for any of *words*, also as a part of an identifier, and across a line break."""
    spelled = "|".join(
        re.escape(word).replace(r"\ ", r"\s+(?:[#*/|]+\s+)?") for word in sorted(words, key=len)
    )
    return re.compile(rf"(?<![A-Za-z0-9])(?<!in )(?<!in-)(?:{spelled})(?![A-Za-z0-9])", re.I)


FORBIDDEN = pattern(BANNED)


def tracked() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    paths = [Path(name) for name in names if name and (ROOT / name).is_file()]
    return [path for path in paths if path.suffix in SUFFIXES or path.name == "Makefile"]


FILES = [path for path in tracked() if str(path) not in EXEMPT]


def names_docstrings_and_comments(source: str) -> Iterator[str]:
    """What a test says about itself; its data may be any text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            yield getattr(node, "name", "")
            yield ast.get_docstring(node) or ""
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def words_of(path: Path) -> str:
    """The text of *path* that the glossary is about."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.parts[0] == "tests" and path.suffix == ".py":
        return "\n".join(names_docstrings_and_comments(text))
    assert TABLE is not None
    return FOREIGN_NAMES.sub("", text.replace(TABLE[0], ""))


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_uses_the_terms_of_the_glossary(path: Path) -> None:
    """CONTRIBUTING.md says which words to use instead."""
    text = words_of(path)
    found = [text[: match.start()].count("\n") + 1 for match in FORBIDDEN.finditer(text)]

    assert not found, [text.splitlines()[line - 1].strip() for line in found[:10]]


@pytest.mark.parametrize(
    ("text", "banned"),
    [
        ("the chance of a token", True),
        ("last_chance = 1", True),
        ("training goes\n    on", True),
        ("# it goes\n# on", True),
        ("sorted in place", False),
        ("replaced", False),
        ("heads share keys", False),
        ("a share of them", True),
        ("Told", True),
    ],
)
def test_the_words_are_found_wherever_they_stand(text: str, banned: bool) -> None:
    """In identifiers and across lines, but not inside other words."""
    assert bool(FORBIDDEN.search(text)) == banned


def test_the_files_are_those_of_the_project() -> None:
    """Else the tests above would test nothing."""
    assert {"gpt", "pytok", "bpe-rs", "docs", "tests"} <= {path.parts[0] for path in FILES}
