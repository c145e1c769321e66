"""The shell blocks of the documents run, and print what the documents show."""

import re
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, blocks, name_of
from tests.docs.settings import SETTINGS
from tests.docs.shell import Setting, assert_shown, normalized, run_document

SHELL = [path for path in DOCUMENTS if blocks(path, "sh")]
CASES = [
    pytest.param(path, marks=[pytest.mark.slow] if SETTINGS[name_of(path)].slow else [])
    for path in SHELL
    if name_of(path) in SETTINGS
]


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_shell_blocks_run_in_order(path: Path, tmp_path: Path, rank_files: Path) -> None:
    """In one folder, on small inputs; output that is shown after a block is printed by it."""
    setting = SETTINGS[name_of(path)]
    for shown, printed, commands in run_document(path, setting, tmp_path):
        beginnings = [
            prompt
            for command, prompt in setting.writes.items()
            if commands and commands[-1].startswith(command)
        ]
        if beginnings:
            assert shown.startswith(beginnings[0])
            assert printed.startswith(beginnings[0])
        else:
            assert_shown(shown, printed, setting.varies)


def test_every_document_with_shell_blocks_has_a_setting() -> None:
    """And no other; the chapters of docs/learn are run by tests of their own."""
    others = {name_of(path) for path in SHELL} - SETTINGS.keys()

    assert not {name for name in others if not name.startswith("docs/learn")}
    assert SETTINGS.keys() <= {name_of(path) for path in SHELL}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_cannot_run_has_a_reason(name: str) -> None:
    """A few words."""
    assert all(" " in reason for reason in SETTINGS[name].omit.values())


@pytest.mark.parametrize(
    ("shown", "printed", "equal"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\nd\n", "a\nb\n", False),
        ("...\nb\n...\nc\n", "a\nb\nd\nc\n", True),
        ("...\nc\n...\nb\n", "a\nb\nd\nc\nb\n", True),
        ("...\nc\n...\nc\n", "a\nc\n", False),
        ("step 1 of 2\n", "step 7 of 9\n", True),
        ("step 1 of 2\n", "stop 7 of 9\n", False),
        ("a  1\n", "a 100\n", True),
    ],
)
def test_shown_output_is_compared(shown: str, printed: str, equal: bool) -> None:
    """Line by line; three dots stand for any lines, and numbers may vary if a setting says so."""
    if equal:
        assert_shown(shown, printed, {r"\d+": "N"})
    else:
        with pytest.raises(AssertionError):
            assert_shown(shown, printed, {r"\d+": "N"})


def test_numbers_count_unless_a_setting_says_otherwise() -> None:
    """Nothing varies by default."""
    with pytest.raises(AssertionError):
        assert_shown("1 token\n", "2 tokens\n", Setting().varies)


def test_equal_neighbors_are_one_line() -> None:
    """A shorter run reports fewer steps."""
    assert normalized("step 1\nstep 2\n\nend\n", {r"\d+": "N"}) == ["step N", "end"]


def test_a_line_that_fails_is_found(tmp_path: Path) -> None:
    """With its text."""
    document = tmp_path / "page.md"
    document.write_text("```sh\necho one\npytok show missing.json  # a comment\n```\n")

    with pytest.raises(AssertionError, match=re.escape("pytok show missing.json")):
        list(run_document(document, Setting(), tmp_path))


def test_a_line_that_a_setting_names_is_in_the_document(tmp_path: Path) -> None:
    """Else the setting would grow stale."""
    document = tmp_path / "page.md"
    document.write_text("```sh\necho one\n```\n")

    with pytest.raises(AssertionError, match="no longer in the document"):
        list(run_document(document, Setting(omit={"^pip ": "installs things"}), tmp_path))
