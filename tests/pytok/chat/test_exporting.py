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
    return export(talks, "Ada", to).conversations


def test_two_people_are_user_and_assistant_for_openai() -> None:
    """Consecutive turns are joined: the templates of Mistral, Gemma and Llama 2 require it."""
    assert exported("openai", talk("Bo hi", "Bo there", "Ada yo", system="Be kind.")) == [
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "hi\nthere"},
                {"role": "assistant", "content": "yo"},
            ]
        }
    ]


def test_two_people_alternate_in_sharegpt() -> None:
    """Readers of the format expect it."""
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
    assert exported("openai", *group)[0]["messages"][0]["content"] == "Bo: hi\nCy: hey"


@pytest.mark.parametrize("to", FORMATS)
def test_unanswered_turns_are_omitted_and_counted(to: str) -> None:
    """Trainers do not train on them."""
    talks = [talk("Bo a", "Ada b", "Bo c", "Bo d"), talk("Bo e", "Bo f", system="x")]

    kept = export(talks, "Ada", to)

    assert len(kept.conversations) == 1
    assert (kept.unasked, kept.unanswered, kept.short) == (0, 4, 0)


def test_a_conversation_begins_with_somebody_else() -> None:
    """What nobody asked for is omitted and counted."""
    kept = export([talk("Ada a", "Bo b", "Ada c"), talk("Ada d", "Bo e")], "Ada", "openai")

    assert [line["content"] for line in kept.conversations[0]["messages"]] == ["b", "c"]
    assert len(kept.conversations) == 1
    assert (kept.unasked, kept.unanswered, kept.short) == (2, 1, 0)


def test_the_least_number_of_turns_holds_for_what_is_written() -> None:
    """After both ends are cut and turns are joined."""
    talks = [talk("Bo a", "Bo b", "Ada c", "Bo d"), talk("Bo e", "Ada f", "Bo g", "Ada h")]

    kept = export(talks, "Ada", "sharegpt", min_turns=3)

    assert [len(each["conversations"]) for each in kept.conversations] == [4]
    assert (kept.unanswered, kept.short) == (1, 3)
