"""Style: the classifier, the held-out turns, the rates."""

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
"""Two authors who are easy to distinguish."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, whose model imitates nobody yet."""
    folder = tmp_path_factory.mktemp("style")
    build(history(*LINES), folder / "data", me="Bo", vocab=300, val=0.2)
    return two_steps(folder, context=64)


def test_the_classifier_distinguishes_authors_by_their_style() -> None:
    """Also in words that are not in its training data."""
    turns = [Turn(line.split(" ", 2)[1], line.split(" ", 2)[2]) for line in LINES]

    assert Classifier(turns).authors(["GIVE ME THAT!!", "perhaps later ..."]) == ["Ada", "Bo"]


def test_a_single_author_is_rejected() -> None:
    """There is nothing to classify."""
    with pytest.raises(DataError, match="only one"):
        Classifier([Turn("Ada", "a"), Turn("Ada", "b")])


def test_held_out_turns_follow_another_turn() -> None:
    """They are those of the author, each with the conversation before it."""
    turns = (Turn("Bo", "1"), Turn("Ada", "2"), Turn("Bo", "3"))
    conversation = Conversation(turns, "Be brief.")

    assert held_out([conversation], "Bo") == [(Conversation(turns[:2], "Be brief."), turns[2])]
    assert [held.turn.text for held in held_out([conversation], None)] == ["2", "3"]


def test_the_command_prints_the_rates(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real turns are attributed to the author; a run compared with itself has the same rate."""
    command = ["eval", str(run), "--style", "--against", str(run), "--turns", "5", "--json"]
    assert main([*command, "--device", "cpu"]) == 0

    figures = json.loads(capsys.readouterr().out)
    assert figures["turns"] == 5
    assert figures["real"]["rate"] == 1.0
    assert figures["written"] == figures["against"]


def test_style_needs_the_data_of_a_chat(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error has the missing file, and the command that writes it."""
    assert main(["eval", str(run), "--style", "--data", str(tmp_path), "--device", "cpu"]) == 1
    assert (
        "chat.json: not found; pass --data a folder of `pytok chat build`"
        in capsys.readouterr().err
    )
