"""Why a chat, or a person in it, leaves nothing to train on."""

import re
from pathlib import Path

import pytest

from pytok.chat.building import build
from pytok.chat.record import Message
from pytok.errors import ChatError
from tests.pytok.chat.histories import history, long_history, message


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([], "there are no messages here"),
        ([message(0, "Ada", kind="media")], "nobody writes words in this chat, only 1 media file"),
        (history("0 Ada hi", "1 Ada ho"), "only 'Ada' writes in this chat; a model learns from"),
        (
            history("0 Ada hi", "900 Bo hi"),
            "nobody in this chat answers within 1 hour, .*--gap",
        ),
    ],
)
def test_a_chat_without_conversations_is_explained(
    messages: list[Message], why: str, tmp_path: Path
) -> None:
    """By what is missing, with what to do."""
    with pytest.raises(ChatError, match=why):
        build(messages, tmp_path / "data")


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (
            message(999, "Dee", kind="media"),
            "has sent 1 message, but none with words (1 media file)",
        ),
        (message(999, "Dee", "hi"), "has written 1 message, but none of them is part of a conver"),
    ],
)
def test_a_person_without_turns_is_explained(sent: Message, why: str, tmp_path: Path) -> None:
    """By what this person has sent."""
    with pytest.raises(ChatError, match=re.escape(f"'Dee' {why}")):
        build([*long_history(5), sent], tmp_path / "data", me="Dee")
