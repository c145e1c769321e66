"""Whose turns a model writes: the classifier, what is held out, the shares."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpt.__main__ import main
from gpt.errors import DataError
from gpt.evaluation.style import Classifier, held_out
from pytok.chat.building import build
from pytok.chat.template import Conversation, Turn
from tests.gpt.talks import two_steps
from tests.pytok.chat.histories import history

pytest.importorskip("sklearn")

LINES = [
    line
    for number in range(40)
    for line in (
        f"{number * 120} Ada WHERE ARE YOU {number}?!",
        f"{number * 120 + 1} Bo at home, as ever {number} ...",
        f"{number * 120 + 2} Ada COME HERE NOW {number}!!",
    )
]
"""Two whom a child could tell apart."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, whose model can speak for nobody yet."""
    folder = tmp_path_factory.mktemp("style")
    build(history(*LINES), folder / "data", me="Bo", vocab=300, val=0.2)
    return two_steps(folder, context=64)


def test_the_classifier_tells_authors_apart_by_how_they_write() -> None:
    """Also in words that it has never seen."""
    turns = [Turn(line.split(" ", 2)[1], line.split(" ", 2)[2]) for line in LINES]

    assert Classifier(turns).authors(["GIVE ME THAT!!", "perhaps later ..."]) == ["Ada", "Bo"]


def test_one_author_is_no_question() -> None:
    """Nobody to be told from."""
    with pytest.raises(DataError, match="only one"):
        Classifier([Turn("Ada", "a"), Turn("Ada", "b")])


def test_held_out_turns_answer_something() -> None:
    """Those of the author, each with all that was said before it."""
    turns = (Turn("Bo", "1"), Turn("Ada", "2"), Turn("Bo", "3"))
    whole = Conversation(turns, "Be brief.")

    assert held_out([whole], "Bo") == [(Conversation(turns[:2], "Be brief."), turns[2])]
    assert [held.turn.text for held in held_out([whole], None)] == ["2", "3"]


def test_the_command_tells_the_shares(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The real turns are the author's; a run against itself has the same share twice."""
    command = ["eval", str(run), "--style", "--against", str(run), "--turns", "5", "--json"]
    assert main([*command, "--device", "cpu"]) == 0

    figures = json.loads(capsys.readouterr().out)
    assert figures["turns"] == 5
    assert figures["real"]["share"] == 1.0
    assert figures["written"] == figures["against"]


def test_style_needs_the_data_of_a_chat(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file that lacks is named, and what writes it."""
    assert main(["eval", str(run), "--style", "--data", str(tmp_path), "--device", "cpu"]) == 1
    assert "chat.json: not found; --data names what `pytok chat build`" in capsys.readouterr().err
