"""Conversations in the formats of other trainers: roles, names, and omitted turns."""

from typing import Any

import pytest

from pytok.chat.exporting import FORMATS, export
from pytok.chat.template import Conversation, Turn


def talk(*lines: str, system: str | None = None) -> Conversation:
    """A conversation from lines such as "Ada Hi there"."""
    return Conversation(tuple(Turn(*line.split(" ", 1)) for line in lines), system)


def exported(to: str, *talks: Conversation) -> list[Any]:
    """Export *talks* with Ada as the assistant."""
    return export(talks, "Ada", to)[0]


def test_two_people_are_user_and_assistant_for_openai() -> None:
    assert exported("openai", talk("Bo hi", "Bo there", "Ada yo", system="Be kind.")) == [
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "hi"},
                {"role": "user", "content": "there"},
                {"role": "assistant", "content": "yo"},
            ]
        }
    ]


def test_two_people_alternate_in_sharegpt() -> None:
    """Consecutive turns are joined, since readers of the format expect alternating roles."""
    assert exported("sharegpt", talk("Bo hi", "Bo there", "Ada yo", "Ada you")) == [
        {
            "conversations": [
                {"from": "human", "value": "hi\nthere"},
                {"from": "gpt", "value": "yo\nyou"},
            ]
        }
    ]


def test_in_a_group_names_precede_the_texts_of_others() -> None:
    """In all conversations, including those of two people."""
    group = [talk("Bo hi", "Cy hey", "Ada yo"), talk("Bo one", "Ada two")]

    first, second = exported("sharegpt", *group)

    assert first["conversations"][0] == {"from": "human", "value": "Bo: hi\nCy: hey"}
    assert second["conversations"][0] == {"from": "human", "value": "Bo: one"}
    assert exported("openai", *group)[0]["messages"][1]["content"] == "Cy: hey"


@pytest.mark.parametrize("to", FORMATS)
def test_unanswered_turns_are_omitted_and_counted(to: str) -> None:
    """Trainers do not train on them."""
    kept, omitted = export(
        [talk("Bo a", "Ada b", "Bo c", "Bo d"), talk("Bo e", "Bo f", system="x")], "Ada", to
    )

    assert len(kept) == 1
    assert omitted == 4
