"""What a release says of itself in several files is the same in all of them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHANGELOG = ROOT.joinpath("CHANGELOG.md").read_text(encoding="utf-8")
CITATION = ROOT.joinpath("CITATION.cff").read_text(encoding="utf-8")
PROJECT = ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8")
REPOSITORY = "https://github.com/pytok-lm/pytok"


def only(pattern: str, text: str) -> str:
    """Return the group of the one line that *pattern* matches."""
    (found,) = re.findall(pattern, text, re.MULTILINE)
    return str(found)


def version() -> str:
    """Return the version of the crate, from which that of the distribution is taken."""
    return only(r'^version = "(.+)"$', ROOT.joinpath("Cargo.toml").read_text(encoding="utf-8"))


def test_the_changelog_begins_with_what_is_not_released() -> None:
    """There is a section for the next change, and then the newest version with its date."""
    headings = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)

    assert headings[0] == "Unreleased"
    assert re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2}", headings[1])


def test_the_changelog_has_the_version() -> None:
    """Its newest one."""
    assert re.findall(r"^## (\d\S+)", CHANGELOG, re.MULTILINE)[0] == version()


def test_the_citation_is_of_the_newest_version() -> None:
    """With the date of the changelog."""
    found = only("^version: (.+)$", CITATION), only('^date-released: "(.+)"$', CITATION)

    assert " - ".join(found) == re.findall(r"^## (\d.+)$", CHANGELOG, re.MULTILINE)[0]


def test_the_lock_file_has_the_version() -> None:
    """`cargo build --locked` fails otherwise."""
    lock = ROOT.joinpath("Cargo.lock").read_text(encoding="utf-8")

    assert f'\nname = "pytok-bpe"\nversion = "{version()}"\n' in lock


def test_the_oldest_python_is_the_same_everywhere() -> None:
    """In the metadata, for the linters, and among the wheels."""
    oldest = only(r'^requires-python = ">=3\.(\d+)"$', PROJECT)

    assert only(r'^target-version = "py3(\d+)"$', PROJECT) == oldest
    assert min(re.findall(r'"cp3(\d+)-\*"', PROJECT), key=int) == oldest


def test_each_python_of_the_metadata_has_a_wheel() -> None:
    """And no other has one."""
    named = re.findall(r"Programming Language :: Python :: 3\.(\d+)", PROJECT)

    assert re.findall(r'"cp3(\d+)-\*"', PROJECT) == named


@pytest.mark.parametrize("name", ["pyproject.toml", "Cargo.toml", "CITATION.cff", "SECURITY.md"])
def test_the_repository_is_named(name: str) -> None:
    """By the same address."""
    named = re.findall(r"https://github\.com/[\w-]+/[\w-]+", ROOT.joinpath(name).read_text())

    assert set(named) == {REPOSITORY}
