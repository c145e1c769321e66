"""What the commands print: colored tokens, progress bars."""

import re

import pytest

from pytok.terminal import Stage, print_colored

TOKENS = ["she", " sells", " sea", " shells"]


@pytest.mark.parametrize("term", ["linux", "screen", "xterm", "xterm-color", "xterm-256color"])
def test_neighboring_tokens_have_different_colors(
    term: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where there are few, and always black on a bright background."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", term)
    for name in ("COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    print_colored(TOKENS, "4 tokens")
    colors = re.findall(r"\x1b\[30;([0-9;]+)m", capsys.readouterr().out)

    assert len(colors) == len(set(colors)) == len(TOKENS)
    assert all(color.startswith("48;5;") for color in colors) is (term == "xterm-256color")


def test_without_colors_a_bar_is_between_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe, for example."""
    print_colored(TOKENS, "4 tokens")

    assert capsys.readouterr().out == "she| sells| sea| shells\n4 tokens\n"


def test_a_stage_knows_how_long_it_still_takes() -> None:
    """A quarter in two seconds leaves six; amounts are in the unit of the stage."""
    stage = Stage("count", 10.0)
    stage.add(5_000_000, 20_000_000, 12.0)

    assert stage.seconds_left == 6
    assert stage.amounts() == ["5.0 of 20.0 MB", "2.5 MB/s"]


def test_work_may_have_a_unit_of_its_own() -> None:
    """Less than one a second is no speed that anyone reads."""
    stage = Stage("loss", 0.0, "trials")
    stage.add(3, 40, 60.0)

    assert stage.amounts() == ["3 of 40 trials"]


def test_an_unknown_total_leaves_the_time_open() -> None:
    """Such as that of a pipe."""
    stage = Stage("merge", 0.0)
    stage.add(300, 0, 2.0)

    assert stage.seconds_left is None
    assert stage.amounts() == ["300 tokens", "150 tokens/s"]
