"""Prompts become the ids after which a model completes them."""

from __future__ import annotations

import pytest

import pytok
from gpt.data.contents import Message
from gpt.data.problems.coding import Coding
from pytok.chat.template import Conversation, Turn
from pytok.chat.templates import KNOWN
from pytok.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    """A tokenizer without special tokens."""
    return pytok.train(["two and two is four"], 258)


def test_messages_are_rendered_with_the_turn_of_the_model(trained: Tokenizer) -> None:
    """As the template prompts it, with the ends of its turns."""
    template = KNOWN["chatml"]
    tokenizer = template.extend(trained)
    coding = Coding.of_chats(template, tokenizer)
    conversation = Conversation((Turn("user", "two and two?"),), "Be brief.")
    messages = (Message("system", "Be brief."), Message("user", "two and two?"))

    assert coding.encode(messages) == template.prompt(conversation, tokenizer, "assistant")
    assert coding.ends == template.end_ids(tokenizer)
    assert coding.decode(tokenizer.encode_ordinary("four")) == "four"


def test_a_text_is_completed_up_to_the_end_of_a_text(trained: Tokenizer) -> None:
    """Its prompt is the beginning of one, after the end of another."""
    coding, end = Coding.of_texts(trained), trained.special_tokens["<|endoftext|>"]

    assert coding.encode("four") == [end, *trained.encode_ordinary("four")]
    assert coding.ends == {end}
