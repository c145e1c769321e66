"""Explanations of why a chat, or a person in it, leaves nothing to train on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

from pytok.chat.conversations import ConversationOptions, message_text
from pytok.chat.record import KIND_NAMES, Message
from pytok.chat.speakers import speakers_of
from pytok.counted import counted, duration


def why_no_conversation(messages: Sequence[Message], options: ConversationOptions) -> str:
    """Say why *options* leave no conversation of *messages*, and what can be done."""
    names = speakers_of(messages)
    writers = {
        names[message.sender]
        for message in messages
        if message.sender is not None and message_text(message, placeholders=options.placeholders)
    }
    if not messages:
        return "there are no messages here; give another chat, or widen --from and --until"
    if not writers:
        return f"nobody writes words in this chat, only {kinds_of(messages)}; choose another chat"
    if len(writers) == 1:
        (writer,) = writers
        return (
            f"only {writer!r} writes in this chat; a model learns from answers, so it needs a chat "
            "in which two people write"
        )
    if isinstance(options.split, timedelta):
        pause = duration(options.split.total_seconds())
        return (
            f"nobody in this chat answers within {pause}, so there is no conversation to learn "
            "from; allow longer pauses, such as --gap 1d"
        )
    return (
        f"no conversation in this chat has {counted(options.min_turns, 'turn')}; lower --min-turns"
    )


def why_no_turns(speaker: str, messages: Sequence[Message], options: ConversationOptions) -> str:
    """Say why *options* leave no turn of *speaker* in *messages*, and what can be done."""
    names = speakers_of(messages)
    sent = [each for each in messages if each.sender is not None and names[each.sender] == speaker]
    texts = [each for each in sent if message_text(each, placeholders=options.placeholders)]
    if not texts:
        return (
            f"{speaker!r} has sent {counted(len(sent), 'message')}, but none with words "
            f"({kinds_of(sent)}), so there is nothing to learn from; choose another person"
        )
    return (
        f"{speaker!r} has written {counted(len(texts), 'message')}, but none of them is part of a "
        "conversation; choose another person, or allow longer pauses, such as --gap 1d"
    )


def kinds_of(messages: Iterable[Message]) -> str:
    """Count *messages* by kind, in words."""
    kinds = Counter(message.kind for message in messages)
    return ", ".join(counted(count, KIND_NAMES[kind]) for kind, count in kinds.most_common())
