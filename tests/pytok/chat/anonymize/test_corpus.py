"""What is found in the lines of `lines.txt`, and what is taken that should stay."""

import re
from pathlib import Path

import pytest

from tests.pytok.chat.anonymize.corpus import Line, is_changed, leaks, lines

LINES = [*lines()]
DOCUMENT = Path(__file__).parents[4] / "docs" / "anonymizing.md"


def name(line: Line) -> str:
    return f"{line.label} {line.text}"


@pytest.mark.parametrize("line", [line for line in LINES if line.private], ids=name)
def test_what_is_private_in_a_line_is_replaced(line: Line) -> None:
    assert leaks(line) == []


@pytest.mark.parametrize("line", LINES, ids=name)
def test_what_is_not_private_in_a_line_stays(line: Line) -> None:
    assert not is_changed(line)


def test_the_corpus_covers_thirty_countries_and_twelve_scripts() -> None:
    countries = {line.label for line in LINES if line.section == "numbers to call"} - {".."}
    scripts = {line.label for line in LINES if line.section == "names"}

    assert len(LINES) >= 300
    assert len(countries) >= 30
    assert len(scripts) >= 12


def test_the_docs_state_what_the_corpus_measures() -> None:
    """The table of recall and false alarms, by section."""
    stated = re.findall(
        r"^\| ([^|]+?) \| (\d+) \| (\d+) of (\d+) \| (\d+) \|$", DOCUMENT.read_text(), re.M
    )
    measured = []
    for section in dict.fromkeys(line.section for line in LINES):
        here = [line for line in LINES if line.section == section]
        private = sum(len(line.private) for line in here)
        found = private - sum(len(leaks(line)) for line in here)
        changed = sum(map(is_changed, here))
        measured.append((section, str(len(here)), str(found), str(private), str(changed)))

    assert stated == measured
