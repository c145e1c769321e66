"""Prompts and completions as ids: of texts, or of messages that a chat template renders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpt.data.boundaries import Boundaries
from gpt.data.contents import ASSISTANT, Content, Message, messages_of
from pytok.chat.template import ChatTemplate, Conversation, Turn
from pytok.tokenizer import Tokenizer

Render = Callable[[Content, Sequence[Content]], tuple[list[int], list[list[int]]]]
"""Returns the ids of a prompt, and those of each of its completions."""


def plain_renderer(tokenizer: Tokenizer) -> Render:
    """Return what renders texts as generation does: after the ids that start one.

    A completion starts where the ids of the prompt with either completion leave those of the prompt
    alone, as in TRL and with token healing, and ends with the id that ends a text, if any does.
    """
    boundaries = Boundaries.of(tokenizer)
    own_end = tokenizer.eos_token_id
    end = sorted(boundaries.ends)[:1] if own_end is None else [own_end]

    def render(
        prompt: Content, completions: Sequence[Content]
    ) -> tuple[list[int], list[list[int]]]:
        text, texts = str(prompt), [str(each) for each in completions]
        alone = tokenizer.encode_ordinary(text)
        joined = [tokenizer.encode_ordinary(text + each) for each in texts]
        shared = min(_shared(alone, each) for each in joined)
        start = boundaries.prefix if text else boundaries.start
        if not start and not shared:
            return alone, [[*tokenizer.encode_ordinary(each), *end] for each in texts]
        return [*start, *alone[:shared]], [[*each[shared:], *end] for each in joined]

    return render


def chat_renderer(template: ChatTemplate, tokenizer: Tokenizer) -> Render:
    """Return what renders messages with *template*; the model speaks after the prompt.

    A completion ends as the turns of the template do.
    """

    def render(
        prompt: Content, completions: Sequence[Content]
    ) -> tuple[list[int], list[list[int]]]:
        begun = messages_of(prompt)
        alone = prompted(begun, template, tokenizer)
        joined = [
            template.render(
                conversation_of((*begun, *messages_of(each)), template),
                tokenizer,
                train_on="all",
            ).ids
            for each in completions
        ]
        shared = min(_shared(alone, each) for each in joined)
        return alone[:shared], [each[shared:] for each in joined]

    return render


def prompted(
    messages: Sequence[Message], template: ChatTemplate, tokenizer: Tokenizer
) -> list[int]:
    """Return the ids of *messages*, after which the speaker whom a model plays has the turn."""
    me = template.me or ASSISTANT
    return template.prompt(conversation_of(messages, template), tokenizer, me)


def conversation_of(messages: Sequence[Message], template: ChatTemplate) -> Conversation:
    """Return *messages* as turns of the speakers of *template*.

    The role "assistant" is the speaker whom a model plays, and "user" the other one of two, unless
    speakers have these names.
    """
    others = [each for each in template.speakers if each != template.me]
    roles = {ASSISTANT: template.me or ASSISTANT, "user": others[0] if len(others) == 1 else "user"}
    roles |= {speaker: speaker for speaker in template.speakers}
    has_system = bool(messages) and messages[0].role == "system" and "system" not in roles
    turns = messages[has_system:]
    return Conversation(
        tuple(Turn(roles.get(role, role), content) for role, content in turns),
        messages[0].content if has_system else None,
    )


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Return with how many equal ids *first* and *second* begin."""
    pairs = zip(first, second, strict=False)
    return next(
        (index for index, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second))
    )
